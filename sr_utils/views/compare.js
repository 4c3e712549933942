// One before/after view, for the notebook's widget (render) and for the stand-alone page (renderPage).
// A pair is {image, height, width, note, left, right}; a side is {method, data, psnr, ssim}, see compare.py.

const MAX_WIDTH = 960, MAX_HEIGHT = 720; // CSS pixels of the picture
const MAX_SCALE = 32; // CSS pixels per image pixel

const TEMPLATE = `
  <div class="sr-compare-stage" role="group">
    <div class="sr-compare-left"></div>
    <div class="sr-compare-right"></div>
    <div class="sr-compare-handle" role="slider" tabindex="0"
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

async function load({ data, method }, image) {
  const src = typeof data === "string" ? data : URL.createObjectURL(new Blob([data])); // a page's URL, a widget's bytes
  const picture = element("img", { src, alt: `${image}, ${method}`, draggable: "false" });
  await picture.decode();
  URL.revokeObjectURL(src);
  return picture;
}

function scoreRows({ left, right, note }) {
  const row = (name, key, digits, unit) => {
    const text = (value) => (typeof value === "number" ? value.toFixed(digits).replace("-", "−") + unit : value);
    const gain = right[key] - left[key]; // NaN beside a word
    const texts = [text(left[key]), text(right[key]), gain > 0 ? `+${text(gain)}` : gain <= 0 ? text(gain) : ""];
    const cells = texts.map((value) => element("td", {}, value));
    return element("tr", {}, element("th", { scope: "row" }, `${name} ${note}`), ...cells);
  };
  const gainHead = Number.isFinite(right.ssim - left.ssim) ? "difference" : "";
  const heads = ["", left.method, right.method, gainHead].map((text) => element("th", { scope: "col" }, text));
  return [element("tr", {}, ...heads), row("PSNR", "psnr", 2, " dB"), row("SSIM", "ssim", 4, "")];
}

function createView(root) {
  root.classList.add("sr-compare-view");
  root.innerHTML = TEMPLATE;
  const [stage, left, right, handle, zoomLabel, scores] = ["stage", "left", "right", "handle", "zoom", "scores"].map(
    (name) => root.querySelector(`.sr-compare-${name}`),
  );
  let pair = null, calls = 0; // what is shown; how often show was called
  let fit = 1, scale = 1, x = 0, y = 0; // CSS pixels per image pixel, whole image and now; image's offset in the stage
  let split = 50; // percent of the stage's width
  let drag = null; // what a pointer moves: {split: true, grip: its distance to the line} or {split: false}, the image
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
    // JupyterLab must not take our keys for its own: "0 0" restarts the kernel, arrows change the cell
    for (const node of (root.closest(".sr-compare") ?? root).querySelectorAll("select, button, [role=slider]")) {
      node.setAttribute("data-lm-suppress-shortcuts", "true");
    }
    const whole = scale === fit;
    const byWidth = Math.min(root.clientWidth, MAX_WIDTH) / pair.width;
    const byHeight = Math.min(0.7 * innerHeight, MAX_HEIGHT) / pair.height;
    fit = Math.min(byWidth, byHeight);
    // Rather somewhat smaller, or higher, with image pixels of one size on the screen
    const even = Math.floor(Math.min(byWidth, 1.2 * byHeight) * devicePixelRatio) / devicePixelRatio;
    if (even > 0.7 * fit) fit = even;
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
  const followSplit = (event) => setSplit(((position(event)[0] + drag.grip) / stage.clientWidth) * 100);

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const toLine = (split / 100) * stage.clientWidth - position(event)[0];
    drag = event.target === handle ? { split: true, grip: toLine } : { split: scale === fit, grip: 0 };
    if (pointers.size === 2) drag.split = false; // a pinch
    if (drag.split) followSplit(event);
    handle.focus({ preventScroll: true });
  });
  stage.addEventListener("mousedown", (event) => event.preventDefault()); // or JupyterLab's cell takes the focus
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
  stage.addEventListener("dblclick", (event) => zoomTo(scale > fit ? fit : 4 * Math.max(1, fit), ...position(event)));
  const onWheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the plain wheel scrolls the page
    event.preventDefault();
    zoomTo(scale * 2 ** clamp(-event.deltaY / 100, -1, 1), ...position(event));
  };
  stage.addEventListener("wheel", onWheel, { passive: false });

  const jumps = { PageDown: -10, PageUp: 10, Home: -100, End: 100 };
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  const zooms = { "+": zoomIn, "=": zoomIn, "-": zoomOut, 0: zoomFit };
  handle.addEventListener("keydown", (event) => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key in jumps) setSplit(split + jumps[key]);
    else if (key in zooms) zooms[key]();
    else if (key in arrows && event.shiftKey) pan(-40 * arrows[key][0], 40 * arrows[key][1]);
    else if (key in arrows) setSplit(split + arrows[key][0] + arrows[key][1]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  async function show(next) {
    const call = ++calls;
    const pictures = await Promise.all([load(next.left, next.image), load(next.right, next.image)]);
    if (call !== calls) return; // a later choice has overtaken this one
    if (pair?.image !== next.image) scale = fit;
    pair = next;
    const names = [next.left.method, next.right.method];
    left.replaceChildren(pictures[0], element("span", { class: "sr-compare-name" }, names[0]));
    right.replaceChildren(pictures[1], element("span", { class: "sr-compare-name" }, names[1]));
    stage.setAttribute("aria-label", `${next.image}: ${names[0]} on the left, ${names[1]} on the right`);
    handle.setAttribute("aria-label", `Percent of the picture that shows ${names[0]}, the rest shows ${names[1]}`);
    scores.replaceChildren(...(next.left.ssim === null ? [] : scoreRows(next)));
    setSplit(split);
    layout();
  }

  const observer = new ResizeObserver(layout);
  observer.observe(root);
  return { show, close: () => observer.disconnect() };
}

function render({ model, el }) {
  const view = createView(el);
  const update = () => view.show(model.get("pair"));
  model.on("change:pair", update);
  update();
  return () => {
    model.off("change:pair", update);
    view.close();
  };
}

// An image is a pair with `methods`: [side, …]; its left and right only name the methods to begin with.
function renderPage(root, images) {
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
    const { methods, ...pair } = images[image.selectedIndex];
    const names = methods.map((side) => side.method);
    fill(left, names, names.includes(left.value) ? left.value : pair.left);
    fill(right, names, names.includes(right.value) ? right.value : pair.right);
    view.show({ ...pair, left: methods[left.selectedIndex], right: methods[right.selectedIndex] });
  };
  fill(image, images.map((pair) => pair.image), images[0].image);
  root.addEventListener("change", update);
  update();
}

export default { render };
