// Lines that move, each on an axis of its own, so that none is flattened by the other; the newest moment
// at the right: the last minute, and in time the last five.

const WINDOW_MIN = 60_000;
const WINDOW_MAX = 300_000;
const SVG = "http://www.w3.org/2000/svg";

/// Where a value stands between the ends of an axis that must hold all from `least` to `most`.
const scales = {
  /// Up to 1, 2 or 5 times a power of ten.
  counts(least, most) {
    const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
    const top = most > 0 ? [1, 2, 5, 10].find((factor) => factor * power >= most) * power : 10;
    return { top, share: (value) => value / top };
  },
  /// Up to a power of two.
  bytes(least, most) {
    const top = Math.max(1024, 2 ** Math.ceil(Math.log2(Math.max(most, 1))));
    return { top, share: (value) => value / top };
  },
  /// From one power of ten to another, each the same distance from the next: a slow moment among quick
  /// ones. In microseconds.
  times(least, most) {
    const low = Math.floor(Math.log10(Math.max(least, 0.1)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(most, 0.1))));
    const share = (value) => Math.min(1, Math.max(0, (Math.log10(Math.max(value, 0.01)) - low) / (high - low)));
    return { top: 10 ** high, bottom: 10 ** low, share };
  },
};

class Chart {
  /// `names` of the lines, how a value is written, and one of `scales`.
  constructor(place, label, names, write, scale) {
    Object.assign(this, { label, write, scale, samples: [], shown: null });
    this.when = make("span", "", "now");
    this.since = make("span");
    this.lines = names.map((name, at) => this.line(place, name, at ? "second" : "first"));
    place.append(make("div", "span", this.since, this.when));
  }

  /// A line with its axis.
  line(place, name, className) {
    const value = make("b", "", "–");
    const top = make("span", "top");
    const bottom = make("span", "bottom");
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 1000 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    const path = (className) => {
      const element = document.createElementNS(SVG, "path");
      element.setAttribute("class", className);
      return svg.appendChild(element);
    };
    path("grid").setAttribute("d", "M0 0H1000M0 50H1000M0 100H1000");
    const drawn = path(className);
    const cursor = path("cursor");
    const plot = make("div", "chart", top, bottom, svg);
    plot.addEventListener("pointermove", (event) => this.point(svg, event));
    plot.addEventListener("pointerleave", () => this.point(svg, null));
    place.append(make("div", "legend", make("span", className, value, ` ${name}`)), plot);
    return { name, value, top, bottom, svg, drawn, cursor };
  }

  /// Adds a moment; `null` for values is a gap.
  add(time, values) {
    this.samples.push({ time, values });
    while (this.samples[0].time < time - WINDOW_MAX) this.samples.shift();
    this.draw();
  }

  /// How much time the chart shows, in milliseconds.
  window() {
    return Math.max(WINDOW_MIN, this.samples.at(-1).time - this.samples[0].time);
  }

  x(sample) {
    return 1000 - ((this.samples.at(-1).time - sample.time) / this.window()) * 1000;
  }

  draw() {
    const told = this.samples.filter((sample) => sample.values);
    this.since.textContent = `${span(this.window() / 1000)} ago`;
    this.lines.forEach((line, at) => {
      const values = told.map((sample) => sample.values[at]);
      const scale = this.scale(values.length ? Math.min(...values) : 0, Math.max(0, ...values));
      line.top.textContent = this.write(scale.top);
      line.bottom.textContent = scale.bottom && values.length ? `${this.write(scale.bottom)} · logarithmic` : "";
      let text = "";
      let pen = "M";
      for (const sample of this.samples) {
        if (sample.values) {
          text += `${pen}${this.x(sample).toFixed(1)} ${(100 - 100 * scale.share(sample.values[at])).toFixed(2)}`;
          // One moment alone is a dot.
          if (pen === "M") text += "h.1";
        }
        pen = sample.values ? "L" : "M";
      }
      line.drawn.setAttribute("d", text);
    });
    this.tell();
  }

  /// The moment under the pointer, or the newest.
  point(svg, event) {
    const box = svg.getBoundingClientRect();
    const x = event && ((event.clientX - box.left) / box.width) * 1000;
    const told = this.samples.filter((sample) => sample.values);
    const distance = (sample) => Math.abs(this.x(sample) - x);
    this.shown = event && told.length ? told.reduce((a, b) => (distance(b) < distance(a) ? b : a)) : null;
    this.tell();
  }

  tell() {
    const sample = this.shown ?? this.samples.at(-1);
    this.when.textContent = this.shown ? new Date(this.shown.time).toLocaleTimeString() : "now";
    this.lines.forEach((line, at) => {
      const written = sample?.values ? this.write(sample.values[at]) : "–";
      line.value.textContent = written;
      line.cursor.setAttribute("d", this.shown ? `M${this.x(this.shown).toFixed(1)} 0V100` : "");
      line.svg.setAttribute("aria-label", `${this.label}: ${line.name} ${written}`);
    });
  }
}
