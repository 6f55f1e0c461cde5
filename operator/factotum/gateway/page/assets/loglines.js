// The lines of a log that are shown: numbered, one of them marked, with what is looked for in them.

import { PLAIN, plain, render } from "./ansi.js";
import { h, setAttribute } from "./dom.js";
import { plural } from "./format.js";

const LONGEST = 10_000; // characters of a line that are shown
const MOST_LIT = 5000; // places that are lit up at once
const LIGHT = "found";

/**
 * Make the lines.
 *
 * @param linkOf (number) gives a line's own address.
 * @param onPick (number or null) is told of a line that is picked, or let go.
 */
export function lines({ linkOf, onPick }) {
  let next = 1; // the number of the next line; null: nobody knows
  let rest = ""; // of a line that has no end yet
  let openLine = null;
  let style = PLAIN;
  let marked = null;
  let own = null; // the task whose lines are told apart from others'
  let byNumber = new Map();
  let wanted = { text: "", isExact: false };
  let ranges = [];

  const element = h("div", {
    class: "lines", role: "log", "aria-live": "off", "aria-label": "Log", onclick: clicked, onkeydown: pressed,
  });

  function clicked(event) {
    const line = event.target.closest(".at")?.parentElement;
    if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    onPick(line.number === marked ? null : line.number);
  }

  /** From number to number by arrows: one of them is in the order of Tab, not thousands. */
  function pressed(event) {
    const steps = { ArrowUp: "previousElementSibling", ArrowDown: "nextElementSibling" };
    const way = steps[event.key];
    if (!way || !event.target.matches(".at")) return;
    event.preventDefault();
    let to = event.target.parentElement[way];
    while (to && !to.querySelector(".at")) to = to[way];
    if (to) reach(to)?.focus();
  }

  /** Have Tab lead to a line's number. */
  function reach(line) {
    element.querySelector(".at[tabindex='0']")?.setAttribute("tabindex", "-1");
    const at = line?.querySelector(".at");
    at?.setAttribute("tabindex", "0");
    return at;
  }

  function lineOf(text, number) {
    const left = text.length - LONGEST;
    const shown = left > 0 ? `${text.slice(0, LONGEST)} … ${plural(left, "further character")}` : text;
    const { nodes, style: after } = render(shown, style);
    style = after;
    const line = h("div", { class: isOwn(text) ? "line own" : "line" },
      number === null ? null : h("a", {
        class: "at", href: linkOf(number), tabindex: -1, "aria-label": `Line ${number}`, data: { n: String(number) },
      }),
      h("span", { class: "text" }, nodes.length ? nodes : "\u200b"));
    line.number = number;
    if (number !== null) byNumber.set(number, line);
    if (number !== null && number === marked) show(line, true);
    return line;
  }

  /** As the runner writes lines where all tasks print into one log; a task cannot begin its lines otherwise. */
  function isOwn(text) {
    if (own === null) return false;
    const line = plain(text);
    return line.startsWith(`[${own}] `) || line.startsWith(`Task '${own}'`);
  }

  function noteOf(text) {
    return h("div", { class: "line between" }, h("span", { class: "text" }, text));
  }

  function fit(number) {
    if (number !== null) element.style.setProperty("--digits", String(Math.max(3, String(number).length)));
  }

  function show(line, isMarked) {
    line.classList.toggle("marked", isMarked);
    setAttribute(line.querySelector(".at"), "aria-current", isMarked ? "true" : null);
  }

  // --- lighting up -----------------------------------------------------------------------------

  /** Ranges need no elements of their own: the text stays as it is, and is never read as markup. */
  function light(some) {
    const { text, isExact } = wanted;
    if (!text || !globalThis.CSS?.highlights) return;
    const fold = (words) => (isExact ? words : words.toLowerCase());
    for (const line of some) {
      const part = line.querySelector(".text");
      const whole = fold(part.textContent);
      if (whole.length !== part.textContent.length) continue; // a capital of two letters
      for (let at = whole.indexOf(fold(text)); at >= 0; at = whole.indexOf(fold(text), at + text.length)) {
        if (ranges.length >= MOST_LIT) break;
        ranges.push(rangeOf(part, at, at + text.length));
      }
    }
    CSS.highlights.set(LIGHT, new Highlight(...ranges));
  }

  function rangeOf(part, begin, end) {
    const range = new Range();
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    let passed = 0;
    let isBegun = false;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const size = node.data.length;
      if (!isBegun && begin < passed + size) {
        range.setStart(node, begin - passed);
        isBegun = true;
      }
      if (end <= passed + size) {
        range.setEnd(node, end - passed);
        break;
      }
      passed += size;
    }
    return range;
  }

  function relight() {
    ranges = [];
    globalThis.CSS?.highlights?.delete(LIGHT);
    light(element.children);
  }

  return {
    element,
    reach,
    get first() {
      return [...element.children].find((line) => line.number !== undefined)?.number ?? null;
    },
    get count() {
      return element.childElementCount;
    },
    at: (number) => byNumber.get(number),

    /** Begin anew with a line's number. */
    reset(number) {
      next = number;
      rest = "";
      openLine = null;
      style = PLAIN;
      byNumber = new Map();
      element.replaceChildren();
      relight();
    },

    /** Tell apart a task's lines, by its name, among those that are added from now on; null: nobody's. */
    setOwn(name) {
      own = name;
    },

    /** Add text at the end; returns how many lines it ends. */
    append(text) {
      const parts = (rest + text).split("\n");
      rest = parts.pop();
      openLine?.remove();
      openLine = null;
      const made = parts.map((part) => {
        const line = lineOf(part, next);
        if (next !== null) next += 1;
        return line;
      });
      if (rest) {
        const before = style;
        openLine = lineOf(rest, next);
        style = before;
        made.push(openLine);
      }
      fit(next);
      element.append(...made);
      light(made);
      return parts.length;
    },

    /** Say something between two lines. */
    note(text) {
      rest = "";
      openLine = null;
      element.append(noteOf(text));
    },

    /** Add lines at the beginning, and a word on what is between them and those shown. */
    prepend(text, number, between) {
      const now = style;
      style = PLAIN;
      let at = number;
      const made = text.replace(/\n$/, "").split("\n").map((part) => {
        const line = lineOf(part, at);
        if (at !== null) at += 1;
        return line;
      });
      style = now;
      element.prepend(...made, ...(between ? [noteOf(between)] : []));
      light(made);
    },

    /** Keep so many lines at the end; returns whether some had to go. */
    trim(most) {
      const isMore = element.childElementCount > most;
      while (element.childElementCount > most) {
        const line = element.firstElementChild;
        if (byNumber.get(line.number) === line) byNumber.delete(line.number);
        line.remove();
      }
      if (isMore && ranges.length) relight();
      return isMore;
    },

    /** Mark a line, or none; returns it. */
    mark(number) {
      const before = byNumber.get(marked);
      if (before) show(before, false);
      marked = number;
      const line = byNumber.get(number);
      if (line) {
        show(line, true);
        reach(line);
      }
      return line;
    },

    /** Light a text up wherever it is shown. */
    find(text, isExact) {
      if (text === wanted.text && isExact === wanted.isExact) return;
      wanted = { text, isExact };
      relight();
    },
  };
}
