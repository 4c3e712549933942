// One before/after view, for the notebook's widget (render) and for the stand-alone page (renderPage).
// A pair is {image, height, width, note, left, right}; a side is {method, src, psnr, ssim}.

const MAX_WIDTH = 960, MAX_HEIGHT = 720; // CSS pixels of the picture
const MAX_SCALE = 32; // CSS pixels per image pixel

// data-lm-suppress-shortcuts: JupyterLab must not take our keys for its own ("0 0" restarts the kernel)
const TEMPLATE = `
  <div class="sr-compare-stage" role="group">
    <div class="sr-compare-left"></div>
    <div class="sr-compare-right"></div>
    <div class="sr-compare-handle" role="slider" tabindex="0" data-lm-suppress-shortcuts="true"
      aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="100"></div>
  </div>
  <div class="sr-compare-bar">
    <button type="button" title="Zoom out (−)" aria-label="Zoom out">−</button>
    <button type="button" title="Show the whole image (0)">Fit</button>
    <button type="button" title="Zoom in (+)" aria-label="Zoom in">+</button>
    <span class="sr-compare-zoom" role="status"></span>
    <span class="sr-compare-help">Drag the line. Double-click or Ctrl + wheel to zoom, then drag the picture.</span>
  </div>
  <table class="sr-compare-scores"></table>`;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

async function load({ src, method }, image) {
  const picture = element("img", { src, alt: `${image}, ${method}`, draggable: "false" });
  await picture.decode();
  URL.revokeObjectURL(src); // frees the widget's blobs; a data URL is left as it is
  return picture;
}

function scoreRows({ left, right, note }) {
  const row = (name, key, digits, unit) => {
    const text = (value) => (typeof value === "number" ? value.toFixed(digits).replace("-", "−") + unit : value);
    const [a, b] = [left[key], right[key]];
    const gain = typeof a === "number" && typeof b === "number" ? (b > a ? "+" : "") + text(b - a) : "";
    const cells = [text(a), text(b), gain].map((cell) => element("td", {}, cell));
    return element("tr", {}, element("th", { scope: "row" }, `${name} ${note}`), ...cells);
  };
  const heads = ["", left.method, right.method, "difference"].map((name) => element("th", { scope: "col" }, name));
  return [element("tr", {}, ...heads), row("PSNR", "psnr", 2, " dB"), row("SSIM", "ssim", 4, "")];
}

