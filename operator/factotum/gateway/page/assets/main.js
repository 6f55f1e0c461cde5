// The page: the bar on top, one view below it, keys, files dropped, dark and light.

import { get } from "./api.js";
import { h, setAttribute, setText } from "./dom.js";
import * as job from "./job.js";
import { plural, visible } from "./format.js";
import * as list from "./list.js";
import * as route from "./route.js";
import * as submit from "./submit.js";

const THEME = "factotum-theme";
const main = document.getElementById("main");
let view = null;
let shown = "";

const load = h("span", { class: "load" });
const live = h("span", { class: "live away", title: "Not connected" }, "● away");
document.getElementById("bar").append(
  h("a", { href: "#/jobs", class: "brand" }, h("img", { src: "/ui/icon.svg", alt: "", width: 24, height: 24 }), "Factotum"),
  load,
  h("span", { class: "grow" }),
  live,
  h("button", { type: "button", class: "primary", id: "submit", onclick: () => submit.open() }, "Submit a job"),
  h("button", { type: "button", class: "icon", "aria-label": "Dark or light", title: "Dark or light (t)", onclick: toggleTheme }, "◐"),
  h("button", { type: "button", class: "icon", "aria-label": "Keys", title: "Keys (?)", onclick: help }, "?"),
);

const left = h("details", { class: "stranded", hidden: true }, h("summary", {}), h("ul", {}));
document.getElementById("bar").after(left);

function onState(state) {
  setAttribute(live, "class", `live ${state}`);
  setText(live, state === "live" ? "● live" : "● away");
  setAttribute(live, "title", state === "live" ? "What you see is how it is" : "Not connected; trying again");
}

function onTitle(text) {
  document.title = `${text} · Factotum`;
}

function showRoute() {
  const { name, key } = route.read();
  const place = `${name}/${key}`;
  if (place === shown) {
    view.update();
    return;
  }
  shown = place;
  view?.close();
  onState("away");
  main.className = name;
  view = name === "job"
    ? job.show(main, key, { onState, onTitle })
    : list.show(main, { onState, onSubmit: () => submit.open() });
  onTitle(view.title);
  window.scrollTo(0, 0);
}

// --- how busy the server is ------------------------------------------------------------------

async function showLoad() {
  if (!document.hidden) {
    const now = await get("/v1/server").catch(() => null);
    if (now) {
      const waiting = now.waiting ? `, ${now.waiting.toLocaleString()} waiting` : "";
      showStranded(now);
      setText(load, `${now.active} of ${now.workers} workers busy${waiting}${now.draining ? " · draining" : ""}`);
    }
  }
  setTimeout(showLoad, 5000);
}

/** Name the jobs that nobody's list has: their box is gone, and this one cannot run them. */
function showStranded({ stranded, strandedTotal: total }) {
  const text = JSON.stringify(stranded);
  if (left.dataset.text === text) return;
  left.dataset.text = text;
  left.hidden = !total;
  const isOne = total === 1;
  setText(left.firstChild, `${plural(total, "job")} of ${isOne ? "a box that is gone waits" : "boxes that are gone wait"} for it: this box cannot run ${isOne ? "it" : "them"}`);
  left.lastChild.replaceChildren(...stranded.map((job) => h("li", {},
    h("b", {}, visible(job.name)), " ", h("span", { class: "code", title: job.jobId }, job.jobId.slice(0, 12)), ` of ${visible(job.host)}: ${visible(job.why)}`)),
  ...(total > stranded.length ? [h("li", {}, `and ${(total - stranded.length).toLocaleString()} more`)] : []));
}

// --- dark and light --------------------------------------------------------------------------

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem(THEME, next);
}

const theme = localStorage.getItem(THEME);
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;

// --- keys ------------------------------------------------------------------------------------

const HELP = [
  ["n", "Submit a job"], ["/", "Search"], ["j  k", "Next and previous job"], ["x", "Select it"],
  ["Enter", "Open it"], ["u", "Back to the list"], ["g", "To the graph, then arrows, + − 0"],
  ["w", "Log of the whole run"], ["f", "Follow the log"], ["l", "Search the log"], ["r  s  c", "Resume, suspend, cancel"],
  ["t", "Dark or light"], ["?", "This help"], ["Esc", "Close"],
];

function help() {
  const dialog = h("dialog", { class: "small", "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", { class: "keys" }, HELP.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))),
    h("div", { class: "row end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

const KEYS = { n: () => submit.open(), t: toggleTheme, "?": help };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (target.matches("input, textarea, select")) {
    if (event.key === "Escape") target.blur();
    if (target.type !== "checkbox") return;
  }
  const action = view.keys[event.key] ?? KEYS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// --- files dropped ---------------------------------------------------------------------------

const drop = document.getElementById("drop");
const carriesFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  drop.hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.hidden = true;
});
addEventListener("drop", async (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  drop.hidden = true;
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const text = file.size > 8_000_000 ? "" : await file.text();
  document.querySelector("dialog.submit")?.close();
  submit.open(text, file.name);
});

addEventListener("hashchange", showRoute);
showRoute();
showLoad();
