// Looks for a text in all of a log: the server does, some megabytes at a time.

import { get } from "../shared/api.js";
import { h, setText } from "../shared/dom.js";

const PAUSE = 200; // milliseconds without a key
const STEP = 1000; // matches of one answer
const MOST = 20_000; // matches that are known at once
const LINE = /^:\s*([1-9]\d{0,8})$/;

/**
 * Make the search.
 *
 * @param addressOf (values) gives where to ask.
 * @param markOf () gives the number of the line that is marked; null: none is.
 * @param placeOf () gives the number of the first line that a reader sees.
 * @param onText (text, isExact) is told what is looked for now.
 * @param onLine (number) is told of the line to go to.
 */
export function search({ addressOf, markOf, placeOf, onText, onLine }) {
  let ending = new AbortController();
  let timer = 0;
  let isPending = false; // keys were pressed since the search began
  let matches = [];
  let current = -1;
  let go = null; // where to ask on
  let isFinished = false;
  let failure = "";
  let asking = null;

  const field = h("input", {
    type: "search", class: "find", id: "find", placeholder: "Search all of it, or :120 for a line", maxlength: 200,
    "aria-label": "Search the log", autocomplete: "off", spellcheck: "false",
    oninput: () => {
      clearTimeout(timer);
      isPending = true;
      timer = setTimeout(begin, PAUSE);
    },
    onkeydown: (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      step(event.shiftKey ? -1 : 1);
    },
  });
  const exact = h("input", { type: "checkbox", onchange: begin });
  const told = h("span", { class: "found", role: "status" });
  const before = h("button", { type: "button", class: "icon", disabled: true, "aria-label": "Previous match", title: "Previous (Shift+Enter)", onclick: () => step(-1) }, "↑");
  const after = h("button", { type: "button", class: "icon", disabled: true, "aria-label": "Next match", title: "Next (Enter)", onclick: () => step(1) }, "↓");
  const element = h("search", { class: "row" }, field, told, before, after, h("label", {}, exact, " Match case"));

  const wanted = () => (LINE.test(field.value.trim()) ? "" : field.value);

  function tell() {
    const count = matches.length.toLocaleString() + (isFinished ? "" : "+");
    const lines = `line${matches.length === 1 && isFinished ? "" : "s"}`;
    let text = "";
    if (failure) text = failure;
    else if (wanted() && matches.length) text = current < 0 ? `${count} ${lines}` : `${(current + 1).toLocaleString()} of ${count} ${lines}`;
    else if (wanted()) text = isFinished ? "nowhere" : "searching …";
    setText(told, text);
    before.disabled = after.disabled = !matches.length;
  }

  /** Look for what is in the field, from the log's beginning on. */
  function begin() {
    clearTimeout(timer);
    isPending = false;
    ending.abort();
    ending = new AbortController();
    matches = [];
    current = -1;
    go = { offset: 0, line: 1 };
    isFinished = false;
    failure = "";
    asking = null;
    onText(wanted(), exact.checked);
    tell();
    if (wanted()) askOn();
  }

  /** Ask until all is known, or enough; one at a time. */
  function askOn() {
    asking ??= all(ending.signal).finally(() => (asking = null));
    return asking;
  }

  async function all(signal) {
    const enough = matches.length + MOST;
    try {
      do {
        const values = { text: wanted(), offset: go.offset, limit: STEP };
        if (go.line !== null) values.line = go.line;
        if (exact.checked) values.exact = "true";
        const found = await get(addressOf(values), signal);
        if (signal.aborted) return;
        // A line that had no end yet comes again.
        const last = matches.at(-1)?.offset ?? -1;
        matches.push(...found.matches.filter((match) => match.offset > last));
        go = found.next;
        isFinished = found.finished;
        failure = "";
        if (current < 0 && markOf() !== null) current = matches.findIndex((match) => match.line === markOf());
        tell();
      } while (!isFinished && matches.length < enough);
    } catch (problem) {
      if (signal.aborted) return;
      failure = problem.message;
      tell();
    }
  }

  async function step(way) {
    const number = LINE.exec(field.value.trim());
    if (number) {
      onLine(Number(number[1]));
      return;
    }
    if (!wanted()) return;
    if (isPending) begin();
    const { signal } = ending;
    const from = markOf() ?? placeOf();
    const firstFrom = () => matches.findIndex((match) => match.line === null || match.line >= from);
    const isKnown = current < 0 ? firstFrom() >= 0 : way < 0 || current < matches.length - 1;
    if (!isKnown) await askOn(); // it may have grown
    if (signal.aborted || !matches.length) return;
    if (current < 0) {
      const at = firstFrom();
      current = way > 0 ? Math.max(at, 0) : (at < 0 ? matches.length : at) - 1;
    } else current += way;
    current = (current + matches.length) % matches.length;
    tell();
    onLine(matches[current].line, matches[current].offset);
  }

  return {
    element,
    focus() {
      field.focus();
      field.select();
    },
    /** Look for what a link says; in another log, for the same anew. */
    show(text, { isNew }) {
      if (text !== wanted()) {
        field.value = text;
        begin();
      } else if (isNew && text) begin();
    },
    close() {
      clearTimeout(timer);
      ending.abort();
    },
  };
}
