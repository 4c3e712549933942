// The comparison itself: what is looked at, and how. `render` is the notebook's widget, `renderPage` the page.

const MAX_WIDTH = 1000, MAX_HEIGHT = 620; // CSS pixels of the stage
const MAX_SCALE = 32; // CSS pixels per image pixel
const AROUND = 1.5; // a detail is shown with so many times its side
const QUIET = 120; // ms without a move before the box is told and measured

// `host` fetches what the view lacks: ask(pieces), askSide(method), askDetails(left, right); and is told of
// choose(what, value) and look(box).
function createView(root, host) {
  const ui = buildControls(root), painter = createPainter(ui.canvas), measure = createMeter(ui.scores);
  const state = { mode: "split", split: 50, seen: "right", map: "gain", chosen: [], x: 0, y: 0, scale: 1, span: 0 };
  let pictures = null, panels = [], size = null, frame = 0, timer = 0, tellings = [], detail = 0;
  const even = (scale) => Math.floor(scale * size.ratio + 1e-6) / size.ratio; // image pixels of one size on the screen

  function open(entry, left, right) {
    const again = entry.image === state.entry?.image;
    Object.assign(state, { entry: { sides: {}, ...entry }, left, right });
    pictures = createPictures(entry, host.ask, schedule);
    tellings = entry.details;
    const names = entry.methods.map((name) => [name, name]);
    fill(ui.left, names, left);
    fill(ui.right, names, right);
    if (!again || !state.chosen.every((name) => entry.methods.includes(name))) {
      state.chosen = chooseMethods(state, state.chosen.length || 4);
    }
    fillMethods(ui, state, layout);
    layout();
    look(0);
    return Promise.all(entry.pieces.map(pictures.arrive));
  }

  function layout() {
    if (!state.entry || !root.clientWidth) return;
    const width = Math.floor(Math.min(root.clientWidth, MAX_WIDTH)), columns = columnsOf(state.chosen.length, width);
    let height = clamp(0.64 * width, 260, clamp(0.7 * innerHeight, 320, MAX_HEIGHT));
    const rows = Math.ceil(state.chosen.length / columns);
    if (state.mode === "grid" && width < 600) height = Math.max(height, rows * (0.75 * (width / columns) + CAPTION));
    const whole = (length) => Math.floor(length * devicePixelRatio) / devicePixelRatio; // in device pixels
    size = { width: whole(width), height: whole(height), ratio: devicePixelRatio };
    Object.assign(ui.stage.style, { width: `${size.width}px`, height: `${size.height}px` });
    for (const side of ["width", "height"]) ui.canvas[side] = Math.round(size[side] * size.ratio);
    root.dataset.mode = state.mode;
    // JupyterLab must not take our keys for its own: "0 0" restarts the kernel, arrows change the cell
    for (const node of root.querySelectorAll("select, button, input, [tabindex]")) {
      node.setAttribute("data-lm-suppress-shortcuts", "true");
    }
    for (const button of root.querySelectorAll("[data-act]")) {
      if (button.dataset.act in MODES) button.setAttribute("aria-pressed", button.dataset.act === state.mode);
      if (+button.dataset.act) button.setAttribute("aria-pressed", +button.dataset.act === state.chosen.length);
    }
    ui.help.textContent = HELP[state.mode];
    panels = ui.stage.panels = panelsOf(state, size.width, size.height);
    rescale();
    paint(); // at once: a canvas of a new size is empty
  }

  const side = () => Math.min(panels[0].width, panels[0].height);
  function fitScale() {
    const fit = Math.min(panels[0].width / state.entry.width, panels[0].height / state.entry.height);
    return even(fit) > 0.9 * fit ? even(fit) : fit;
  }

  // Every mode and window shows about the same part of the image: `span` pixels, or the whole.
  function rescale() {
    if (!panels.length) return; // not yet on the page
    const wanted = side() / state.span;
    setScale(state.whole ? 0 : even(wanted) || wanted, true);
    state.whole = state.scale === fitScale(); // a small image too
  }

  function setScale(scale, keep = false) {
    const fit = fitScale();
    state.scale = clamp(scale, fit, Math.max(fit, MAX_SCALE));
    if (!keep) Object.assign(state, { whole: state.scale === fit, span: side() / state.scale });
    schedule();
  }

  function look(number) {
    detail = number;
    const [top, left, height, width] = tellings[number];
    Object.assign(state, { y: top + height / 2, x: left + width / 2, span: AROUND * Math.max(height, width), whole: false });
    rescale();
    say(`Detail ${number + 1} of ${tellings.length}`);
  }

  // The point of the image below (px, py), in stage pixels, stays where it is.
  function zoomAt(scale, px, py) {
    const panel = panels.find((p) => px < p.x + p.width + GAP && py < p.y + p.height) ?? panels[0];
    const [dx, dy] = [px - panel.x - panel.width / 2, py - panel.y - panel.height / 2], before = state.scale;
    setScale(scale);
    state.x += dx / before - dx / state.scale;
    state.y += dy / before - dy / state.scale;
  }

  // Top, left, height, width in image pixels; what is seen ends with the image.
  function boxSeen() {
    const { scale, entry: { width, height } } = state, [panel] = panels;
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

  const shown = () => (state.mode === "grid" ? state.chosen : [...new Set([state.left, state.right])]);
  function needAll(box) {
    const { entry, mode } = state, all = Math.max(entry.width, entry.height);
    const sharp = isMeasured(entry, box) || mode === "difference" || state.scale * size.ratio > Math.min(OVERVIEW / all, 1);
    const methods = entry.truth && (mode === "difference" || isMeasured(entry, box)) ? [...shown(), entry.truth] : shown();
    methods.forEach((method) => pictures.need(method, sharp ? box : null));
    shown().forEach((method) => entry.sides[method] || host.askSide(method));
    pictures.flush();
  }

  function schedule() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (panels.length) paint();
    });
  }

  function paint() {
    const { entry, scale } = state, box = boxSeen();
    ui.stage.seen = { x: state.x, y: state.y, scale }; // beside `panels`: for whoever wants to find a pixel
    needAll(box);
    painter.paint(state, panels, pictures, { ...size, box });
    const source = pictures.get(entry.truth ?? state.right) ?? pictures.get(state.right);
    if (source) paintNavigator(ui.navigator, source, entry, box);
    ui.zoom.textContent = `${Math.round(scale * 100)} %`;
    ui.handle.style.left = `${state.split}%`;
    clearTimeout(timer);
    timer = setTimeout(settle, QUIET, box);
  }

  function settle(box) {
    host.look(box);
    const names = state.mode === "grid" ? state.chosen.join(", ") : `${state.left} on the left, ${state.right} on the right`;
    const seen = `${state.entry.image}, ${MODES[state.mode]}: ${names}; ${ui.zoom.textContent}, box ${box.join(", ")}`;
    ui.stage.setAttribute("aria-label", seen);
    ui.canvas.setAttribute("aria-label", seen);
    ui.navigator.setAttribute("aria-label", `Whole image with the visible box ${box.join(", ")}`);
    ui.handle.setAttribute("aria-label", `Percent of the picture that shows ${state.left}, the rest shows ${state.right}`);
    ui.stage.dataset.box = box.join(", ");
    measure(state, pictures, shown(), box);
  }

  const say = (text) => (ui.status.textContent = text);
  const boxText = () => `(${boxSeen().join(", ")})`;

  function choosePair(what, value) {
    state[what] = value;
    ui[what].value = value;
    host.choose(what, value);
    host.askDetails(state.left, state.right);
    schedule();
  }

  async function copy() {
    const text = boxText();
    await navigator.clipboard?.writeText(text).catch(() => null); // where that is not allowed, it can be read
    say(`Box ${text}: top, left, height, width in HR pixels`);
  }

  function save() {
    const { image, border, truth } = state.entry;
    const told = truth ? ` · PSNR of the whole image (RGB, border ${border})` : "";
    savePicture(ui.canvas, size.ratio, `${image} · box ${boxText()}${told}`, `${image} ${state.mode} ${boxSeen().join("-")}`);
    say("Picture saved");
  }

  const act = {
    split: (percent) => (Number.isFinite(percent) ? setSplit(clamp(percent, 0, 100)) : setMode("split")),
    blink: () => setMode("blink"),
    grid: () => setMode("grid"),
    difference: () => setMode("difference"),
    hold(down) {
      if (down && state.mode !== "blink") setMode("blink");
      if (down || state.held) act.toggle();
      state.held = down;
    },
    toggle() {
      if (state.mode !== "blink") return;
      state.seen = state.seen === "left" ? "right" : "left";
      schedule();
    },
    pan(dx, dy) {
      state.x -= dx / state.scale;
      state.y -= dy / state.scale;
      schedule();
    },
    centre(x, y) {
      Object.assign(state, { x: x * state.entry.width, y: y * state.entry.height });
      schedule();
    },
    zoom: (factor, px, py) => zoomAt(state.scale * factor, px, py),
    zoomTwice: (px, py) => (state.whole ? zoomAt(4 * Math.max(1, state.scale), px, py) : act.whole()),
    zoomIn: () => setScale(state.scale < 1 ? Math.min(1, 2 * state.scale) : even(state.scale * 1.5) || state.scale * 2),
    zoomOut: () => setScale(even(state.scale / 1.5) || state.scale / 2),
    whole: () => setScale(0),
    next: () => look((detail + 1) % tellings.length),
    copy,
    save,
  };
  for (const count of COUNTS) {
    act[count] = () => {
      state.chosen = chooseMethods(state, count);
      fillMethods(ui, state, layout);
      setMode("grid");
    };
  }

  function setSplit(percent) {
    state.split = percent;
    ui.handle.setAttribute("aria-valuenow", Math.round(percent));
    schedule();
  }

  function setMode(mode) {
    state.mode = mode;
    if (mode === "blink") state.seen = "right";
    layout();
  }

  ui.image.addEventListener("change", () => host.choose("image", ui.image.value));
  for (const what of ["left", "right"]) ui[what].addEventListener("change", () => choosePair(what, ui[what].value));
  ui.mapSelect.addEventListener("change", () => {
    state.map = ui.mapSelect.value;
    schedule();
  });
  bindKeys(ui, state, act);
  bindPointer(ui, state, act);
  bindNavigator(ui, act);
  const observer = new ResizeObserver(layout);
  observer.observe(root);
  addEventListener("resize", layout); // a new device pixel ratio too
  return {
    open, choosePair, state,
    fillImages: (names, value) => fill(ui.image, names.map((name) => [name, name]), value),
    arrive: (piece) => pictures.arrive(piece),
    tellSide(method, figures) {
      state.entry.sides[method] = figures;
      schedule();
    },
    tellDetails(details) {
      tellings = details;
      detail = -1; // where one looks now stays
    },
    close() {
      observer.disconnect();
      removeEventListener("resize", layout);
    },
  };
}
