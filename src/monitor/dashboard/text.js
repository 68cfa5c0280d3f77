// Elements, and numbers as people read them.

const byId = (id) => document.getElementById(id);

/// An element; what is given as text stays text, whatever a client has called itself.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

function say(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

/// Gives an element these children. What stands there already stays untouched, with its focus, so that
/// nothing moves away from under a finger.
function place(parent, children) {
  const old = parent.childNodes;
  if (old.length === children.length && children.every((child, at) => child === old[at])) return;
  const focus = document.activeElement;
  parent.replaceChildren(...children);
  if (parent.contains(focus)) focus.focus({ preventScroll: true });
}

/// Three digits and a unit: `7`, `950`, `12.3 k`.
function scaled(number, step, units) {
  let unit = 0;
  while (Math.abs(number) >= step && unit < units.length - 1) {
    number /= step;
    unit += 1;
  }
  const digits = unit === 0 || number >= 100 ? 0 : number >= 10 ? 1 : 2;
  return `${number.toFixed(digits)} ${units[unit]}`.trim();
}

const exact = (number) => number.toLocaleString("en");
const short = (number) => (number < 10_000 ? exact(Math.round(number)) : scaled(number, 1000, ["", "k", "M", "G", "T"]));
const bytes = (number) => scaled(number, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const micros = (number) => (number < 1 ? `${number.toFixed(1)} µs` : scaled(number, 1000, ["µs", "ms", "s"]));
/// Less than can be seen is no number.
const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`);

/// A duration as Go writes it, with three digits: `7.548706ms` is `7.55 ms`.
function rounded(duration) {
  const [, number, unit] = /^([\d.]+)(µs|ms|s)$/.exec(duration) ?? [];
  return unit ? `${Number(Number(number).toPrecision(3))} ${unit}` : duration;
}

/// How long ago: `4 s`, `3 min`, `2.5 h`, `12 d`.
function span(seconds) {
  for (const [unit, length] of [["d", 86_400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

/// What a client is called: by itself, else by its number.
const called = (client) => client.name || `client ${client.cid}`;
