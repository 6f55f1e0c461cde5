// A log: its end first and followed, or the lines around one that a link leads to; other parts on demand.

import { ask, follow, getAtLast, open } from "./api.js";
import { flash, h, setText } from "./dom.js";
import { bytes, plural, visible } from "./format.js";
import * as shownLines from "./loglines.js";
import { search as makeSearch } from "./logsearch.js";

const PART = 64 * 1024;
const MOST = 5000; // lines kept as text, so that the browser's search and copying work
const OVER = ["SUCCEEDED", "SUCCEEDED_NO_OP", "FAILED"]; // states of tasks that have said all they had to say
const LAST = 10_000; // lines of a task behind the word of its end: what its pipe may have held back
const NEAR = 400; // pixels to the end at which more is fetched

/**
 * Make the view; returns {element, show, toggleFollow, search, close, ...}.
 *
 * @param onAttempt (number) is told of an attempt that is chosen.
 * @param onLine (number or null) is told of the line that is to be in the address.
 * @param onFind (text) is told of the text that is.
 * @param linkOf (place, line) gives a line's own address.
 */
export function view({ onAttempt, onLine, onFind, linkOf }) {
  let ending = new AbortController();
  let place = null; // {key, task, of, attempt, line, find}; of: a task that has no log of its own
  let begin = 0; // offset of the first byte shown; null: lines before were let go of
  let end = 0; // where the next part begins
  let isLive = false; // what comes is added; or else there is more below
  let isFollowing = true;
  let isFetching = false;
  let isOurs = false; // the next scrolling is not the reader's
  let missed = 0;

  const title = h("h2", {}, "Log");
  const size = h("span", { class: "count" });
  const attempts = h("select", { "aria-label": "Attempt", hidden: true, onchange: () => onAttempt(attempts.value) });
  const box = h("input", { type: "checkbox", checked: true, onchange: () => setFollowing(box.checked) });
  const wrap = h("input", { type: "checkbox", onchange: () => lines.element.classList.toggle("wrap", wrap.checked) });
  const lines = shownLines.lines({ linkOf: (number) => linkOf(place, number), onPick: onLine });
  const search = makeSearch({
    addressOf: (values) => address(values, "/search"),
    markOf: () => place.line,
    placeOf: () => lineInView()?.number ?? 1,
    onText: (text, isExact) => {
      lines.find(text, isExact);
      onFind(text);
    },
    onLine: (number, offset) => (number ? onLine(number) : load({ offset, before: PART / 2 })),
  });
  const older = h("button", { type: "button", class: "quiet older", hidden: true, onclick: loadOlder }, "Show what came before");
  const newer = h("button", { type: "button", class: "quiet older", hidden: true, onclick: loadNewer }, "Show what came after");
  const state = h("p", { class: "log-state" });
  const news = h("button", { type: "button", class: "news", hidden: true, onclick: () => setFollowing(true) });
  const error = h("p", { class: "reason failed", hidden: true });
  const note = h("p", { class: "log-note", hidden: true });
  const pane = h("div", {
    class: "scroll pane", tabindex: 0, role: "region", "aria-label": "Log's text", onscroll: scrolled,
    onfocus: () => lines.reach(lines.at(place?.line) ?? lineInView()),
    onkeydown: (event) => {
      if (event.key === "End") setFollowing(true);
      if (event.key === "Home" && !older.hidden) load({ line: 1 });
    },
  }, older, lines.element, newer, state);
  const element = h("section", { class: "log", "aria-label": "Log of the task" },
    h("div", { class: "row" }, title, size, attempts,
      h("label", {}, box, " Follow"), h("label", {}, wrap, " Wrap"),
      h("button", { type: "button", class: "quiet", onclick: download }, "Download")),
    search.element,
    error,
    note,
    h("div", { class: "pane-box" }, pane, news));

  search.element.hidden = true; // until there is a log

  function address(more, below = "") {
    const values = new URLSearchParams(more);
    if (place.task !== null) values.set("task", place.task);
    if (place.attempt) values.set("attempt", place.attempt);
    return `/v1/jobs/${encodeURIComponent(place.key)}/log${below}?${values}`;
  }

  function show(wanted, name) {
    const before = place;
    place = wanted;
    search.element.hidden = false;
    const isSame = before && ["key", "task", "attempt"].every((part) => before[part] === wanted[part])
      && before.of?.index === wanted.of?.index;
    setText(title, name);
    note.hidden = !wanted.of;
    if (wanted.of) {
      const own = visible(wanted.of.name);
      setText(note, `On this server a run has one log for all of its tasks: this is it. Lines of “${own}” begin with [${own}]; a bar marks them.`);
    }
    if (!isSame) {
      setText(size, "");
      lines.setOwn(wanted.of?.name ?? null);
      load(wanted.line ? { line: wanted.line, before: PART / 2 } : {});
    } else if (before.line !== wanted.line) mark();
    search.show(wanted.find, { isNew: !isSame });
  }

  /** Go to the line that the address says, which may be among those that are shown. */
  function mark() {
    const line = lines.mark(place.line);
    if (line) {
      setFollowing(false);
      const { top, bottom } = line.getBoundingClientRect();
      const around = pane.getBoundingClientRect();
      if (top < around.top || bottom > around.bottom) center(line);
    } else if (place.line) load({ line: place.line, before: PART / 2 });
  }

  /** Within the pane alone: the page stays where it is. */
  function center(line) {
    const { top, height } = line.getBoundingClientRect();
    const before = pane.scrollTop;
    pane.scrollTop += top + height / 2 - pane.getBoundingClientRect().top - pane.clientHeight / 2;
    isOurs = pane.scrollTop !== before;
  }

  // --- parts -----------------------------------------------------------------------------------

  /** Show a part, and nothing of what was shown; without a place the end, and what comes. */
  async function load(where) {
    ending.abort();
    ending = new AbortController();
    const { signal } = ending;
    let isEnd = !Object.keys(where).length;
    begin = end = 0;
    isLive = false;
    older.hidden = newer.hidden = true;
    lines.reset(1);
    lines.mark(place.line);
    setText(state, "Waiting for output …");
    setFollowing(isEnd);
    if (place.attempt === 0) return; // it has not begun
    let part;
    try {
      const found = isEnd && OVER.includes(place.of?.state) ? await endOf(place.of.name, signal) : null;
      if (found) {
        where = { offset: found.offset, before: PART / 2 };
        isEnd = false;
        setFollowing(false);
      }
      part = await getAtLast(address({ limit: PART, ...(isEnd ? { offset: -PART } : where) }, "/lines"), signal);
    } catch (problem) {
      if (!signal.aborted) setText(state, problem.message);
      return;
    }
    if (signal.aborted) return;
    ({ offset: begin } = part.first);
    lines.reset(part.first.line);
    take(part);
    older.hidden = begin === 0;
    if (isEnd || end >= part.size) listen();
    else newer.hidden = false;
    if (isEnd) pane.scrollTop = pane.scrollHeight;
    else if (part.wanted?.line) {
      center(lines.at(part.wanted.line));
    }
    if (where.line && !part.wanted) flash(`It has no line ${where.line.toLocaleString()}`, "bad");
  }

  /**
   * Find where a task's words end in the log of all tasks: its last line behind what the runner says of
   * its end, for the two streams of a container come by ways of their own; else that, else its start.
   */
  async function endOf(name, signal) {
    for (const words of [`Task '${name}': `, `Task '${name}' was started at `]) {
      const told = (await linesWith(words, { offset: 0, line: 1 }, signal, 1))[0];
      if (told) return (await linesWith(`[${name}] `, told, signal, LAST)).at(-1) ?? told;
    }
    return null;
  }

  /** Find lines that begin with a text, from a place on, and so many at least; all if there are fewer. */
  async function linesWith(words, place, signal, enough) {
    const text = words.slice(0, 200); // nothing longer is looked for
    const some = [];
    let next = place;
    let isFinished = false;
    while (!isFinished && some.length < enough) {
      const values = { text, exact: "true", limit: 1000, offset: next.offset, ...(next.line === null ? {} : { line: next.line }) };
      const found = await getAtLast(address(values, "/search"), signal);
      some.push(...found.matches.filter((each) => each.text.startsWith(text)));
      ({ next, finished: isFinished } = found);
    }
    return some;
  }

  /** Add a part behind what is shown. */
  function take({ first, text, end: next, size: whole, missing }) {
    if (end && first.offset > end) lines.note(leftOut(first.offset - end));
    end = next;
    setText(size, bytes(whole));
    if (text || missing) setText(state, missing);
    return lines.append(text);
  }

  function leftOut(count) {
    return `[${bytes(count)} were left out here: the log was too large]`;
  }

  /** Add what comes, until the run is over. */
  function listen() {
    const { signal } = ending;
    let known = end;
    isLive = true;
    newer.hidden = true;
    follow(address({ offset: end }, "/events"), {
      signal,
      onEvent(kind, document) {
        if (signal.aborted) return true;
        if (kind === "end") {
          setText(state, document.missing ?? (lines.count ? "— end —" : "It printed nothing."));
          if (isFollowing) pane.scrollTop = pane.scrollHeight;
          return true;
        }
        if (kind !== "log") return false;
        const { offset, text, size: whole, dropped } = document;
        if (dropped || (known !== null && offset > known)) lines.note(leftOut(dropped ?? offset - known));
        known = null;
        setText(size, bytes(whole));
        if (text) setText(state, "");
        come(lines.append(text));
        return false;
      },
    });
  }

  function come(count) {
    if (isFollowing) {
      if (lines.trim(MOST)) letGo();
      pane.scrollTop = pane.scrollHeight;
    } else if (count) {
      missed += count;
      news.hidden = false;
      setText(news, `${plural(missed, "new line")} ↓`);
    }
  }

  function letGo() {
    begin = null;
    older.hidden = lines.first === null;
  }

  async function fetched(values) {
    if (isFetching) return null;
    const { signal } = ending;
    isFetching = true;
    try {
      const response = await ask(address(values, "/lines"), { signal });
      const part = await response.json();
      return signal.aborted ? null : part;
    } catch (problem) {
      if (!signal.aborted) flash(problem.message, "bad");
      return null;
    } finally {
      isFetching = false;
    }
  }

  async function loadOlder() {
    const where = begin === null ? { line: lines.first } : { offset: begin };
    const part = await fetched({ ...where, before: PART, limit: 0 });
    if (!part) return;
    const before = pane.scrollHeight - pane.scrollTop;
    const gap = begin === null ? 0 : begin - part.end;
    if (part.text) lines.prepend(part.text, part.first.line, gap > 0 ? leftOut(gap) : "");
    begin = part.first.offset;
    const isBounded = lines.count > 4 * MOST;
    older.hidden = begin === 0 || !part.text || isBounded;
    if (isBounded) flash("So many lines are shown: Home goes to the first one, Download has all");
    pane.scrollTop = pane.scrollHeight - before;
  }

  async function loadNewer() {
    if (isLive || newer.hidden) return;
    const part = await fetched({ offset: end, limit: PART });
    if (!part) return;
    take(part);
    if (end >= part.size) listen();
    const before = pane.scrollHeight - pane.scrollTop;
    if (lines.trim(4 * MOST)) {
      letGo();
      pane.scrollTop = pane.scrollHeight - before;
    }
  }

  // --- following -------------------------------------------------------------------------------

  function lineInView() {
    const { left, top } = pane.getBoundingClientRect();
    return document.elementFromPoint(left + 30, top + 24)?.closest(".line");
  }

  function scrolled() {
    if (isOurs) {
      isOurs = false;
      return;
    }
    const left = pane.scrollHeight - pane.scrollTop - pane.clientHeight;
    if (!isLive) {
      if (left < NEAR) loadNewer();
      return;
    }
    const isAtEnd = left < 24;
    if (isAtEnd !== isFollowing) setFollowing(isAtEnd, { isScrolled: true });
  }

  function setFollowing(value, { isScrolled = false } = {}) {
    const isBelow = value && !isScrolled && !newer.hidden;
    isFollowing = value;
    box.checked = value;
    if (!value) return;
    missed = 0;
    news.hidden = true;
    if (isBelow) load({});
    else if (!isScrolled) pane.scrollTop = pane.scrollHeight;
  }

  function download() {
    const part = place.task === null ? "run" : `task-${place.task}`;
    open(address({}), `job-${place.key}-${part}.log`);
  }

  return {
    element,
    show,
    place: () => place,
    search: () => search.focus(),
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
    close() {
      ending.abort();
      search.close();
    },
  };
}
