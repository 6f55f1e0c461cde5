// How values are written for people.

const PHASES = {
  waiting: ["Waiting", "○"],
  suspended: ["Suspended", "‖"],
  running: ["Running", "▶"],
  succeeded: ["Succeeded", "✓"],
  failed: ["Failed", "✕"],
  cancelled: ["Cancelled", "⊘"],
};
const TASKS = {
  WAITING: ["waiting", "Waiting", "○"],
  RUNNING: ["running", "Running", "▶"],
  SUCCEEDED: ["succeeded", "Succeeded", "✓"],
  SUCCEEDED_NO_OP: ["succeeded", "Succeeded, ends the job", "✓"],
  FAILED: ["failed", "Failed", "✕"],
  SKIPPED: ["skipped", "Skipped", "⤼"],
};

/** Return a job's phase: class, word, sign. */
export function phase(job) {
  let key = "waiting";
  if (job.state === "WORKING") key = "running";
  else if (job.state === "DONE") {
    key = job.outcome === "SUCCEEDED" ? "succeeded" : "failed";
    if (job.reason === "Cancelled") key = "cancelled";
  } else if (job.reason === "Suspended") key = "suspended";
  let [word, sign] = PHASES[key];
  if (key === "running" && job.order !== "Run") {
    word = job.order === "Cancel" ? "Cancelling" : "Suspending";
  }
  return { key, word, sign };
}

/** Return a task's phase: class, word, sign. */
export function taskPhase(state) {
  const [key, word, sign] = TASKS[state] ?? TASKS.WAITING;
  return { key, word, sign };
}

/** Write a duration in seconds. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Return how long something has lasted until its end, or now. */
export function lasted(from, to) {
  if (!from) return null;
  return ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** Write a moment in the reader's zone; the day only if it is not today. */
export function moment(text) {
  if (!text) return "";
  const when = new Date(text);
  return (when.toDateString() === new Date().toDateString() ? CLOCK : DAY).format(when);
}

/** Write a moment in full, in the reader's zone and in UTC. */
export function momentInFull(text) {
  return text ? `${FULL.format(new Date(text))} — ${text}` : "";
}

/** Write a number of bytes. */
export function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 * 1024) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

/** Write a count with its noun. */
export function plural(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;
}

// Marks that turn the direction of what follows would let a name pretend to be another one.
const TURNING = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Make what cannot be seen in a name visible. */
export function visible(text) {
  return text.replace(TURNING, (mark) => {
    const code = mark.codePointAt(0);
    return code < 32 ? String.fromCodePoint(0x2400 + code) : `⟨U+${code.toString(16).toUpperCase()}⟩`;
  });
}
