// One job: what it is, its graph, its tasks, its log, and what may be done with it; live.

import { follow, get, open, post } from "./api.js";
import { confirm, flash, h, setAttribute, setText, tell } from "./dom.js";
import { duration, lasted, moment, momentInFull, phase, visible } from "./format.js";
import * as graphs from "./graph.js";
import * as logs from "./log.js";
import * as route from "./route.js";
import { table } from "./tasks.js";

const ACTIONS = [
  ["resume", "Resume", "a failed or suspended job can be resumed"],
  ["suspend", "Suspend", "a job that waits or runs can be suspended"],
  ["cancel", "Cancel", "a job that has not ended can be cancelled"],
];
const PASTS = { resume: "Resumed", suspend: "Suspended", cancel: "Cancelled" };

/** Show a job. */
export function show(main, key, { onState, onTitle }) {
  const ending = new AbortController();
  const { signal } = ending;
  const base = `/v1/jobs/${encodeURIComponent(key)}`;
  const tasks = new Map();
  let job = null;
  let graph = null;
  let selected;
  let isChosen = false; // by the reader, not by us
  let hasTaskLogs = null; // or one log for all tasks of a run; null: the server has not said yet

  const badge = h("span", { class: "badge large" });
  const name = h("h1", {});
  const facts = h("dl", { class: "facts" });
  const reason = h("p", { class: "reason", hidden: true });
  const buttons = Object.fromEntries(ACTIONS.map(([action, word]) =>
    [action, h("button", { type: "button", disabled: true, onclick: () => order(action, word) }, word)]));
  const tasksTable = table({ linkOf: (index) => route.jobLink(key, { task: index }), onSelect: choose });
  const log = logs.view({
    onAttempt: (number) => route.change({ attempt: number, line: "" }),
    onLine: (line) => route.change({ ...exactly(log.place()), line }),
    onFind: (find) => route.change({ find }),
    linkOf: (shown, line) => route.jobLink(key, { ...exactly(shown), line }),
  });
  const place = h("div", { class: "graph-place" }, h("p", { class: "empty" }, "Drawing …"));
  const files = [
    ["Factfile", `${base}/factfile`, `job-${key}.factfile`],
    ["SVG", `${base}/graph?format=svg`, `job-${key}.svg`],
    ["DOT", `${base}/graph?format=dot`, `job-${key}.dot`],
    ["JSON", base, `job-${key}.json`],
  ].map(([word, path, file]) => h("button", { type: "button", class: "quiet", onclick: () => open(path, file) }, word));
  main.replaceChildren(
    h("div", { class: "head" },
      h("div", { class: "row" }, h("a", { href: "#/jobs", class: "back" }, "← Jobs"), badge, name,
        h("div", { class: "row actions" }, Object.values(buttons))),
      reason,
      h("div", { class: "row between" }, facts, h("div", { class: "row files", role: "group", "aria-label": "Save" }, files))),
    place,
    h("div", { class: "halves" }, tasksTable.element, log.element),
  );

  function patch(next) {
    if (job && next.sequence < job.sequence) return;
    const was = job;
    job = next;
    const { key: kind, word, sign } = phase(job);
    setAttribute(badge, "class", `badge large ${kind}`);
    setText(badge, `${sign} ${word}`);
    setText(name, visible(job.name));
    onTitle(`${sign} ${job.name}`);
    for (const [action, , why] of ACTIONS) {
      const may = job.actions.includes(action);
      buttons[action].disabled = !may;
      setAttribute(buttons[action], "title", may ? null : `Not now: ${why}.`);
      buttons[action].classList.toggle("primary", action === "resume" && may);
    }
    const text = job.outcome === "SUCCEEDED" && job.reason === "Succeeded" ? "" : job.message || (job.outcome === "FAILED" ? job.reason : "");
    reason.hidden = !text;
    setText(reason, visible(text));
    setAttribute(reason, "class", `reason ${kind}`);
    showFacts();
    log.setAttempts(job.attempt, route.read().query.get("attempt") ?? job.attempt);
    if (was && was.state !== job.state) tell(`${job.name}: ${word}`);
    if (was && was.attempt !== job.attempt) showLog();
  }

  function showFacts() {
    const pairs = [
      ["Tasks", `${job.tasks.done} of ${job.tasks.total}${job.tasks.failed ? `, ${job.tasks.failed} failed` : ""}`],
      ["Duration", duration(lasted(job.startedAt, job.endedAt))],
      ["Submitted", moment(job.submittedAt), momentInFull(job.submittedAt)],
      ["Started", moment(job.startedAt), momentInFull(job.startedAt)],
      ["Queue", job.position ? `number ${job.position}` : ""],
      ["Attempt", job.attempt > 1 ? String(job.attempt) : ""],
      ["Factfile", visible(job.factfilePath)],
      ["Job id", job.jobId.slice(0, 12), job.jobId],
      ...Object.entries(job.tags).map(([tag, value]) => [visible(tag), visible(value)]),
    ].filter(([, value]) => value);
    const text = JSON.stringify(pairs);
    if (facts.dataset.text === text) return;
    facts.dataset.text = text;
    facts.replaceChildren(...pairs.map(([word, value, full]) =>
      h("div", {}, h("dt", {}, word), h("dd", { title: full }, value))));
  }

  function take(changed) {
    for (const task of changed) {
      tasks.set(task.index, task);
      graph?.setTask(task.index, task.state, secondsOf(task));
    }
    tasksTable.patch(changed.map((task) => ({ ...task, seconds: secondsOf(task) })));
    graph?.critical();
    if (selected === undefined || !isChosen) choosePlace();
    else if (changed.some((task) => task.index === selected)) showLog();
  }

  function secondsOf(task) {
    if (task.state === "RUNNING") return lasted(task.startedAt, null);
    return task.seconds;
  }

  /** Show what the address says, or what is of most interest: the first failure. */
  function choosePlace() {
    const wanted = route.read().query.get("task");
    if (wanted !== null) {
      isChosen = true;
      select(wanted === "run" ? null : Number(wanted));
      return;
    }
    const failed = [...tasks.values()].find((task) => task.state === "FAILED");
    select(failed ? failed.index : null);
  }

  function choose(index) {
    isChosen = true;
    route.change({ task: index ?? "run", attempt: "", line: "" }, { replace: true });
  }

  /** What a link to a line has to say, for it to be the same line whatever happens to the job. */
  function exactly({ task, of, attempt }) {
    return { task: task ?? of?.index ?? "run", attempt: attempt || "" };
  }

  function select(index) {
    const is = index !== null && tasks.has(index) ? index : null;
    if (selected === is) return;
    selected = is;
    graph?.select(is);
    tasksTable.select(is);
    whole.hidden = is === null;
    showLog();
  }

  const whole = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => choose(null) }, "Whole run");
  log.element.querySelector(".row h2").after(whole);

  function showLog() {
    if (!job || hasTaskLogs === null) return;
    const { query } = route.read();
    const wanted = Number(query.get("attempt")) || job.attempt;
    const line = /^[1-9]\d{0,8}$/.test(query.get("line") ?? "") ? Number(query.get("line")) : null;
    const task = tasks.get(selected) ?? null;
    const of = hasTaskLogs ? null : task; // whose lines are looked for among all tasks'
    const words = task && !of ? `Log: ${visible(task.name)}` : "Log of the run";
    log.setAttempts(job.attempt, wanted);
    log.setError(task ? visible(task.error) : "");
    log.show({
      key, task: task && !of ? task.index : null, of, attempt: wanted, line, find: (query.get("find") ?? "").slice(0, 200),
    }, words);
  }

  async function order(action, word) {
    if (action === "cancel" && !(await confirm(`Cancel “${job.name}” for good?`, "Cancel the job"))) return;
    buttons[action].disabled = true;
    try {
      patch(await post(`${base}/${action}`));
      flash(job.order === "Run" ? PASTS[action] : `${word}: asked for`);
    } catch (problem) {
      flash(`${problem.title}: ${problem.message}`, "bad");
      if (job) patch(job);
    }
  }

  async function start() {
    try {
      const detail = await get(base, signal);
      hasTaskLogs = detail.taskLogs;
      patch(detail.job);
      take(detail.tasks);
      showLog(); // what the stream told may have come first
      const shape = await get(`${base}/graph`, signal);
      graph = graphs.draw(shape, { onSelect: choose });
      for (const task of tasks.values()) graph.setTask(task.index, task.state, secondsOf(task));
      place.replaceChildren(graph.element);
      graph.critical();
      graph.select(selected ?? null);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (!job) {
        main.replaceChildren(h("div", { class: "empty" }, h("h1", {}, problem.title ?? "It cannot be shown"),
          h("p", {}, problem.message, " ", problem.cure ?? ""), h("a", { class: "button", href: "#/jobs" }, "All jobs")));
        ending.abort();
        return;
      }
      place.replaceChildren(h("p", { class: "empty" }, `The graph cannot be drawn: ${problem.message}`));
      hasTaskLogs ??= true;
      showLog();
    }
  }

  function tick() {
    if (job?.state !== "WORKING") return;
    showFacts();
    const running = [...tasks.values()].filter((task) => task.state === "RUNNING");
    for (const task of running) graph?.setTask(task.index, task.state, secondsOf(task));
    tasksTable.patch(running.map((task) => ({ ...task, seconds: secondsOf(task) })));
    if (running.length) graph?.critical();
  }

  start();
  follow(`${base}/events`, {
    signal,
    onState,
    onEvent(_kind, document) {
      patch(document.job);
      take(document.tasks);
      return false;
    },
  });
  const ticking = setInterval(tick, 1000);

  return {
    title: "Job",
    update() {
      choosePlace();
      showLog();
    },
    close() {
      ending.abort();
      log.close();
      graph?.close();
      clearInterval(ticking);
    },
    keys: {
      r: () => buttons.resume.click(),
      s: () => buttons.suspend.click(),
      c: () => buttons.cancel.click(),
      f: () => log.toggleFollow(),
      l: () => log.search(),
      g: () => main.querySelector(".stage")?.focus(),
      "/": () => tasksTable.filter(),
      w: () => choose(null),
      u: () => (location.hash = "#/jobs"),
    },
  };
}
