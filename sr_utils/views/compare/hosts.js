// Where a view gets its pixels and figures: from the kernel (render), or from the page itself (renderPage).

function render({ model, el }) {
  const send = (message) => model.send({ image: model.get("image"), ...message });
  const asked = new Set();
  const view = createView(el, {
    ask: (pieces) => send({ pieces }),
    askDetails: (left, right) => send({ details: [left, right] }),
    askSide(method) {
      const key = `${model.get("image")}\n${method}`;
      if (!asked.has(key)) send({ side: method });
      asked.add(key);
    },
    choose(what, value) {
      model.set(what, value);
      model.save_changes();
    },
    look(box) {
      model.set("box", box);
      model.save_changes();
    },
  });
  const update = () => {
    asked.clear();
    view.fillImages(model.get("names"), model.get("image"));
    view.open(model.get("entry"), model.get("left"), model.get("right"));
  };
  const follow = () => {
    for (const what of ["left", "right"]) {
      const value = model.get(what);
      if (value !== view.state[what] && view.state.entry.methods.includes(value)) view.choosePair(what, value);
    }
  };
  const receive = (answer, buffers) => {
    if (answer.image !== view.state.entry.image) return; // another one has been chosen
    answer.pieces?.forEach((piece, i) => view.arrive({ ...piece, data: buffers[i] }));
    if (answer.side) view.tellSide(answer.side.method, answer.side);
    const { left, right } = view.state;
    if (answer.details && `${answer.pair}` === `${[left, right]}`) view.tellDetails(answer.details);
  };
  const listeners = { "change:entry": update, "change:left": follow, "change:right": follow, "msg:custom": receive };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  update();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
    view.close();
  };
}

function renderPage(root, images) {
  let entry = null, view = null;
  const detailsOf = (a, b) => entry.details[a][b] ?? entry.details[b][a];
  const open = (name) => {
    const { left, right } = view.state;
    entry = images.find(({ image }) => image === name);
    const keep = (kept, own) => (entry.methods.includes(kept) ? kept : own);
    const pair = [keep(left, entry.left), keep(right, entry.right)];
    view.fillImages(images.map(({ image }) => image), name);
    view.open({ ...entry, whole: true, details: detailsOf(...pair), pieces: [] }, ...pair);
  };
  view = createView(root, {
    ask(pieces) {
      for (const [method] of pieces.filter(([, box]) => !box)) {
        view.arrive({ method, box: [0, 0, entry.height, entry.width], step: 1, data: entry.sides[method].data });
      }
    },
    askSide() {},
    askDetails: (left, right) => view.tellDetails(detailsOf(left, right)),
    choose: (what, value) => what === "image" && open(value),
    look() {},
  });
  open(images[0].image);
  if (window === parent) return;
  // In a frame: whoever shows it makes it as high as it is, and knows that it lives
  const tell = () => parent.postMessage({ srCompareHeight: document.documentElement.offsetHeight }, "*");
  tell(); // a browser calls no observer while the frame is off the screen
  new ResizeObserver(tell).observe(document.documentElement);
}

export default { render };
