// What a reader can press, drag or type. Each mode and each step is an action of the view, with one key.

const MODES = { split: "Split", blink: "Blink", grid: "Side by side", difference: "Difference" };
const COUNTS = [2, 3, 4, 6, 8];
const MAPS = { gain: "right better or worse", left: "error of left", right: "error of right" };

const TEMPLATE = `
  <div class="sr-compare-bar">
    <label class="sr-compare-image">Image <select></select></label>
    <label class="sr-compare-left-method">Left <select></select></label>
    <label class="sr-compare-right-method">Right <select></select></label>
  </div>
  <div class="sr-compare-bar">
    <div class="sr-compare-modes" role="group" aria-label="Way to look">
      <button type="button" data-act="split" title="Two halves and a line to drag (S)">Split</button>
      <button type="button" data-act="blink" title="Left and right in one place (B); hold Space or click">Blink</button>
      <button type="button" data-act="grid" title="Several methods (G); 2, 3, 4, 6, 8 of them">Side by side</button>
      <button type="button" data-act="difference" title="Error as a map (D)">Difference</button>
    </div>
    <div class="sr-compare-counts" role="group" aria-label="How many methods"></div>
    <label class="sr-compare-map">Map <select></select></label>
    <span class="sr-compare-help"></span>
  </div>
  <fieldset class="sr-compare-methods"><legend>Methods</legend></fieldset>
  <div class="sr-compare-stage" role="group" tabindex="0">
    <canvas role="img"></canvas>
    <div class="sr-compare-handle" role="slider" tabindex="0"
      aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="100" aria-valuenow="50"></div>
  </div>
  <div class="sr-compare-bar">
    <button type="button" data-act="zoomOut" title="Zoom out (−)" aria-label="Zoom out">−</button>
    <span class="sr-compare-zoom"></span>
    <button type="button" data-act="zoomIn" title="Zoom in (+)" aria-label="Zoom in">+</button>
    <button type="button" data-act="whole" title="Show the whole image (0)">Whole</button>
    <button type="button" data-act="next" title="Where the two sides differ most (N)">Next detail</button>
    <button type="button" data-act="copy" title="Copy top, left, height, width of the box (C)">Copy view</button>
    <button type="button" data-act="save" title="Save what is seen as PNG (P)">Save picture</button>
    <span class="sr-compare-status" role="status"></span>
  </div>
  <div class="sr-compare-foot">
    <canvas class="sr-compare-navigator" role="img"></canvas>
    <div class="sr-compare-scores"></div>
  </div>`;

const HELP = {
  split: "Drag the line, or click. Drag the picture; Ctrl + wheel or two fingers zoom.",
  blink: "Hold the space bar or click: left ↔ right.",
  grid: "Drag one picture: all move.",
  difference: "",
};
function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function fill(select, names, value) {
  const options = names.map(([key, text]) => element("option", { value: key }, text));
  select.replaceChildren(...options);
  select.selectedIndex = names.findIndex(([key]) => key === value);
}

function buildControls(root) {
  root.classList.add("sr-compare-view");
  root.innerHTML = TEMPLATE;
  const find = (name) => root.querySelector(`.sr-compare-${name}`);
  const [image, left, right, map] = root.querySelectorAll("select");
  fill(map, Object.entries(MAPS), "gain");
  const counts = COUNTS.map((count) => element("button", { type: "button", "data-act": count }, `${count}`));
  find("counts").append(...counts);
  const parts = ["stage", "handle", "zoom", "navigator", "scores", "status", "counts", "map", "help", "methods"];
  return {
    image, left, right, mapSelect: map, canvas: find("stage").firstElementChild, root,
    ...Object.fromEntries(parts.map((name) => [name, find(name)])),
  };
}

// The first so many: both sides and the truth first, LR last, then in the order of the methods.
function chooseMethods({ entry: { methods, truth }, left, right }, count) {
  const ranks = new Map([[left, 0], [right, 1], [truth, 2], ["LR", 4]]);
  const ranked = [...methods].sort((a, b) => (ranks.get(a) ?? 3) - (ranks.get(b) ?? 3)).slice(0, count);
  return methods.filter((method) => ranked.includes(method));
}

// A box to tick for every method; `changed` is told.
function fillMethods(ui, state, changed) {
  const boxes = state.entry.methods.map((method) => {
    const box = element("input", { type: "checkbox" });
    box.checked = state.chosen.includes(method);
    box.addEventListener("change", () => {
      const isWanted = (name) => (name === method ? box.checked : state.chosen.includes(name));
      const wanted = state.entry.methods.filter(isWanted);
      box.checked ||= !wanted.length; // one stays
      if (wanted.length) state.chosen = wanted;
      changed();
    });
    return element("label", {}, box, method);
  });
  ui.methods.replaceChildren(ui.methods.firstElementChild, ...boxes);
  for (const button of ui.counts.children) button.disabled = +button.textContent > state.entry.methods.length;
}
