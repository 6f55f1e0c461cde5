// The address is the only state: what is shown, filtered and selected can be sent to somebody else.

/** Read the address: {name, key, query}. */
export function read() {
  const text = location.hash.replace(/^#\/?/, "");
  const [path, search = ""] = text.split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decode);
  const query = new URLSearchParams(search);
  if (parts[0] === "jobs" && parts[1]) return { name: "job", key: parts[1], query };
  return { name: "list", key: "", query };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Write an address; empty values are left out. */
export function link(path, values = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== "" && value !== null && value !== undefined) query.set(name, value);
  }
  const search = query.toString();
  return `#/${path}${search ? `?${search}` : ""}`;
}

/** Return a job's address. */
export function jobLink(key, values) {
  return link(`jobs/${encodeURIComponent(key)}`, values);
}

/** Change a part of the address; without a new step in the browser's history if so wanted. */
export function change(values, { replace = true } = {}) {
  const now = read();
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null || value === undefined) now.query.delete(name);
    else now.query.set(name, value);
  }
  const path = now.name === "job" ? `jobs/${encodeURIComponent(now.key)}` : "jobs";
  const hash = link(path, Object.fromEntries(now.query));
  if (hash === location.hash) return;
  if (replace) {
    history.replaceState(null, "", hash);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = hash;
  }
}
