// Talks to /v1: questions, orders, and streams that come back by themselves.

import { hold, release } from "./crowd.js";
import { flash, h } from "./dom.js";

const TOKEN = "factotum-token";
const SILENCE = 35_000;
const TURN = 700;
const BETWEEN_TURNS = 3000;

/** What the server refused, as it says it itself. */
export class Problem extends Error {
  constructor(document) {
    super(document.detail || document.title || "the server did not say why");
    Object.assign(this, document);
  }
}

function headers(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...more, Authorization: `Bearer ${token}` } : more;
}

async function problemOf(response) {
  try {
    return new Problem(await response.json());
  } catch {
    return new Problem({ status: response.status, title: response.statusText, detail: "" });
  }
}

let asking = null;

/** Ask for the server's token, once however many need it. */
function askForToken() {
  asking ??= new Promise((resolve) => {
    const field = h("input", {
      id: "token", type: "password", autocomplete: "off", required: true, "aria-label": "Token",
    });
    const dialog = h(
      "dialog",
      { class: "small", "aria-labelledby": "token-title", oncancel: (event) => event.preventDefault() },
      h(
        "form",
        {
          onsubmit: (event) => {
            event.preventDefault();
            sessionStorage.setItem(TOKEN, field.value.trim());
            dialog.remove();
            asking = null;
            resolve();
          },
        },
        h("h2", { id: "token-title" }, "This server wants its token"),
        h("p", {}, "It is in the file of its option --token-file, and stays in this tab."),
        field,
        h("div", { class: "row end" }, h("button", { class: "primary" }, "Go on")),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

/** Send a request; returns the response, or throws a Problem. */
export async function ask(path, options = {}) {
  for (;;) {
    let response;
    try {
      response = await fetch(path, { ...options, headers: headers(options.headers ?? {}) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem({ status: 0, detail: "the server does not answer", cure: "Is it running?" });
    }
    if (response.status === 401) {
      await askForToken();
      continue;
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

/** Get a document. */
export async function get(path, signal) {
  return (await ask(path, { signal })).json();
}

/** Get a document, from a server that may be away for a while. */
export async function getAtLast(path, signal) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      return await get(path, signal);
    } catch (problem) {
      const isAway = problem.status === 0 || problem.status === 429 || problem.status >= 500;
      if (signal.aborted || !isAway) throw problem;
    }
    await sleep(wait, signal);
    signal.throwIfAborted();
  }
}

/** Post a document. */
export async function post(path, document, signal) {
  const options = { method: "POST", signal, headers: {} };
  if (document !== undefined) {
    options.body = JSON.stringify(document);
    options.headers["Content-Type"] = "application/json";
  }
  return (await ask(path, options)).json();
}

/** Open a resource in a new tab or save it: a link alone could not show the token. */
export async function open(path, name) {
  let blob;
  try {
    blob = await (await ask(path)).blob();
  } catch (problem) {
    flash(problem.message, "bad");
    return;
  }
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function readEvents(response, onEvent, isHeard) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    isHeard();
    rest += value;
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const block = rest.slice(0, end);
      rest = rest.slice(end + 2);
      const event = { kind: "message", id: null, data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) event.kind = line.slice(7);
        else if (line.startsWith("id: ")) event.id = line.slice(4);
        else if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      if (event.data) onEvent(event.kind, JSON.parse(event.data), event.id);
    }
  }
}

/**
 * Follow a stream until the signal says so. It comes back after each break, behind the last event;
 * while nobody sees the page it is closed, and beside many others that are seen it is open for a
 * moment every few seconds, for a browser has few connections for one server.
 *
 * @param path where.
 * @param signal ends it.
 * @param onEvent (kind, document) for each event; returns true if it was the last one.
 * @param onState ("live" | "away") when that changes.
 * @param onBreak called before each further connection.
 */
export async function follow(path, { signal, onEvent, onState = () => {}, onBreak = () => {} }) {
  let last = null;
  let wait = 500;
  let isOver = false;
  while (!signal.aborted && !isOver) {
    await seen(signal);
    const isHeld = await hold();
    if (signal.aborted) {
      if (isHeld) release();
      return;
    }
    let isAnswered = false;
    let turn = 0;
    const inner = new AbortController();
    const stop = () => inner.abort();
    signal.addEventListener("abort", stop);
    const hide = () => document.hidden && stop();
    document.addEventListener("visibilitychange", hide);
    let timer = 0;
    const isHeard = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE);
    };
    try {
      isHeard();
      const more = last === null ? {} : { "Last-Event-ID": last };
      const response = await ask(path, { signal: inner.signal, headers: more });
      isAnswered = true;
      if (!isHeld) turn = setTimeout(stop, TURN);
      onState("live");
      wait = 500;
      await readEvents(
        response,
        (kind, document, id) => {
          if (id !== null) last = id;
          if (onEvent(kind, document)) {
            isOver = true;
            stop();
          }
        },
        isHeard,
      );
    } catch (error) {
      if (error.status === 404) return;
    } finally {
      clearTimeout(timer);
      clearTimeout(turn);
      if (isHeld) release();
      signal.removeEventListener("abort", stop);
      document.removeEventListener("visibilitychange", hide);
    }
    if (signal.aborted || isOver) return;
    if (isAnswered && !isHeld) await sleep(BETWEEN_TURNS, signal);
    else if (!document.hidden) {
      onState("away");
      await sleep(wait, signal);
      wait = Math.min(wait * 2, 8000);
    }
    onBreak();
  }
}

function seen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
  });
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
