// Which part of the image is seen: its centre x, y in image pixels and `scale`, CSS pixels per image pixel.

const MAX_SCALE = 32;

// Keeps x, y, scale, whole and span of `state`; the view sets `panels`, all of one size, and `ratio`, device
// pixels per CSS pixel.
function createCamera(state, changed) {
  const camera = { panels: [], ratio: 1, even, setScale, zoomAt, boxSeen, rescale };

  // Image pixels are of one size on the screen.
  function even(scale) {
    return Math.floor(scale * camera.ratio + 1e-6) / camera.ratio;
  }

  const side = () => Math.min(camera.panels[0].width, camera.panels[0].height);
  function fitScale() {
    const fit = Math.min(camera.panels[0].width / state.entry.width, camera.panels[0].height / state.entry.height);
    return even(fit) > 0.9 * fit ? even(fit) : fit;
  }

  // Every mode and window shows about the same part of the image: `span` pixels, or the whole.
  function rescale() {
    if (!camera.panels.length) return; // not yet on the page
    const wanted = side() / state.span;
    setScale(state.whole ? 0 : even(wanted) || wanted, true);
    state.whole = state.scale === fitScale(); // a small image too
  }

  function setScale(scale, keep = false) {
    const fit = fitScale();
    state.scale = clamp(scale, fit, Math.max(fit, MAX_SCALE));
    if (!keep) Object.assign(state, { whole: state.scale === fit, span: side() / state.scale });
    changed();
  }

  // The point of the image below (px, py), in stage pixels, stays where it is.
  function zoomAt(scale, px, py) {
    const panel = camera.panels.find((p) => px < p.x + p.width + GAP && py < p.y + p.height) ?? camera.panels[0];
    const [dx, dy] = [px - panel.x - panel.width / 2, py - panel.y - panel.height / 2], before = state.scale;
    setScale(scale);
    state.x += dx / before - dx / state.scale;
    state.y += dy / before - dy / state.scale;
  }

  // Top, left, height, width in image pixels; what is seen ends with the image.
  function boxSeen() {
    const { scale, entry: { width, height } } = state, [panel] = camera.panels;
    const inside = (centre, length, full) =>
      full * scale <= length ? full / 2 : clamp(centre, length / 2 / scale, full - length / 2 / scale);
    Object.assign(state, { x: inside(state.x, panel.width, width), y: inside(state.y, panel.height, height) });
    const span = (centre, length, full) => {
      const low = Math.round(clamp(centre - length / 2 / scale, 0, full - 1));
      return [low, Math.max(Math.round(Math.min(centre + length / 2 / scale, full)) - low, 1)];
    };
    const [top, boxHeight] = span(state.y, panel.height, height), [left, boxWidth] = span(state.x, panel.width, width);
    return [top, left, boxHeight, boxWidth];
  }

  return camera;
}
