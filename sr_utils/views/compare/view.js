// The comparison itself: what is looked at, and how.

const MAX_WIDTH = 1000, MAX_HEIGHT = 620; // CSS pixels of the stage
const AROUND = 1.5; // a detail is shown with so many times its side
const QUIET = 120; // ms without a move before the box is told and measured

// `host` fetches what the view lacks: ask(pieces), askSide(method), askDetails(left, right); and is told of
// choose(what, value) and look(box).
function createView(root, host) {
  const ui = buildControls(root), painter = createPainter(ui.canvas), measure = createMeter(ui.scores);
  const state = { mode: "split", split: 50, seen: "right", map: "gain", chosen: [], x: 0, y: 0, scale: 1, span: 0 };
  const camera = createCamera(state, schedule), { setScale, zoomAt, boxSeen, rescale, even } = camera;
  let pictures = null, size = null, frame = 0, timer = 0, tellings = [], detail = 0;

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
    const arrivals = entry.pieces.map(pictures.arrive); // before a paint asks for them
    look(0);
    layout();
    return Promise.all(arrivals);
  }

  function layout() {
    if (!state.entry || !root.clientWidth) return;
    const width = Math.floor(Math.min(root.clientWidth, MAX_WIDTH)), columns = columnsOf(state.chosen.length, width);
    let height = clamp(0.64 * width, 260, clamp(0.6 * innerHeight, 320, MAX_HEIGHT));
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
    const measures = () => `${[camera.ratio, camera.panels[0]?.width, camera.panels[0]?.height]}`, before = measures();
    camera.panels = ui.stage.panels = panelsOf(state, size.width, size.height);
    camera.ratio = size.ratio;
    if (measures() !== before) rescale(); // else the zoom stays as it is
    paint(); // at once: a canvas of a new size is empty
  }

  function look(number) {
    detail = number;
    const [top, left, height, width] = tellings[number];
    Object.assign(state, { y: top + height / 2, x: left + width / 2, whole: false });
    state.span = AROUND * Math.max(height, width);
    rescale();
    say(`Detail ${number + 1} of ${tellings.length}`);
  }

  const shown = () => (state.mode === "grid" ? state.chosen : [...new Set([state.left, state.right])]);
  function needAll(box) {
    const { entry, mode } = state, exact = mode === "difference" || isMeasured(entry, box);
    const reduced = Math.min(OVERVIEW / Math.max(entry.width, entry.height), 1);
    const sharp = exact || state.scale * size.ratio > reduced;
    const methods = entry.truth && exact ? [...shown(), entry.truth] : shown();
    methods.forEach((method) => pictures.need(method, sharp ? box : null));
    shown().forEach((method) => entry.sides[method] || host.askSide(method));
    pictures.flush();
  }

  function schedule() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (camera.panels.length) paint();
    });
  }

  function paint() {
    const { entry, scale } = state, box = boxSeen();
    ui.stage.seen = { x: state.x, y: state.y, scale }; // beside `panels`: for whoever wants to find a pixel
    needAll(box);
    painter.paint(state, camera.panels, pictures, { ...size, box });
    const source = pictures.get(entry.truth ?? state.right) ?? pictures.get(state.right);
    if (source) paintNavigator(ui.navigator, source, entry, box);
    ui.stage.setAttribute("aria-busy", pictures.isBusy());
    ui.zoom.textContent = `${Math.round(scale * 100)} %`;
    ui.handle.style.left = `${state.split}%`;
    clearTimeout(timer);
    timer = setTimeout(settle, QUIET, box);
  }

  function settle(box) {
    host.look(box);
    const { mode, left, right, chosen, entry } = state;
    const names = mode === "grid" ? chosen.join(", ") : `${left} on the left, ${right} on the right`;
    const seen = `${entry.image}, ${MODES[mode]}: ${names}; ${ui.zoom.textContent}, box ${box.join(", ")}`;
    ui.stage.setAttribute("aria-label", seen);
    ui.canvas.setAttribute("aria-label", seen);
    ui.navigator.setAttribute("aria-label", `Whole image with the visible box ${box.join(", ")}`);
    ui.handle.setAttribute("aria-label", `Percent of the picture that shows ${left}, the rest shows ${right}`);
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
    const name = `${image} ${state.mode} ${boxSeen().join("-")}`;
    savePicture(ui.canvas, size.ratio, `${image} · box ${boxText()}${told}`, name);
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
      say("");
      state.x -= dx / state.scale;
      state.y -= dy / state.scale;
      schedule();
    },
    centre(x, y) {
      say("");
      Object.assign(state, { x: x * state.entry.width, y: y * state.entry.height });
      schedule();
    },
    zoom: (factor, px, py) => zoomAt(state.scale * factor, px, py),
    zoomTwice: (px, py) => (state.whole ? zoomAt(4 * Math.max(1, state.scale), px, py) : act.whole()),
    zoomIn() {
      const { scale } = state;
      setScale(scale < 1 ? Math.min(1, 2 * scale) : Math.max(even(1.5 * scale), even(scale) + 1 / camera.ratio));
    },
    zoomOut: () => setScale(even(state.scale / 1.5) || state.scale / 2),
    whole() {
      setScale(0);
      say("Whole image");
    },
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
