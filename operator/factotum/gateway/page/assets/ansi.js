// Colours of terminals as classes; everything else that a terminal would obey is left out.

import { h } from "./dom.js";

// CSI, OSC (titles, links), other strings, and short escapes.
const ESCAPES = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[PX^_][^\u001b]*(?:\u001b\\)?|[ -/]*[0-~])/g;

/** Turn one line into nodes; returns the style that goes on in the next one. */
export function render(line, style) {
  const nodes = [];
  const collapsed = collapse(line);
  let at = 0;
  let now = style;
  const add = (text) => {
    if (!text) return;
    const kind = classes(now);
    nodes.push(kind ? h("span", { class: kind }, text) : document.createTextNode(text));
  };
  for (const found of collapsed.matchAll(ESCAPES)) {
    add(collapsed.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[2] === "m") now = apply(now, found[1]);
  }
  add(collapsed.slice(at));
  return { nodes, style: now };
}

/** Return a line without what only a terminal obeys. */
export function plain(line) {
  return line.replace(ESCAPES, "");
}

/** A carriage return begins the line anew: what was there before cannot be seen. */
function collapse(line) {
  const whole = line.endsWith("\r") ? line.slice(0, -1) : line;
  const at = whole.lastIndexOf("\r");
  return at < 0 ? whole : whole.slice(at + 1);
}

function classes({ colour, bold, dim, italic, underline }) {
  const names = [];
  if (colour !== null) names.push(`ansi-${colour}`);
  if (bold) names.push("ansi-bold");
  if (dim) names.push("ansi-dim");
  if (italic) names.push("ansi-italic");
  if (underline) names.push("ansi-underline");
  return names.join(" ");
}

/** The style of a terminal at its beginning. */
export const PLAIN = { colour: null, bold: false, dim: false, italic: false, underline: false };

function apply(style, codes) {
  const now = { ...style };
  const numbers = codes.split(/[;:]/).map(Number);
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 0) Object.assign(now, PLAIN);
    else if (code === 1) now.bold = true;
    else if (code === 2) now.dim = true;
    else if (code === 3) now.italic = true;
    else if (code === 4) now.underline = true;
    else if (code === 22) now.bold = now.dim = false;
    else if (code === 23) now.italic = false;
    else if (code === 24) now.underline = false;
    else if (code >= 30 && code <= 37) now.colour = code - 30;
    else if (code >= 90 && code <= 97) now.colour = code - 90;
    else if (code === 39) now.colour = null;
    else if (code === 38 || code === 48) {
      const skip = numbers[at + 1] === 5 ? 2 : 4;
      if (code === 38 && skip === 2) now.colour = numbers[at + 2] % 8;
      at += skip;
    }
  }
  return now;
}
