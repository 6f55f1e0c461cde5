// Elements from plain values. Text is only ever text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else if (name === "checked") element.checked = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Make an HTML element; strings among the children become text. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Make an SVG element. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Give an element a text, if it does not have it: an unchanged one costs no layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Give an element an attribute, if it does not have it. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, String(value));
  }
}

let toldAt = 0;
let toldLater = 0;

/** Tell those who cannot see it; at most once in five seconds. */
export function tell(text) {
  clearTimeout(toldLater);
  const wait = Math.max(0, toldAt + 5000 - Date.now());
  toldLater = setTimeout(() => {
    toldAt = Date.now();
    setText(document.getElementById("told"), text);
  }, wait);
}

/** Show a short message for some seconds. */
export function flash(text, kind = "good") {
  document.querySelectorAll(".flash").forEach((old) => old.remove());
  const note = h("div", { class: `flash ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
  document.body.append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 9000 : 4000);
}

/** Ask a question; resolves to true or false. */
export function confirm(question, yes) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog",
      { class: "small", "aria-labelledby": "question", onclose: () => close(false) },
      h("p", { id: "question" }, question),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", onclick: () => close(false) }, "Back"),
        h("button", { type: "button", class: "danger", onclick: () => close(true) }, yes),
      ),
    );
    function close(answer) {
      resolve(answer);
      dialog.remove();
    }
    document.body.append(dialog);
    dialog.showModal();
  });
}