function createView(root) {
  root.classList.add("sr-compare-view");
  root.innerHTML = TEMPLATE;
  const [stage, left, right, handle, zoomLabel, scores] = ["stage", "left", "right", "handle", "zoom", "scores"].map(
    (name) => root.querySelector(`.sr-compare-${name}`),
  );
  let pair = null, turn = 0; // what is shown; number of calls of show
  let fit = 1, scale = 1, x = 0, y = 0; // CSS pixels per image pixel, whole image and now; image's offset in the stage
  let split = 50; // percent of the stage's width
  let drag = null; // what the pointer that is down moves: the split (with its distance to the line), or the image
  const pointers = new Map();

  function setSplit(percent) {
    split = clamp(percent, 0, 100);
    left.style.clipPath = `inset(0 ${100 - split}% 0 0)`;
    right.style.clipPath = `inset(0 0 0 ${split}%)`;
    handle.style.left = `${split}%`;
    handle.setAttribute("aria-valuenow", Math.round(split));
  }

  function paint() {
    const width = pair.width * scale, height = pair.height * scale;
    x = Math.round(clamp(x, stage.clientWidth - width, 0));
    y = Math.round(clamp(y, stage.clientHeight - height, 0));
    for (const picture of stage.querySelectorAll("img")) {
      const shrunk = picture.naturalWidth > width * devicePixelRatio; // unsmoothed it would lose pixels: aliasing
      const place = { width: `${width}px`, height: `${height}px`, transform: `translate(${x}px, ${y}px)` };
      Object.assign(picture.style, place, { imageRendering: shrunk ? "auto" : "pixelated" });
    }
    stage.classList.toggle("sr-compare-zoomed", scale > fit);
    zoomLabel.textContent = `${Math.round(scale * 100)} %`;
  }

  function layout() {
    if (!pair || !root.clientWidth) return;
    const whole = scale === fit;
    const room = clamp(0.8 * innerHeight, 240, MAX_HEIGHT);
    fit = Math.min(Math.min(root.clientWidth, MAX_WIDTH) / pair.width, room / pair.height);
    const even = Math.floor(fit * devicePixelRatio) / devicePixelRatio; // all image pixels of one size on the screen
    if (even > 0.6 * fit) fit = even;
    stage.style.width = `${Math.round(pair.width * fit)}px`;
    stage.style.height = `${Math.round(pair.height * fit)}px`;
    scale = whole ? fit : Math.max(scale, fit);
    paint();
  }

  // The point of the image at (cx, cy), in stage pixels, stays where it is.
  function zoomTo(next, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) {
    next = clamp(next, fit, Math.max(fit, MAX_SCALE));
    x = cx - ((cx - x) * next) / scale;
    y = cy - ((cy - y) * next) / scale;
    scale = next;
    paint();
  }
  const zoomFit = () => zoomTo(fit);
  const zoomIn = () => zoomTo(scale < 1 ? 1 : scale * 2);
  const zoomOut = () => zoomTo(scale <= 1 ? fit : scale / 2);
  [zoomOut, zoomFit, zoomIn].forEach((zoom, i) => root.querySelectorAll("button")[i].addEventListener("click", zoom));

  function pan(dx, dy) {
    x += dx;
    y += dy;
    paint();
  }

  const position = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const followSplit = (event) => setSplit(((position(event)[0] + drag.offset) / stage.clientWidth) * 100);

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const onHandle = event.target === handle; // the line must not jump below the pointer that takes it
    const offset = onHandle ? (split / 100) * stage.clientWidth - position(event)[0] : 0;
    drag = { split: onHandle || scale === fit, offset };
    if (drag.split) followSplit(event);
    handle.focus({ preventScroll: true });
  });
  stage.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const distance = () => {
      const [a, b] = pointers.values();
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    };
    const before = pointers.size === 2 && distance();
    pointers.set(event.pointerId, event);
    if (before) zoomTo((scale * distance()) / before, ...position(event));
    else if (drag.split) followSplit(event);
    else pan(event.clientX - last.clientX, event.clientY - last.clientY);
  });
  stage.addEventListener("lostpointercapture", (event) => pointers.delete(event.pointerId));
  stage.addEventListener("dblclick", (event) => zoomTo(scale > fit ? fit : Math.max(1, fit) * 4, ...position(event)));
  const wheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the plain wheel scrolls the page
    event.preventDefault();
    zoomTo(scale * 2 ** clamp(-event.deltaY / 100, -1, 1), ...position(event));
  };
  stage.addEventListener("wheel", wheel, { passive: false });

  const keys = { PageDown: -10, PageUp: 10, Home: -100, End: 100 };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const zooms = { "+": zoomIn, "=": zoomIn, "-": zoomOut, 0: zoomFit };
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (key in keys) setSplit(split + keys[key]);
    else if (key in zooms) zooms[key]();
    else if (key in arrows && event.shiftKey) pan(-40 * arrows[key][0], 40 * arrows[key][1]);
    else if (key in arrows) setSplit(split + arrows[key][0] + arrows[key][1]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  async function show(next) {
    const mine = ++turn;
    const pictures = await Promise.all([load(next.left, next.image), load(next.right, next.image)]);
    if (mine !== turn) return; // a later choice has overtaken this one
    if (pair?.image !== next.image) scale = fit;
    pair = next;
    const names = [next.left.method, next.right.method];
    [left, right].forEach((side, i) =>
      side.replaceChildren(pictures[i], element("span", { class: "sr-compare-name" }, names[i])),
    );
    stage.setAttribute("aria-label", `${next.image}: ${names[0]} on the left, ${names[1]} on the right`);
    handle.setAttribute("aria-label", `Split: ${names[0]} on the left, ${names[1]} on the right, percent`);
    scores.replaceChildren(...(next.left.psnr === null ? [] : scoreRows(next)));
    setSplit(split);
    layout();
  }

  const observer = new ResizeObserver(layout);
  observer.observe(root);
  return { show, close: () => observer.disconnect() };
}

function render({ model, el }) {
  const view = createView(el);
  const update = () => {
    const pair = model.get("pair");
    const side = (name) => {
      const blob = new Blob([model.get(`${name}_image`)], { type: "image/png" });
      return { ...pair[name], src: URL.createObjectURL(blob) };
    };
    view.show({ ...pair, left: side("left"), right: side("right") });
  };
  model.on("change:pair", update);
  update();
  return () => {
    model.off("change:pair", update);
    view.close();
  };
}

// data: {note, images: [{image, height, width, left, right, methods: [side, …]}]}; left, right: methods to begin with.
function renderPage(root, { note, images }) {
  root.innerHTML = `<div class="sr-compare-choices">
    <label class="sr-compare-image">Image <select></select></label>
    <label class="sr-compare-left-method">Left <select></select></label>
    <label class="sr-compare-right-method">Right <select></select></label></div><div></div>`;
  const view = createView(root.lastElementChild);
  const [image, left, right] = root.querySelectorAll("select");
  const fill = (select, names, wanted) => {
    select.replaceChildren(...names.map((name) => element("option", {}, name)));
    select.selectedIndex = names.indexOf(wanted);
  };
  const update = () => {
    const chosen = images[image.selectedIndex];
    const names = chosen.methods.map((side) => side.method);
    for (const [select, first] of [[left, chosen.left], [right, chosen.right]]) {
      fill(select, names, names.includes(select.value) ? select.value : first);
    }
    view.show({ ...chosen, note, left: chosen.methods[left.selectedIndex], right: chosen.methods[right.selectedIndex] });
  };
  fill(image, images.map((entry) => entry.image), images[0].image);
  root.addEventListener("change", update);
  update();
}

export default { render };
