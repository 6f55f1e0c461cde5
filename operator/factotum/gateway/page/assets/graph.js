// The graph: drawn once from the server's layout, only what is in view, coloured by each change.

import { h, s, setAttribute, setText } from "./dom.js";
import { duration, plural, taskPhase, visible } from "./format.js";

const PAD = 12;
const HEAD = 26;
const STEP = 18;
const TILE = 14;
const MAX_EDGES = 20_000;
const PLAIN = 0.35; // below this zoom no text could be read
const NAME = 19;

/** Draw a graph; returns {element, setTask, select, critical, show, ...}. */
export function draw(shape, { onSelect }) {
  const home = new Map();
  shape.boxes.forEach((box, number) => box.tasks.forEach((task) => home.set(task, number)));
  const children = shape.boxes.map(() => []);
  shape.boxes.forEach((box, number) => box.parents.forEach((parent) => children[parent].push(number)));
  const tasks = shape.names.map((name) => ({ name, state: "WAITING", seconds: null }));
  const drawn = new Map();
  const view = { x: 0, y: 0, zoom: 1 };
  let selected = null;
  let onPath = new Set();
  let longest = 0;
  let isPathShown = true;
  let frame = 0;

  const edges = s("g", { class: "edges" });
  const pathEdges = s("g", { class: "edges critical" });
  const boxes = s("g");
  const scene = s("g", {}, edges, pathEdges, boxes);
  const svg = s("svg", { "aria-hidden": "true" }, scene);
  const about = h("span", { class: "about" });
  const path = h("button", {
    type: "button", class: "chip", "aria-pressed": "true",
    onclick: () => {
      isPathShown = !isPathShown;
      setAttribute(path, "aria-pressed", String(isPathShown));
      redraw();
    },
  }, "Critical path");
  const stage = h("div", {
    class: "stage", tabindex: 0, role: "group",
    "aria-label": `Graph of ${shape.names.length} tasks. Arrow keys go from task to task, plus and minus zoom, zero shows all; the table has the same.`,
  }, svg);
  stage.style.height = `${Math.round(Math.max(170, Math.min(shape.height + 30, innerHeight * 0.42)))}px`;
  const element = h("section", { class: "graph", "aria-label": "Graph" },
    h("div", { class: "row graph-tools" }, about, path,
      h("button", { type: "button", class: "icon", "aria-label": "Zoom out", onclick: () => zoomBy(0.8) }, "−"),
      h("button", { type: "button", class: "icon", "aria-label": "Zoom in", onclick: () => zoomBy(1.25) }, "+"),
      h("button", { type: "button", class: "icon", "aria-label": "Show all", title: "Show all (0)", onclick: fit }, "⤢")),
    stage);

  const lines = [];
  let left = 0;
  shape.boxes.forEach((box, number) => {
    for (const parent of box.parents) {
      if (lines.length < MAX_EDGES) lines.push([parent, number]);
      else left += 1;
    }
  });
  edges.append(s("path", { d: lines.map(curve).join("") }));

  function curve([from, to]) {
    const a = shape.boxes[from];
    const b = shape.boxes[to];
    const x1 = a.x + a.width;
    const y1 = a.y + a.height / 2;
    const y2 = b.y + b.height / 2;
    const bend = Math.max(24, (b.x - x1) / 2);
    return `M${x1} ${y1}C${x1 + bend} ${y1} ${b.x - bend} ${y2} ${b.x} ${y2}`;
  }

  // --- what is in view -----------------------------------------------------------------------

  function redraw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      scene.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.zoom})`);
      const isPlain = view.zoom < PLAIN;
      stage.classList.toggle("plain", isPlain);
      const edge = 80;
      const x1 = (-view.x - edge) / view.zoom;
      const y1 = (-view.y - edge) / view.zoom;
      const x2 = (stage.clientWidth - view.x + edge) / view.zoom;
      const y2 = (stage.clientHeight - view.y + edge) / view.zoom;
      shape.boxes.forEach((box, number) => {
        const isIn = box.x < x2 && box.x + box.width > x1 && box.y < y2 && box.y + box.height > y1;
        const known = drawn.get(number);
        if (isIn && !known) {
          const made = box.columns ? makeFrame(box) : makeTask(box);
          drawn.set(number, made);
          boxes.append(made.element);
          made.patch();
        } else if (!isIn && known) {
          known.element.remove();
          drawn.delete(number);
        } else if (known) known.patch();
      });
      drawPath();
    });
  }

  function drawPath() {
    path.hidden = !onPath.size;
    const chain = isPathShown ? [...onPath] : [];
    const steps = chain.slice(1).map((number, at) => [chain[at], number]);
    const d = steps.map(curve).join("");
    if (pathEdges.dataset.d !== d) {
      pathEdges.dataset.d = d;
      pathEdges.replaceChildren(s("path", { d }));
    }
  }

  function makeTask(box) {
    const [task] = box.tasks;
    const sign = s("text", { x: 12, y: 19, class: "sign" });
    const name = s("text", { x: 30, y: 19, class: "name" });
    const time = s("text", { x: box.width - 10, y: 36, class: "time" });
    const word = s("text", { x: 30, y: 36, class: "word" });
    const share = s("rect", { x: 8, y: box.height - 5, height: 2.5, rx: 1, width: 0, class: "share" });
    const title = s("title");
    const shown = visible(tasks[task].name);
    setText(name, shown.length > NAME ? `${shown.slice(0, NAME - 1)}…` : shown);
    const group = s("g", {
      transform: `translate(${box.x} ${box.y})`, data: { task },
      onclick: () => onSelect(task),
    }, title, s("rect", { width: box.width, height: box.height, rx: 8, class: "box" }), sign, name, word, time, share);
    return {
      element: group,
      patch() {
        const { state, seconds } = tasks[task];
        const { key, word: phrase, sign: mark } = taskPhase(state);
        const isOn = isPathShown && onPath.has(home.get(task));
        setAttribute(group, "class", `task ${key}${task === selected ? " selected" : ""}${isOn ? " critical" : ""}`);
        setText(sign, mark);
        setText(word, phrase);
        setText(time, duration(seconds));
        setText(title, `${shown}: ${phrase}${seconds === null ? "" : `, ${duration(seconds)}`}`);
        setAttribute(share, "width", longest && seconds ? ((box.width - 16) * seconds) / longest : 0);
      },
    };
  }

  function makeFrame(box) {
    const head = s("text", { x: PAD, y: 18, class: "name" });
    const tiles = box.tasks.map((task, at) => {
      const title = s("title");
      const x = PAD + (at % box.columns) * STEP;
      const y = HEAD + Math.floor(at / box.columns) * STEP;
      return s("rect", {
        x, y, width: TILE, height: TILE, rx: 3, data: { task },
        onclick: (event) => {
          event.stopPropagation();
          onSelect(task);
        },
      }, title);
    });
    const group = s("g", { transform: `translate(${box.x} ${box.y})`, class: "frame" },
      s("rect", { width: box.width, height: box.height, rx: 8, class: "box" }), head, tiles);
    const seen = [];
    return {
      element: group,
      patch() {
        const counts = {};
        box.tasks.forEach((task, at) => {
          const { key, word } = taskPhase(tasks[task].state);
          counts[key] = (counts[key] ?? 0) + 1;
          const look = `tile ${key}${task === selected ? " selected" : ""}`;
          if (seen[at] === look) return;
          seen[at] = look;
          tiles[at].setAttribute("class", look);
          setText(tiles[at].firstChild, `${visible(tasks[task].name)}: ${word}`);
        });
        const parts = [["failed", "✕"], ["running", "▶"], ["succeeded", "✓"]]
          .filter(([key]) => counts[key]).map(([key, sign]) => `${counts[key]} ${sign}`);
        setText(head, [`${box.tasks.length} tasks`, ...parts].join("  "));
        const isOn = isPathShown && onPath.has(home.get(box.tasks[0]));
        setAttribute(group, "class", `frame${isOn ? " critical" : ""}`);
      },
    };
  }

  // --- the critical path ---------------------------------------------------------------------

  /** Find the chain of boxes that took longest, by what is known now. */
  function critical() {
    const cost = shape.boxes.map((box) => Math.max(0, ...box.tasks.map((task) => tasks[task].seconds ?? 0)));
    const total = [];
    const before = [];
    let last = null;
    // Boxes are in the order of their levels: parents come first.
    shape.boxes.forEach((box, number) => {
      before[number] = null;
      let most = 0;
      for (const parent of box.parents) {
        if (before[number] === null || total[parent] > most) {
          most = total[parent];
          before[number] = parent;
        }
      }
      total[number] = most + cost[number];
      if (cost[number] > 0 && (last === null || total[number] > total[last])) last = number;
    });
    const chain = [];
    for (let number = last; number !== null; number = before[number]) chain.unshift(number);
    onPath = new Set(chain);
    longest = Math.max(0, ...cost);
    const left_ = left ? `, ${left.toLocaleString()} edges not drawn` : "";
    const takes = last === null ? "" : `, critical path ${duration(total[last])}`;
    setText(about, `${plural(shape.names.length, "task")}${takes}${left_}`);
    redraw();
  }

  // --- moving --------------------------------------------------------------------------------

  /** Show all of it. */
  function fit() {
    place(Math.min((stage.clientWidth - 8) / shape.width, (stage.clientHeight - 8) / shape.height));
  }

  function place(zoom) {
    view.zoom = Math.max(0.01, Math.min(1, zoom));
    view.x = Math.max(4, (stage.clientWidth - shape.width * view.zoom) / 2);
    view.y = Math.max(0, (stage.clientHeight - shape.height * view.zoom) / 2);
    redraw();
  }

  /** Show all of it, or as much as can be read of one that is too wide for that: around what is selected. */
  function show() {
    fit();
    const byHeight = (stage.clientHeight - 8) / shape.height;
    const isChain = shape.width / stage.clientWidth > 4;
    if (view.zoom >= PLAIN || !(byHeight >= PLAIN || isChain)) return;
    place(Math.max(0.5, Math.min(byHeight, 0.8)));
    if (selected !== null) reveal(selected);
  }

  function zoomBy(factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const zoom = Math.max(0.01, Math.min(3, view.zoom * factor));
    view.x = x - ((x - view.x) * zoom) / view.zoom;
    view.y = y - ((y - view.y) * zoom) / view.zoom;
    view.zoom = zoom;
    redraw();
  }

  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const place = stage.getBoundingClientRect();
    if (event.ctrlKey || event.metaKey || !event.shiftKey) {
      zoomBy(Math.exp(-event.deltaY / 500), event.clientX - place.left, event.clientY - place.top);
    } else {
      view.x -= event.deltaY;
      redraw();
    }
  }, { passive: false });
  let held = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0) held = { x: event.clientX, y: event.clientY, moved: false };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!held || !event.buttons) return;
    const dx = event.clientX - held.x;
    const dy = event.clientY - held.y;
    if (!held.moved && Math.hypot(dx, dy) < 4) return;
    if (!held.moved) stage.setPointerCapture(event.pointerId);
    held = { x: event.clientX, y: event.clientY, moved: true };
    view.x += dx;
    view.y += dy;
    redraw();
  });
  stage.addEventListener("pointerup", () => (held = null));
  stage.addEventListener("keydown", (event) => {
    const keys = {
      "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8), 0: fit,
      ArrowRight: () => step(1, 0), ArrowLeft: () => step(-1, 0),
      ArrowDown: () => step(0, 1), ArrowUp: () => step(0, -1),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  });

  /** Select what is next to the selected task: along the edges, or in its box and level. */
  function step(along, across) {
    if (selected === null) return onSelect(0);
    const number = home.get(selected);
    const box = shape.boxes[number];
    if (along) {
      const [next] = along > 0 ? children[number] : box.parents;
      if (next !== undefined) onSelect(shape.boxes[next].tasks[0]);
      return undefined;
    }
    const level = shape.boxes.filter((each) => each.level === box.level).flatMap((each) => each.tasks);
    const next = level[level.indexOf(selected) + across];
    if (next !== undefined) onSelect(next);
    return undefined;
  }

  function reveal(task) {
    const box = shape.boxes[home.get(task)];
    const x = box.x * view.zoom + view.x;
    const y = box.y * view.zoom + view.y;
    if (x < 0 || x + box.width * view.zoom > stage.clientWidth) {
      view.x = stage.clientWidth / 2 - (box.x + box.width / 2) * view.zoom;
    }
    if (y < 0 || y + box.height * view.zoom > stage.clientHeight) {
      view.y = stage.clientHeight / 2 - (box.y + box.height / 2) * view.zoom;
    }
  }

  let size = "";
  const watcher = new ResizeObserver(() => {
    const now = `${stage.clientWidth}`;
    if (now !== size) {
      size = now;
      show();
    } else redraw();
  });
  watcher.observe(stage);
  critical();
  return {
    element,
    critical,
    show,
    redraw,
    close: () => watcher.disconnect(),
    setTask(index, state, seconds) {
      const task = tasks[index];
      if (task) Object.assign(task, { state, seconds });
    },
    select(task) {
      selected = task;
      if (task !== null && home.has(task)) reveal(task);
      redraw();
    },
  };
}
