// The pixels of an image's methods, as far as they have arrived: a page has whole images, a widget gets tiles.
// A piece is {method, box: [top, left, height, width] in HR pixels, step, data}; its data are a URL or bytes.

const TILE = 256; // HR pixels
const OVERVIEW = 512; // pixels of the longer side of a reduced copy, for drawing small


function newCanvas(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.context = canvas.getContext("2d", { willReadFrequently: true }); // pixels stay where they can be read
  return canvas;
}

async function decode(data) {
  const image = new Image();
  const src = typeof data === "string" ? data : URL.createObjectURL(new Blob([data]));
  image.src = src;
  await image.decode();
  URL.revokeObjectURL(src);
  return image;
}

// `ask(list of [method, box or null])` fetches pieces that are then given to `arrive`; `changed` is told of each.
function createPictures({ height, width, whole }, ask, changed) {
  const inOne = whole || Math.max(height, width) <= OVERVIEW; // the first piece has every pixel
  const methods = new Map(); // method → {canvas, small, tiles: asked, here}
  const maps = { key: "", canvas: null, done: new Set() };
  let queue = [], turn = Promise.resolve(), pending = 0; // pieces on their way

  const tilesOf = ([top, left, boxHeight, boxWidth]) => {
    const tiles = [];
    for (let y = Math.floor(top / TILE) * TILE; y < top + boxHeight; y += TILE) {
      for (let x = Math.floor(left / TILE) * TILE; x < left + boxWidth; x += TILE) {
        tiles.push([y, x, Math.min(TILE, height - y), Math.min(TILE, width - x)]);
      }
    }
    return tiles;
  };

  function open(method) {
    if (!methods.has(method)) methods.set(method, { canvas: null, small: null, asked: new Set(), here: new Set() });
    return methods.get(method);
  }

  // Without a box, a reduced image is enough.
  function need(method, box) {
    const picture = open(method);
    const want = (key, piece) => {
      if (picture.asked.has(key)) return;
      picture.asked.add(key);
      pending++;
      queue.push([method, piece]);
    };
    want("overview", null);
    if (box && !inOne) tilesOf(box).forEach((tile) => picture.here.has(`${tile}`) || want(`${tile}`, tile));
  }

  function flush() {
    while (queue.length) ask(queue.splice(0, 16));
  }

  function arrive(piece) {
    const picture = open(piece.method);
    const key = piece.box[2] === height && piece.box[3] === width ? "overview" : `${piece.box}`;
    if (!picture.asked.has(key)) pending++; // unasked for, at the opening
    picture.asked.add(key);
    const image = decode(piece.data);
    const drawn = turn.then(async () => {
      await draw(picture, piece, await image); // one after the other, as they were asked for
      pending--;
      changed();
    });
    turn = drawn.catch(() => null); // a piece that cannot be read holds up no other
    return drawn;
  }

  async function draw(picture, { box: [y, x, boxHeight, boxWidth], step }, image) {
    picture.canvas ??= newCanvas(width, height);
    picture.canvas.context.imageSmoothingEnabled = step > 1; // an LR image's pixels are squares
    const late = step > 1 && picture.here.size; // an overview must not cover the tiles that are here
    if (!late) picture.canvas.context.drawImage(image, x, y, boxWidth, boxHeight);
    if (step > 1) picture.small = image;
    else tilesOf([y, x, boxHeight, boxWidth]).forEach((tile) => picture.here.add(`${tile}`));
    const factor = OVERVIEW / Math.max(width, height);
    if (!picture.small && factor < 1) {
      const size = { resizeWidth: Math.ceil(width * factor), resizeHeight: Math.ceil(height * factor) };
      picture.small = await createImageBitmap(picture.canvas, { ...size, resizeQuality: "medium" });
    }
    picture.small ??= picture.canvas;
  }

  const isHere = (method, box) => tilesOf(box).every((tile) => methods.get(method)?.here.has(`${tile}`));
  const read = (canvas, [top, left, boxHeight, boxWidth]) =>
    canvas.context.getImageData(left, top, boxWidth, boxHeight);

  // The map's canvas; its tiles are painted as they are looked at, grey where pixels are still on their way.
  function map(kind, left, right, truth, reach, box) {
    const key = [kind, left, right].join("\n");
    if (maps.key !== key) {
      Object.assign(maps, { key, canvas: newCanvas(width, height), done: new Set() });
      maps.canvas.context.fillStyle = "#808080";
      maps.canvas.context.fillRect(0, 0, width, height);
    }
    for (const tile of tilesOf(box)) {
      const sides = [left, right, truth];
      if (maps.done.has(`${tile}`) || !sides.every((method) => isHere(method, tile))) continue;
      const out = new ImageData(tile[3], tile[2]);
      paintMap(out.data, ...sides.map((method) => read(methods.get(method).canvas, tile).data), kind, reach);
      maps.canvas.context.putImageData(out, tile[1], tile[0]);
      maps.done.add(`${tile}`);
    }
    return { canvas: maps.canvas, small: maps.canvas };
  }

  const pixels = (method, box) => read(methods.get(method).canvas, box).data;
  const get = (method) => methods.get(method)?.canvas && methods.get(method);
  return { need, flush, arrive, get, map, isHere, pixels, isBusy: () => pending > 0 };
}
