// The table of a job's tasks: real rows, so that the browser's own search finds them; cells change one by one.

import { h, setAttribute, setText } from "./shared/dom.js";
import { duration, moment, momentInFull, taskPhase, visible } from "./shared/format.js";

const ORDERS = {
  order: (a, b) => a.index - b.index,
  duration: (a, b) => (b.seconds ?? -1) - (a.seconds ?? -1) || a.index - b.index,
  state: (a, b) => rank(a) - rank(b) || a.index - b.index,
};
const RANKS = ["FAILED", "RUNNING", "WAITING", "SKIPPED", "SUCCEEDED_NO_OP", "SUCCEEDED"];

function rank(task) {
  return RANKS.indexOf(task.state);
}

/** Make the table; returns {element, patch, select, filter}. */
export function table({ linkOf, onSelect }) {
  const rows = new Map();
  let order = "order";
  let selected = null;
  let longest = 0;
  const body = h("tbody");
  const filter = h("input", {
    type: "search", placeholder: "Filter tasks", "aria-label": "Filter tasks", size: 14, oninput: narrow,
  });
  const failed = h("button", {
    type: "button", class: "chip", "aria-pressed": "false",
    onclick: () => {
      setAttribute(failed, "aria-pressed", String(failed.getAttribute("aria-pressed") !== "true"));
      narrow();
    },
  }, "Failed only");
  const heads = {};
  const head = (name, word, kind) => {
    heads[name] = h("th", { scope: "col", class: kind, "aria-sort": name === order ? "ascending" : "none" },
      h("button", { type: "button", class: "sort", onclick: () => sort(name) }, word));
    return heads[name];
  };
  const element = h("section", { class: "tasks", "aria-label": "Tasks" },
    h("div", { class: "row" }, h("h2", {}, "Tasks"), filter, failed),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table of tasks" },
      h("table", {},
        h("thead", {}, h("tr", {}, head("order", "Task"), head("state", "State"), h("th", { scope: "col" }, "Started"),
          head("duration", "Duration", "number"), h("th", { scope: "col", class: "number" }, "Code"))),
        body)));

  function sort(name) {
    setAttribute(heads[order], "aria-sort", "none");
    order = name;
    setAttribute(heads[order], "aria-sort", "ascending");
    const sorted = [...rows.values()].sort((a, b) => ORDERS[order](a.task, b.task));
    body.append(...sorted.map((row) => row.element));
  }

  function narrow() {
    const text = filter.value.trim().toLowerCase();
    const only = failed.getAttribute("aria-pressed") === "true";
    for (const { element: row, task } of rows.values()) {
      row.hidden = !(task.name.toLowerCase().includes(text) && (!only || task.state === "FAILED"));
    }
  }

  function make(task) {
    const name = h("a", {
      href: linkOf(task.index),
      onclick: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        onSelect(task.index);
      },
    }, visible(task.name));
    const badge = h("span", { class: "badge" });
    const error = h("div", { class: "note" });
    const started = h("td");
    const time = h("td", { class: "number time" });
    const code = h("td", { class: "number" });
    const element = h("tr", { data: { task: task.index } },
      h("td", { class: "name" }, name, error), h("td", {}, badge), started, time, code);
    return { element, task, parts: { badge, error, started, time, code } };
  }

  function show(row) {
    const { task, parts } = row;
    const { key, word, sign } = taskPhase(task.state);
    setAttribute(parts.badge, "class", `badge ${key}`);
    setText(parts.badge, `${sign} ${word}`);
    setText(parts.error, visible(task.error));
    setAttribute(parts.error, "title", task.error ? visible(task.error) : null);
    setText(parts.started, moment(task.startedAt));
    setAttribute(parts.started, "title", momentInFull(task.startedAt) || null);
    setText(parts.time, duration(task.seconds));
    parts.time.style.setProperty("--share", longest && task.seconds ? `${(100 * task.seconds) / longest}%` : "0%");
    setText(parts.code, task.returnCode ?? "");
  }

  return {
    element,
    patch(tasks) {
      const fresh = [];
      for (const task of tasks) {
        let row = rows.get(task.index);
        if (!row) {
          row = make(task);
          rows.set(task.index, row);
          fresh.push(row.element);
        }
        row.task = task;
      }
      const most = Math.max(0, ...[...rows.values()].map((row) => row.task.seconds ?? 0));
      const isScaled = most > longest * 1.2 || most < longest;
      if (isScaled) longest = most;
      (isScaled ? [...rows.values()] : tasks.map((task) => rows.get(task.index))).forEach(show);
      if (fresh.length) body.append(...fresh);
      if (failed.getAttribute("aria-pressed") === "true") narrow();
    },
    select(index) {
      if (selected !== null) setAttribute(rows.get(selected)?.element ?? h("i"), "aria-current", null);
      selected = index;
      const row = rows.get(index);
      if (!row) return;
      setAttribute(row.element, "aria-current", "true");
      const box = element.querySelector(".scroll");
      const top = row.element.offsetTop;
      if (top < box.scrollTop || top + row.element.offsetHeight > box.scrollTop + box.clientHeight) {
        box.scrollTop = top - box.clientHeight / 2;
      }
    },
    filter: () => filter.focus(),
  };
}
