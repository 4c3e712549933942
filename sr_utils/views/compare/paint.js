// What is on the stage: panels, each with a caption above its picture so that no label hides a detail.
// Lengths are CSS pixels; the canvas has `ratio` device pixels for each.

const CAPTION = 42, GAP = 4, LEGEND = 44; // a caption has a line for the name and one for the figure
const GROUND = "#202124", INK = "#ffffff", DIM = "#bdc1c6", ACCENT = "#e69f00"; // one look in light and dark pages
const FONT = "system-ui, sans-serif";

function columnsOf(count, width) {
  if (width < 600) return Math.min(count, 2);
  if (count <= 3) return count;
  return count === 4 ? 2 : Math.min(Math.ceil(count / 2), 4);
}

// The modes' panels: {method, x, y, width, height} of the picture, below its caption.
function panelsOf({ mode, chosen, right }, width, height) {
  const methods = mode === "grid" ? chosen : [right];
  const columns = columnsOf(methods.length, width), rows = Math.ceil(methods.length / columns);
  const room = height - (mode === "difference" ? LEGEND : 0);
  const panelWidth = Math.floor((width - GAP * (columns - 1)) / columns);
  const panelHeight = Math.floor((room - GAP * (rows - 1)) / rows) - CAPTION;
  return methods.map((method, i) => ({
    method,
    x: (i % columns) * (panelWidth + GAP),
    y: Math.floor(i / columns) * (panelHeight + CAPTION + GAP) + CAPTION,
    width: panelWidth,
    height: panelHeight,
  }));
}

const decibels = (psnr) => (typeof psnr === "number" ? `${psnr.toFixed(2)} dB` : psnr ?? "");

function figureOf({ sides, truth }, method) {
  const { psnr, lossy } = sides[method] ?? {};
  const figure = method === truth ? "truth" : decibels(psnr);
  return lossy ? `${figure} · stored with loss` : figure;
}

