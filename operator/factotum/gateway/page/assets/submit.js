// Submitting: a factfile typed, pasted or dropped, checked by the server as it is typed.

import { get, post } from "./api.js";
import { flash, h, setText } from "./dom.js";
import { plural, visible } from "./format.js";
import * as graphs from "./graph.js";
import * as route from "./route.js";

const WAIT = 350;
const EXAMPLE = `{
  "schema": "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0",
  "data": {
    "name": "Say hello",
    "tasks": [
      {
        "name": "hello",
        "executor": "shell",
        "command": "echo",
        "arguments": ["hello, world"],
        "dependsOn": [],
        "onResult": {"terminateJobWithSuccess": [], "continueJob": [0]}
      }
    ]
  }
}
`;

/** Open the dialog, with a factfile's text if there is one. */
export function open(text = "", fileName = "") {
  if (document.querySelector("dialog.submit")) return;
  let asked = null;
  let timer = 0;
  let graph = null;
  const factfile = h("textarea", {
    id: "factfile", spellcheck: "false", autocomplete: "off", rows: 16, value: text,
    placeholder: "A factfile: type, paste or drop it", oninput: soon, "aria-describedby": "verdict",
  });
  const name = h("input", { id: "job-name", placeholder: "the factfile's own", oninput: soon, maxlength: 256 });
  const options = h("textarea", {
    id: "options", rows: 3, spellcheck: "false", placeholder: "--tag\nregion,eu-west-1", oninput: soon,
  });
  const verdict = h("div", { id: "verdict", class: "verdict", role: "status" });
  const preview = h("div", { class: "preview" });
  const go = h("button", { type: "submit", class: "primary", disabled: true }, "Submit");
  const pick = h("input", { type: "file", id: "file", class: "unseen", onchange: () => load(pick.files[0]) });
  const dialog = h("dialog", { class: "submit", "aria-labelledby": "submit-title", onclose: close },
    h("form", {
      onsubmit: (event) => {
        event.preventDefault();
        submit();
      },
    },
    h("div", { class: "row" }, h("h2", { id: "submit-title" }, "Submit a job"),
      h("label", { for: "file", class: "button" }, "Choose a file"), pick,
      h("button", { type: "button", class: "quiet", onclick: () => put(EXAMPLE) }, "Example"),
      h("span", { class: "grow" }),
      h("button", { type: "button", class: "icon", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
    h("div", { class: "columns" },
      h("div", { class: "stack" }, h("label", { for: "factfile" }, "Factfile"), factfile),
      h("div", { class: "stack" },
        h("label", { for: "job-name" }, "Name"), name,
        h("label", { for: "options" }, "Options of factotum run, one word a line"), options,
        verdict, preview)),
    h("div", { class: "row end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Back"), go)));

  function close() {
    asked?.abort();
    clearTimeout(timer);
    graph?.close();
    dialog.remove();
  }

  function body() {
    const args = options.value.split("\n").map((line) => line.trim()).filter(Boolean);
    return { factfile: factfile.value, name: name.value.trim() || undefined, args };
  }

  function put(value) {
    factfile.value = value;
    soon();
  }

  async function load(file) {
    if (!file) return;
    if (file.size > 8_000_000) {
      refuse({ title: "This file is too large", detail: "A factfile has at most 8 MB." });
      return;
    }
    put(await file.text());
  }

  function soon() {
    clearTimeout(timer);
    go.disabled = true;
    timer = setTimeout(check, WAIT);
  }

  async function check() {
    asked?.abort();
    asked = new AbortController();
    if (!factfile.value.trim()) {
      verdict.replaceChildren();
      verdict.className = "verdict";
      preview.replaceChildren();
      return;
    }
    try {
      accept(await post("/v1/check", body(), asked.signal));
    } catch (problem) {
      if (problem.name !== "AbortError") refuse(problem);
    }
  }

  function accept(checked) {
    verdict.className = "verdict good";
    verdict.replaceChildren(h("strong", {}, "✓ It can run: "), `${visible(checked.name)}, ${plural(checked.tasks.length, "task")}`);
    go.disabled = false;
    graph?.close();
    graph = graphs.draw(checked.graph, { onSelect: () => {} });
    preview.replaceChildren(graph.element);
    graph.show();
  }

  function refuse(problem) {
    graph?.close();
    graph = null;
    preview.replaceChildren();
    go.disabled = true;
    verdict.className = "verdict bad";
    const lines = problem.violations?.length ? problem.violations : [problem.detail];
    const { place } = problem;
    verdict.replaceChildren(
      h("strong", {}, `✕ ${problem.title}`),
      h("ul", {}, lines.slice(0, 12).map((line) => h("li", {}, visible(line ?? "")))),
      h("p", {}, problem.cure ?? ""),
    );
    if (place) {
      verdict.append(h("button", { type: "button", class: "quiet", onclick: () => jump(place) },
        `Show line ${place.line}, column ${place.column}`));
    }
  }

  /** Put the cursor where the mistake is. */
  function jump({ line, column }) {
    const lines = factfile.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    factfile.focus();
    factfile.setSelectionRange(start + Math.max(0, column - 2), start + Math.max(column, (lines[line - 1] ?? "").length));
    factfile.scrollTop = ((line - 4) * factfile.scrollHeight) / Math.max(1, lines.length);
  }

  async function submit() {
    go.disabled = true;
    try {
      const job = await post("/v1/jobs", body());
      dialog.close();
      location.hash = route.jobLink(job.key);
      flash(`Submitted: ${job.name}`);
    } catch (problem) {
      refuse(problem);
      if (problem.type?.endsWith(":duplicate-job")) await showTwin();
    }
  }

  async function showTwin() {
    const checked = await post("/v1/check", body()).catch(() => null);
    const page = checked && (await get(`/v1/jobs?text=${checked.jobId}&limit=1`).catch(() => null));
    if (page?.jobs.length) {
      verdict.append(h("a", { href: route.jobLink(page.jobs[0].key), onclick: () => dialog.close() }, "Show it"));
    }
  }

  document.body.append(dialog);
  dialog.showModal();
  factfile.focus();
  if (fileName) setText(dialog.querySelector("h2"), `Submit ${fileName}`);
  if (text) check();
}
