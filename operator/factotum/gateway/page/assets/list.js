// The list of jobs: filters, search, paging, orders for several, live.

import { follow, get, post } from "./api.js";
import { confirm, flash, h, setAttribute, setText, tell } from "./dom.js";
import { duration, lasted, moment, momentInFull, phase, plural, visible } from "./format.js";
import * as route from "./route.js";

const OUTCOMES = [
  ["WAITING", "Waiting"],
  ["RUNNING", "Running"],
  ["SUCCEEDED", "Succeeded"],
  ["FAILED", "Failed"],
];
const REFRESH = 1000;
const LIMIT = 50;

/** Show the list; returns what the page calls: {update, close, keys}. */
export function show(main, { onState, onSubmit }) {
  const ending = new AbortController();
  const { signal } = ending;
  const rows = new Map();
  const chosen = new Set();
  let known = 0;
  let timer = 0;
  let asked = null;
  let typing = 0;

  const search = h("input", {
    type: "search", id: "search", placeholder: "Name, path or job id", "aria-label": "Search jobs",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => route.change({ text: search.value.trim(), cursor: "" }), 250);
    },
  });
  const tag = h("input", {
    id: "tag", placeholder: "Tag: name=value", "aria-label": "Filter by a tag, name=value", size: 16,
    onchange: () => route.change({ tag: tag.value.includes("=") ? tag.value : "", cursor: "" }),
  });
  const chips = OUTCOMES.map(([outcome, word]) =>
    h("button", {
      type: "button", class: "chip", "aria-pressed": "false", data: { outcome },
      onclick: () => toggle(outcome),
    }, word));
  const clear = h("button", {
    type: "button", class: "quiet", onclick: () => (location.hash = "#/jobs"),
  }, "Clear filters");
  const body = h("tbody");
  const all = h("input", { type: "checkbox", "aria-label": "Select all on this page", onchange: selectAll });
  const table = h(
    "table", { class: "jobs" },
    h("caption", { class: "unseen" }, "Jobs, newest first"),
    h("thead", {}, h("tr", {},
      h("th", { class: "check" }, all), h("th", { scope: "col" }, "State"),
      h("th", { scope: "col" }, "Job"), h("th", { scope: "col" }, "Tasks"),
      h("th", { scope: "col" }, "Submitted"), h("th", { scope: "col", class: "number" }, "Duration"),
      h("th", { scope: "col" }, "Job id"))),
    body,
  );
  const count = h("span", { class: "count" });
  const paging = h("nav", { class: "row paging", "aria-label": "Pages" });
  const empty = h("div", { class: "empty", hidden: true });
  const bulk = h("div", { class: "bulk", hidden: true });
  main.replaceChildren(
    h("h1", { class: "unseen" }, "Jobs"),
    h("div", { class: "row tools" }, search,
      h("div", { class: "row chips", role: "group", "aria-label": "Filter by state" }, chips), tag, clear, count),
    bulk,
    h("div", { class: "scroll", role: "region", "aria-label": "Jobs", tabindex: 0 }, table),
    empty,
    paging,
  );

  function outcomes() {
    return (route.read().query.get("outcome") ?? "").split(",").filter(Boolean);
  }

  function toggle(outcome) {
    const now = new Set(outcomes());
    if (!now.delete(outcome)) now.add(outcome);
    route.change({ outcome: [...now].join(","), cursor: "" }, { replace: false });
  }

  function update() {
    const { query } = route.read();
    if (document.activeElement !== search) search.value = query.get("text") ?? "";
    if (document.activeElement !== tag) tag.value = query.get("tag") ?? "";
    for (const chip of chips) {
      setAttribute(chip, "aria-pressed", String(outcomes().includes(chip.dataset.outcome)));
    }
    clear.hidden = ![...query.keys()].length;
    load();
  }

  async function load() {
    asked?.abort();
    asked = new AbortController();
    clearTimeout(timer);
    timer = 0;
    const { query } = route.read();
    const wanted = new URLSearchParams({ limit: LIMIT });
    for (const name of ["text", "tag", "cursor"]) {
      if (query.get(name)) wanted.set(name, query.get(name));
    }
    outcomes().forEach((outcome) => wanted.append("outcome", outcome));
    try {
      const page = await get(`/v1/jobs?${wanted}`, AbortSignal.any([asked.signal, signal]));
      draw(page, query);
    } catch (problem) {
      if (problem.name !== "AbortError") fail(problem);
    }
  }

  function fail(problem) {
    body.replaceChildren();
    rows.clear();
    empty.hidden = false;
    empty.replaceChildren(h("h2", {}, "The list cannot be shown"), h("p", {}, problem.message, " ", problem.cure ?? ""));
  }

  function draw(page, query) {
    known = Math.max(known, page.sequence);
    const wanted = new Set(page.jobs.map((job) => job.key));
    for (const [key, row] of rows) {
      if (!wanted.has(key)) {
        row.element.remove();
        rows.delete(key);
        chosen.delete(key);
      }
    }
    page.jobs.forEach((job, place) => {
      const row = rows.get(job.key) ?? makeRow(job);
      rows.set(job.key, row);
      row.patch(job);
      if (body.children[place] !== row.element) body.insertBefore(row.element, body.children[place] ?? null);
    });
    setText(count, page.total > 1000 ? "1,000+ jobs" : plural(page.total, "job"));
    table.hidden = !page.jobs.length;
    empty.hidden = page.jobs.length > 0;
    if (!page.jobs.length) empty.replaceChildren(...nothing(query));
    paging.replaceChildren(...[
      query.get("cursor") && h("a", { class: "button", href: filtered(query, "") }, "↑ Newest"),
      page.cursor && h("a", { class: "button", href: filtered(query, page.cursor) }, "Older ↓"),
    ].filter(Boolean));
    drawBulk();
  }

  function nothing(query) {
    if ([...query.keys()].length) {
      return [
        h("h2", {}, "No job fits these filters"),
        h("p", {}, "Take one away, or all of them."),
        h("a", { class: "button", href: "#/jobs" }, "Clear filters"),
      ];
    }
    return [
      h("h2", {}, "No jobs yet"),
      h("p", {}, "Drop a factfile on this page, or "),
      h("button", { type: "button", class: "primary", onclick: onSubmit }, "Submit a job"),
    ];
  }

  function filtered(query, cursor) {
    return route.link("jobs", { ...Object.fromEntries(query), cursor });
  }

  function makeRow(first) {
    const box = h("input", {
      type: "checkbox", "aria-label": `Select ${visible(first.name)}`,
      onchange: () => {
        if (box.checked) chosen.add(first.key);
        else chosen.delete(first.key);
        drawBulk();
      },
    });
    const badge = h("span", { class: "badge" });
    const name = h("a", { href: route.jobLink(first.key) }, visible(first.name));
    const note = h("div", { class: "note" });
    const tags = h("span", { class: "tags" }, Object.entries(first.tags).map(([key, value]) =>
      h("a", { class: "tag", href: route.link("jobs", { tag: `${key}=${value}` }) }, visible(`${key}=${value}`))));
    const bar = h("div", { class: "bar" }, h("i", { class: "done" }), h("i", { class: "failed" }));
    const tasks = h("span", { class: "small-number" });
    const time = h("td", { class: "number" });
    const element = h("tr", { data: { key: first.key } },
      h("td", { class: "check" }, box),
      h("td", {}, badge),
      h("td", { class: "name" }, name, tags, note),
      h("td", { class: "progress" }, bar, tasks),
      h("td", { title: momentInFull(first.submittedAt) }, moment(first.submittedAt)),
      time,
      h("td", { class: "code", title: first.jobId }, first.jobId.slice(0, 10)));
    const row = {
      element, box, job: first,
      patch(job) {
        row.job = job;
        const { key, word, sign } = phase(job);
        setAttribute(badge, "class", `badge ${key}`);
        setText(badge, `${sign} ${word}`);
        setText(note, noteOf(job));
        setText(tasks, `${job.tasks.done}/${job.tasks.total}`);
        const share = (part) => `${job.tasks.total ? (100 * part) / job.tasks.total : 0}%`;
        bar.children[0].style.width = share(job.tasks.done - job.tasks.failed);
        bar.children[1].style.width = share(job.tasks.failed);
        row.tick();
      },
      tick() {
        const { startedAt, endedAt, state } = row.job;
        setText(time, state === "QUEUED" ? "" : duration(lasted(startedAt, endedAt)));
      },
    };
    return row;
  }

  function noteOf(job) {
    const why = job.state === "QUEUED" ? visible(job.message) : "";
    if (job.position) return `number ${job.position} in the queue${why ? `: ${why}` : ""}`;
    if (why) return why;
    if (job.outcome === "FAILED") return visible(job.message || job.reason);
    return job.attempt > 1 ? `attempt ${job.attempt}` : "";
  }

  function selectAll() {
    for (const row of rows.values()) {
      row.box.checked = all.checked;
      if (all.checked) chosen.add(row.job.key);
    }
    if (!all.checked) chosen.clear();
    drawBulk();
  }

  function drawBulk() {
    bulk.hidden = !chosen.size;
    all.checked = chosen.size > 0 && chosen.size === rows.size;
    if (bulk.hidden) return;
    const jobs = [...chosen].map((key) => rows.get(key)?.job).filter(Boolean);
    const button = (action, word) => {
      const fit = jobs.filter((job) => job.actions.includes(action)).map((job) => job.key);
      return h("button", {
        type: "button", disabled: !fit.length, onclick: () => order(action, word, fit),
      }, `${word} ${fit.length || ""}`.trim());
    };
    bulk.replaceChildren(
      h("span", {}, `${chosen.size} selected`),
      button("resume", "Resume"), button("suspend", "Suspend"), button("cancel", "Cancel"),
    );
  }

  async function order(action, word, keys) {
    if (action === "cancel" && !(await confirm(`Cancel ${plural(keys.length, "job")} for good?`, "Cancel them"))) return;
    try {
      const { results } = await post("/v1/orders", { action, keys });
      const refused = results.filter((result) => result.problem);
      for (const result of results) {
        if (!result.job) continue;
        rows.get(result.key)?.patch(result.job);
        chosen.delete(result.key);
        const row = rows.get(result.key);
        if (row) row.box.checked = false;
      }
      flash(
        refused.length ? `${word}: ${refused.length} of ${keys.length} refused: ${refused[0].problem.detail}`
          : `${word}: ${plural(keys.length, "job")}`,
        refused.length ? "bad" : "good",
      );
    } catch (problem) {
      flash(problem.message, "bad");
    }
    drawBulk();
  }

  function soon() {
    timer ||= setTimeout(load, REFRESH);
  }

  follow("/v1/events", {
    signal, onState,
    onBreak: soon,
    onEvent(kind, document) {
      if (kind !== "job") {
        if (kind === "reset" || document.sequence > known) soon();
        return false;
      }
      const { job } = document;
      const row = rows.get(job.key);
      if (row && job.sequence >= row.job.sequence) {
        const was = row.job.outcome;
        row.patch(job);
        if (was !== job.outcome) {
          if (job.state === "DONE") tell(`${job.name}: ${phase(job).word}`);
          soon();
        }
        if (chosen.has(job.key)) drawBulk();
      } else if (!row && !route.read().query.get("cursor")) soon();
      return false;
    },
  });
  const ticking = setInterval(() => rows.forEach((row) => row.job.state === "WORKING" && row.tick()), 1000);

  function move(step) {
    const links = [...body.querySelectorAll("td.name > a")];
    const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    links[Math.max(0, Math.min(links.length - 1, at + step))]?.focus();
  }

  update();
  return {
    title: "Jobs",
    update,
    close() {
      ending.abort();
      clearInterval(ticking);
      clearTimeout(timer);
    },
    keys: {
      "/": () => search.focus(),
      j: () => move(1),
      k: () => move(-1),
      x: () => document.activeElement.closest?.("tr")?.querySelector("input[type=checkbox]")?.click(),
    },
  };
}