function createPainter(canvas) {
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function fitted(text, width) {
    if (context.measureText(text).width <= width) return text;
    while (text && context.measureText(`${text}…`).width > width) text = text.slice(0, -1);
    return `${text}…`;
  }

  function write(text, x, y, width, { align = "left", ink = INK, weight = "", size = 13 } = {}) {
    context.font = `${weight} ${size}px ${FONT}`;
    Object.assign(context, { fillStyle: ink, textAlign: align, textBaseline: "middle" });
    context.fillText(fitted(text, width), x, y);
  }

  function caption(name, told, x, width, { y = CAPTION, ...look } = {}) {
    write(name, x, y - 29, width, look);
    write(told, x, y - 11, width, { ink: DIM, size: 12, align: look.align });
  }

  // Both names in their places; the side that is seen, if only one is, stands out.
  function captionPair({ left, right, entry }, width, seen) {
    const looks = (side) => (!seen ? {} : seen === side ? { weight: "bold" } : { ink: DIM });
    caption(left, figureOf(entry, left), 8, width / 2 - 16, looks("left"));
    caption(right, figureOf(entry, right), width - 8, width / 2 - 16, { align: "right", ...looks("right") });
    if (!seen) return;
    context.fillStyle = ACCENT;
    context.fillRect(seen === "left" ? 0 : width / 2, CAPTION - 2, width / 2, 2);
  }

  function picture(source, panel, { x, y, scale, entry }, ratio, from = 0, to = 1) {
    if (!source) return;
    const size = scale * ratio;
    const place = (start, length, centre) => Math.round((start + length / 2) * ratio - centre * size);
    const pixels = size < source.small.width / entry.width ? source.small : source.canvas;
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.beginPath();
    const edges = [from, to].map((share) => Math.round((panel.x + share * panel.width) * ratio));
    context.rect(edges[0], Math.round(panel.y * ratio), edges[1] - edges[0], Math.round(panel.height * ratio));
    context.clip();
    context.imageSmoothingEnabled = size < 1;
    const [left, top] = [place(panel.x, panel.width, x), place(panel.y, panel.height, y)];
    context.drawImage(pixels, left, top, Math.round(entry.width * size), Math.round(entry.height * size));
    context.restore();
  }

  function legend({ map, left, right, entry }, width, height) {
    const gain = map === "gain", top = height - LEGEND + 8, reach = gain ? entry.reach / 2 : entry.reach;
    const bar = Math.min(360, width - 200), start = (width - bar) / 2, colours = COLOURS[gain ? "gain" : "error"];
    colours.forEach((colour, i) => {
      context.fillStyle = `rgb(${colour})`;
      context.fillRect(start + (i * bar) / 256, top, bar / 256 + 0.5, 10);
    });
    const ticks = (gain ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) => part * reach);
    ticks.forEach((tick, i) => {
      const ends = i === 0 || i === ticks.length - 1;
      const text = `${ends ? (tick < 0 ? "≤ " : tick > 0 ? "≥ " : "") : ""}${gain && tick > 0 ? "+" : ""}${tick}`;
      write(text.replace("-", "−"), start + (i * bar) / 4, top + 20, 80, { align: "center", size: 12 });
    });
    write(gain ? "right is worse" : "no error", start - 12, top + 5, start - 16, { align: "right", size: 12 });
    write(gain ? "right is better" : "grey levels", start + bar + 12, top + 5, start - 16, { size: 12 });
    if (gain) write("grey levels", start + bar + 26, top + 20, start - 30, { size: 12, ink: DIM });
  }

  function title({ map, left, right, entry }) {
    const lossy = [left, right, entry.truth].some((method) => entry.sides[method]?.lossy) ? " · approximate" : "";
    if (!entry.truth) return [`|${left} − ${right}|`, `mean of R, G, B${lossy}`];
    const method = map === "left" ? left : right;
    if (map !== "gain") return [`|error| of ${method}`, `mean of R, G, B · ${figureOf(entry, method)}`];
    return [right, `Blue: closer to HR than ${left}; orange: farther from it${lossy}`];
  }

  function paint(state, panels, pictures, { width, height, ratio, box }) {
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = GROUND;
    context.fillRect(0, 0, width, height);
    const { mode, left, right, entry } = state, [panel] = panels;
    if (mode === "grid") {
      for (const each of panels) {
        picture(pictures.get(each.method), each, state, ratio);
        caption(each.method, figureOf(entry, each.method), each.x + 6, each.width - 12, { y: each.y });
      }
    } else if (mode === "difference") {
      const other = entry.truth ?? right, kind = entry.truth ? state.map : "left";
      const map = pictures.map(kind, left, right, other, kind === "gain" ? entry.reach / 2 : entry.reach, box);
      picture(map, panel, state, ratio);
      caption(...title({ ...state, map: kind }), 8, width - 16);
      legend({ ...state, map: kind }, width, height);
    } else if (mode === "blink") {
      picture(pictures.get(state[state.seen]), panel, state, ratio);
      captionPair(state, width, state.seen);
    } else {
      picture(pictures.get(left), panel, state, ratio, 0, state.split / 100);
      picture(pictures.get(right), panel, state, ratio, state.split / 100, 1);
      captionPair(state, width);
    }
  }

  return { paint };
}

// The whole image, small, with the visible box.
function paintNavigator(canvas, source, { height, width }, [top, left, boxHeight, boxWidth]) {
  const ratio = devicePixelRatio, share = Math.min(140 / width, 140 / height), context = canvas.getContext("2d");
  const place = [left, top, boxWidth, boxHeight].map((value) => value * share);
  Object.assign(canvas, { width: Math.round(width * share * ratio), height: Math.round(height * share * ratio) });
  Object.assign(canvas.style, { width: `${width * share}px`, height: `${height * share}px` });
  context.drawImage(source.small, 0, 0, canvas.width, canvas.height);
  context.scale(ratio, ratio);
  for (const [colour, line] of [["#000000", 4], ["#ffdd00", 2]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: line });
    context.strokeRect(place[0], place[1], place[2], place[3]);
  }
}

const LINE = 28; // below a saved picture

// The stage as a PNG of its own, with a line that tells image, box and convention.
async function savePicture(stage, ratio, text, name) {
  const canvas = newCanvas(stage.width, stage.height + Math.round(LINE * ratio)), { context } = canvas;
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(stage, 0, 0);
  context.scale(ratio, ratio);
  Object.assign(context, { fillStyle: INK, font: `13px ${FONT}`, textBaseline: "middle" });
  context.fillText(text, 8, stage.height / ratio + LINE / 2, stage.width / ratio - 16);
  const href = URL.createObjectURL(await new Promise((done) => canvas.toBlob(done, "image/png")));
  element("a", { href, download: `${name}.png` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
}
