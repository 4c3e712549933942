// PSNR and SSIM of pixels that are here, as metrics.py defines them, and the error of a method in colours.
// Pixels are RGBA bytes, as a canvas gives them.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const WINDOW = Array.from({ length: 11 }, (_, i) => Math.exp(-((i - 5) ** 2) / (2 * 1.5 ** 2)));
const WEIGHTS = WINDOW.map((weight) => weight / WINDOW.reduce((sum, value) => sum + value));
const [C1, C2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];

const rgb = (hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
// Inferno's colours; and orange, white, blue: safe for colour-blind eyes
const STOPS = {
  error: ["#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4"].map(rgb),
  gain: ["#b35806", "#f1a340", "#f7f7f7", "#67a9cf", "#2166ac"].map(rgb),
};

// 256 colours between the stops, each an [r, g, b]
const COLOURS = Object.fromEntries(
  Object.entries(STOPS).map(([name, stops]) => [
    name,
    Array.from({ length: 256 }, (_, i) => {
      const place = (i / 255) * (stops.length - 1), first = Math.min(Math.floor(place), stops.length - 2);
      return stops[first].map((low, c) => Math.round(low + (stops[first + 1][c] - low) * (place - first)));
    }),
  ]),
);

function psnrOf(pixels, truth) {
  let squares = 0;
  for (let i = 0; i < truth.length; i += 4) {
    for (let c = i; c < i + 3; c++) squares += (pixels[c] - truth[c]) ** 2;
  }
  return squares ? 10 * Math.log10(255 ** 2 / (squares / ((truth.length / 4) * 3))) : "identical";
}

// Null if `pause`, awaited now and then, says false: the view has moved on.
async function ssimOf(pixels, truth, width, height, pause) {
  const inner = width - 10, sums = [];
  for (let c = 0; c < 3; c++) {
    const rows = []; // the last 11, smoothed from left to right: values, truths, their squares and product
    for (let y = 0; y < height; y++) {
      rows.push(smoothRow(pixels, truth, (y * width) * 4 + c, inner));
      if (rows.length > 11) rows.shift();
      if (rows.length === 11) sums.push(similarity(rows, inner));
      if (y % 16 === 0 && !(await pause())) return null;
    }
  }
  return sums.reduce((sum, value) => sum + value, 0) / (3 * inner * (height - 10));
}

function smoothRow(pixels, truth, start, inner) {
  const row = Array.from({ length: 5 }, () => new Float64Array(inner));
  for (let x = 0; x < inner; x++) {
    let a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    for (let k = 0; k < 11; k++) {
      const p = pixels[start + 4 * (x + k)], t = truth[start + 4 * (x + k)], weight = WEIGHTS[k];
      a += weight * p;
      b += weight * t;
      aa += weight * p * p;
      bb += weight * t * t;
      ab += weight * p * t;
    }
    row[0][x] = a;
    row[1][x] = b;
    row[2][x] = aa;
    row[3][x] = bb;
    row[4][x] = ab;
  }
  return row;
}

function similarity(rows, inner) {
  let sum = 0;
  for (let x = 0; x < inner; x++) {
    let a = 0, b = 0, aa = 0, bb = 0, ab = 0;
    for (let k = 0; k < 11; k++) {
      const row = rows[k], weight = WEIGHTS[k];
      a += weight * row[0][x];
      b += weight * row[1][x];
      aa += weight * row[2][x];
      bb += weight * row[3][x];
      ab += weight * row[4][x];
    }
    const luminance = (2 * a * b + C1) / (a * a + b * b + C1);
    sum += (luminance * (2 * (ab - a * b) + C2)) / (aa - a * a + bb - b * b + C2);
  }
  return sum;
}

// A map's value is |error| in grey levels, the mean over R, G and B; of `gain`, that of left minus that of right.
function paintMap(out, left, right, truth, kind, reach) {
  const colours = COLOURS[kind === "gain" ? "gain" : "error"];
  const error = (side, i) =>
    (Math.abs(side[i] - truth[i]) + Math.abs(side[i + 1] - truth[i + 1]) + Math.abs(side[i + 2] - truth[i + 2])) / 3;
  for (let i = 0; i < out.length; i += 4) {
    const share = kind === "gain" ? (error(left, i) - error(right, i)) / (2 * reach) + 0.5
      : error(kind === "right" ? right : left, i) / reach;
    const colour = colours[Math.round(255 * clamp(share, 0, 1))];
    out[i] = colour[0];
    out[i + 1] = colour[1];
    out[i + 2] = colour[2];
    out[i + 3] = 255;
  }
}
