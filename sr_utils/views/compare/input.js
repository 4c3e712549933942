// Keys, pointers and wheel become acts of the view.

const KEYS = {
  s: "split", b: "blink", g: "grid", d: "difference", n: "next", 0: "whole", "+": "zoomIn", "=": "zoomIn",
  "-": "zoomOut", c: "copy", p: "save",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const JUMPS = { PageDown: -10, PageUp: 10, Home: -100, End: 100 };

function bindKeys({ root, stage, handle }, state, act) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (button) act[button.dataset.act]();
  });
  root.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("select")) return;
    const name = KEYS[key.toLowerCase()] ?? (COUNTS.includes(+key) ? key : null);
    const onStage = target === stage || target === handle;
    const move = onStage && ARROWS[key];
    if (name) act[name]();
    else if (onStage && key === " ") event.repeat || act.hold(true);
    else if (move && state.mode === "split" && !event.shiftKey) act.split(state.split + move[0] - move[1]);
    else if (move) act.pan(-40 * move[0], -40 * move[1]);
    else if (onStage && key in JUMPS && state.mode === "split") act.split(state.split + JUMPS[key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  stage.addEventListener("keyup", (event) => event.key === " " && act.hold(false));
  stage.addEventListener("focusout", () => act.hold(false));
}

// One pointer drags the line or the picture, a click is an act of its own; two zoom and move the picture.
function bindPointer({ stage, handle }, state, act) {
  const pointers = new Map();
  let drag = null; // {split: whether the line is dragged, grip: its distance to the line, start, moved: no click}
  const position = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const follow = (event) => act.split(((position(event)[0] + drag.grip) / stage.clientWidth) * 100);

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const toLine = (state.split / 100) * stage.clientWidth - position(event)[0];
    const line = event.target === handle;
    const pinch = pointers.size > 1, split = line || (state.mode === "split" && state.whole);
    drag = { split: split && !pinch, grip: line ? toLine : 0, start: event, moved: line || pinch };
    (state.mode === "split" ? handle : stage).focus({ preventScroll: true });
  });
  stage.addEventListener("mousedown", (event) => event.preventDefault()); // or JupyterLab's cell takes the focus
  // One finger up or down scrolls the page; two must not.
  const onTouch = (event) => event.touches.length > 1 && event.preventDefault();
  stage.addEventListener("touchstart", onTouch, { passive: false });
  stage.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const centre = () => [...pointers.values()].reduce(([x, y], each) => {
      const [eachX, eachY] = position(each);
      return [x + eachX / pointers.size, y + eachY / pointers.size];
    }, [0, 0]);
    const spread = () => {
      const [a, b] = pointers.values();
      return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY) || 1;
    };
    const [fromX, fromY] = centre(), before = pointers.size === 2 && spread();
    pointers.set(event.pointerId, event);
    const [toX, toY] = centre();
    drag.moved ||= Math.hypot(event.clientX - drag.start.clientX, event.clientY - drag.start.clientY) > 3;
    if (drag.split) return follow(event);
    act.pan(toX - fromX, toY - fromY);
    if (before) act.zoom(spread() / before, toX, toY);
  });
  stage.addEventListener("lostpointercapture", (event) => {
    pointers.delete(event.pointerId);
    if (drag.moved || pointers.size) return;
    if (state.mode === "split") follow(event);
    else act.toggle();
  });
  stage.addEventListener("pointercancel", () => drag && (drag.moved = true));
  stage.addEventListener("dblclick", (event) => act.zoomTwice(...position(event)));
  const onWheel = (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the plain wheel scrolls the page
    event.preventDefault();
    act.zoom(2 ** clamp(-event.deltaY / 100, -1, 1), ...position(event));
  };
  stage.addEventListener("wheel", onWheel, { passive: false });
}

function bindNavigator({ navigator: map }, act) {
  const go = (event) => {
    const box = map.getBoundingClientRect();
    act.centre((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  map.addEventListener("pointerdown", (event) => {
    map.setPointerCapture(event.pointerId);
    go(event);
  });
  map.addEventListener("mousedown", (event) => event.preventDefault());
  map.addEventListener("pointermove", (event) => map.hasPointerCapture(event.pointerId) && go(event));
}
