// A log: its end first, older parts on demand, followed until the reader scrolls up.

import { ask, follow, open } from "./api.js";
import { PLAIN, render } from "./ansi.js";
import { flash, h, setText } from "./dom.js";
import { bytes, plural } from "./format.js";

const TAIL = 64 * 1024;
const MOST = 5000; // lines kept as text, so that the browser's search and copying work
const LONGEST = 10_000; // characters of a line that are shown

/** Make the view; returns {element, show, toggleFollow, end, close}. */
export function view({ onAttempt }) {
  let ending = new AbortController();
  let place = null; // {key, task, attempt}
  let first = 0; // offset of the first byte shown
  let isFollowing = true;
  let rest = "";
  let style = PLAIN;
  let missed = 0;
  let openLine = null; // the element of a line that has no end yet

  const title = h("h2", {}, "Log");
  const size = h("span", { class: "count" });
  const attempts = h("select", { "aria-label": "Attempt", hidden: true, onchange: () => onAttempt(attempts.value) });
  const box = h("input", { type: "checkbox", checked: true, onchange: () => setFollowing(box.checked) });
  const wrap = h("input", { type: "checkbox", onchange: () => lines.classList.toggle("wrap", wrap.checked) });
  const lines = h("div", { class: "lines", role: "log", "aria-live": "off", "aria-label": "Log" });
  const older = h("button", { type: "button", class: "quiet older", hidden: true, onclick: loadOlder }, "Show what came before");
  const cut = h("p", { class: "log-state", hidden: true }, "Only the end is shown; Download has all of it.");
  const state = h("p", { class: "log-state" });
  const news = h("button", { type: "button", class: "news", hidden: true, onclick: () => setFollowing(true) });
  const error = h("p", { class: "reason failed", hidden: true });
  const pane = h("div", {
    class: "scroll pane", tabindex: 0, role: "region", "aria-label": "Log's text", onscroll: scrolled,
    onkeydown: (event) => {
      if (event.key === "End") setFollowing(true);
    },
  }, older, cut, lines, state);
  const element = h("section", { class: "log", "aria-label": "Log of the task" },
    h("div", { class: "row" }, title, size, attempts,
      h("label", {}, box, " Follow"), h("label", {}, wrap, " Wrap"),
      h("button", { type: "button", class: "quiet", onclick: download }, "Download")),
    error,
    h("div", { class: "pane-box" }, pane, news));

  function query(more) {
    const values = new URLSearchParams(more);
    if (place.task !== null) values.set("task", place.task);
    if (place.attempt) values.set("attempt", place.attempt);
    return values;
  }

  function address(more, below = "") {
    return `/v1/jobs/${encodeURIComponent(place.key)}/log${below}?${query(more)}`;
  }

  function show(wanted, name) {
    if (place && place.key === wanted.key && place.task === wanted.task && place.attempt === wanted.attempt) return;
    ending.abort();
    ending = new AbortController();
    place = wanted;
    first = null;
    rest = "";
    style = PLAIN;
    openLine = null;
    lines.replaceChildren();
    older.hidden = true;
    cut.hidden = true;
    setText(title, name);
    setText(size, "");
    setText(state, "Waiting for output …");
    setFollowing(true);
    const { signal } = ending;
    follow(address({ offset: -TAIL }, "/events"), {
      signal,
      onEvent(kind, document) {
        if (signal.aborted) return true;
        if (kind === "log") take(document);
        else if (kind === "end") {
          setText(state, lines.childElementCount ? "— end —" : "It printed nothing.");
          return true;
        }
        return false;
      },
    });
  }

  function take({ offset, text, size: whole, dropped }) {
    let begin = text;
    if (first === null) {
      first = offset;
      if (offset > 0) {
        // It begins within a line: leave out what is not whole.
        const at = text.indexOf("\n") + 1;
        first += new TextEncoder().encode(text.slice(0, at)).length;
        begin = text.slice(at);
      }
      older.hidden = first === 0;
    }
    if (dropped) begin = `\n[${bytes(dropped)} were left out here: the log was too large]\n${begin}`;
    setText(size, bytes(whole));
    if (begin) setText(state, "");
    const count = append(begin);
    if (isFollowing) pane.scrollTop = pane.scrollHeight;
    else if (count) {
      missed += count;
      news.hidden = false;
      setText(news, `${plural(missed, "new line")} ↓`);
    }
  }

  function append(text) {
    const parts = (rest + text).split("\n");
    rest = parts.pop();
    openLine?.remove();
    openLine = null;
    const made = parts.slice(-MOST).map(lineOf);
    if (rest) {
      const before = style;
      openLine = lineOf(rest);
      style = before;
      made.push(openLine);
    }
    lines.append(...made);
    while (isFollowing && lines.childElementCount > MOST) {
      lines.firstElementChild.remove();
      older.hidden = true;
      cut.hidden = false;
    }
    return parts.length;
  }

  function lineOf(text) {
    const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)} … ${plural(text.length - LONGEST, "further character")}` : text;
    const { nodes, style: next } = render(shown, style);
    style = next;
    return h("div", {}, nodes.length ? nodes : "\u200b");
  }

  async function loadOlder() {
    const { signal } = ending;
    const begin = Math.max(0, first - TAIL);
    let response;
    let text;
    try {
      response = await ask(address({ offset: begin, limit: first - begin }), { signal });
      text = await response.text();
    } catch (problem) {
      if (!signal.aborted) flash(problem.message, "bad");
      return;
    }
    let from = Number(response.headers.get("Factotum-Log-Offset"));
    if (from > 0 && from >= begin) {
      const at = text.indexOf("\n") + 1;
      from += new TextEncoder().encode(text.slice(0, at)).length;
      text = text.slice(at);
    }
    const before = pane.scrollHeight - pane.scrollTop;
    const now = style;
    style = PLAIN;
    const made = text.replace(/\n$/, "").split("\n").map(lineOf);
    style = now;
    lines.prepend(...made);
    first = from;
    older.hidden = from === 0 || lines.childElementCount > 4 * MOST;
    pane.scrollTop = pane.scrollHeight - before;
  }

  function scrolled() {
    const isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 24;
    if (isAtEnd !== isFollowing) setFollowing(isAtEnd, { isScrolled: true });
  }

  function setFollowing(value, { isScrolled = false } = {}) {
    isFollowing = value;
    box.checked = value;
    if (!value) return;
    missed = 0;
    news.hidden = true;
    if (!isScrolled) pane.scrollTop = pane.scrollHeight;
  }

  function download() {
    const part = place.task === null ? "run" : `task-${place.task}`;
    open(address({}), `job-${place.key}-${part}.log`);
  }

  return {
    element,
    show,
    setAttempts(count, number) {
      attempts.hidden = count < 2;
      if (attempts.childElementCount !== count) {
        attempts.replaceChildren(...Array.from({ length: count }, (_, at) =>
          h("option", { value: String(at + 1) }, `Attempt ${at + 1}`)));
      }
      attempts.value = String(number);
    },
    setError(text) {
      error.hidden = !text;
      setText(error, text);
    },
    toggleFollow: () => setFollowing(!isFollowing),
    close: () => ending.abort(),
  };
}
