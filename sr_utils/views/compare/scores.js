// PSNR and SSIM below the stage, with their conventions: of the whole image, and of the visible box.

const BOX_LIMIT = 600_000; // pixels up to which a box is measured here

function isMeasured(entry, [, , height, width]) {
  const whole = height === entry.height && width === entry.width;
  return entry.truth && !whole && height * width <= BOX_LIMIT && Math.min(height, width) >= 11;
}

// Measures the visible box in small portions; a later call ends an earlier one.
function createMeter(place) {
  let figures = { key: "" }, calls = 0; // of the box, by method

  return async function measure(state, pictures, methods, box) {
    const { entry } = state, { truth, sides } = entry, key = `${entry.image} ${box}`, call = ++calls;
    if (figures.key !== key) figures = { key };
    const mine = figures, tell = () => fillScores(place, state, methods, box, mine);
    tell();
    if (!isMeasured(entry, box) || sides[truth]?.lossy || !pictures.isHere(truth, box)) return;
    let last = performance.now();
    const pause = async () => {
      if (performance.now() - last > 8) await new Promise((done) => setTimeout(done));
      last = performance.now();
      return call === calls;
    };
    const truths = pictures.pixels(truth, box);
    for (const method of methods) {
      if (mine[method] || method === truth || sides[method]?.lossy || !pictures.isHere(method, box)) continue;
      const pixels = pictures.pixels(method, box), psnr = psnrOf(pixels, truths);
      const ssim = await ssimOf(pixels, truths, box[3], box[2], pause);
      if (ssim === null) return;
      mine[method] = { psnr, ssim };
      tell();
    }
  };
}

function fillScores(place, { entry, mode, left, right }, methods, box, figures) {
  if (!entry.truth) return place.replaceChildren("No HR image: no PSNR and SSIM.");
  const { border, height, width, sides, truth } = entry, isWhole = box[2] === height && box[3] === width;
  const text = (value, digits, unit) =>
    typeof value === "number" ? value.toFixed(digits).replace("-", "−") + unit : value ?? "";
  const row = (name, all, here, sign = text) => {
    const texts = [sign(all.psnr, 2, " dB"), sign(here.psnr, 2, " dB"), sign(all.ssim, 4, ""), sign(here.ssim, 4, "")];
    return element("tr", {}, element("th", { scope: "row" }, name), ...texts.map((each) => element("td", {}, each)));
  };
  const inexact = { psnr: "not exact", ssim: "" };
  const hereOf = (method) => {
    if (isWhole || method === truth) return {};
    return sides[method]?.lossy || sides[truth]?.lossy ? inexact : figures[method] ?? {};
  };
  const of = (method) => [sides[method] ?? {}, hereOf(method)];
  const rows = methods.map((method) => row(method, ...of(method)));
  if (mode !== "grid" && left !== right && [left, right].every((method) => typeof sides[method]?.ssim === "number")) {
    const gain = (a, b) => ({ psnr: b.psnr - a.psnr, ssim: b.ssim - a.ssim }); // NaN beside a word
    const signed = (value, ...how) => (Number.isFinite(value) ? (value > 0 ? "+" : "") + text(value, ...how) : "");
    rows.push(row("right − left", ...of(left).map((figure, i) => gain(figure, of(right)[i])), signed));
  }
  const heads = [["PSNR", `whole image, border ${border}`], ["PSNR", "visible box"]];
  heads.push(["SSIM", heads[0][1]], ["SSIM", heads[1][1]]);
  const head = heads.map(([name, part]) => element("th", { scope: "col" }, name, element("small", {}, part)));
  const where = `The visible box (top ${box[0]}, left ${box[1]}, ${box[2]}×${box[3]}): all its pixels, no border.`;
  place.replaceChildren(
    element("table", {}, element("tr", {}, element("td", {}), ...head), ...rows),
    element("p", {}, `RGB. ${isWhole ? "The whole image is visible." : where}`),
  );
}
