// Two lines that move, the newest moment at the right: the last minute, and in time the last five.

const WINDOW_MIN = 60_000;
const WINDOW_MAX = 300_000;
const SVG = "http://www.w3.org/2000/svg";

/// Where a value stands between the ends of a chart that must hold `most`.
const scales = {
  /// Up to 1, 2 or 5 times a power of ten.
  counts(most) {
    const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
    const top = most > 0 ? [1, 2, 5, 10].find((factor) => factor * power >= most) * power : 10;
    return { top, share: (value) => value / top };
  },
  /// Up to a power of two.
  bytes(most) {
    const top = Math.max(1024, 2 ** Math.ceil(Math.log2(Math.max(most, 1))));
    return { top, share: (value) => value / top };
  },
  /// Up to a power of ten, each the same distance from the next: microseconds beside seconds.
  times(most) {
    const top = Math.max(1000, 10 ** Math.ceil(Math.log10(Math.max(most, 1))));
    return { top, share: (value) => Math.log10(Math.max(value, 1)) / Math.log10(top), note: " · logarithmic, from 1 µs" };
  },
};

class Chart {
  /// `names` of the two lines, how a value is written, and one of `scales`.
  constructor(place, label, names, write, scale) {
    Object.assign(this, { label, names, write, scale, samples: [], shown: null });
    this.legend = make("div", "legend");
    this.values = names.map((name, at) => {
      const value = make("b", "", "–");
      this.legend.append(make("span", at ? "second" : "first", value, ` ${name}`));
      return value;
    });
    this.when = make("span", "", "now");
    this.since = make("span");
    this.top = make("div", "top");
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("viewBox", "0 0 1000 100");
    this.svg.setAttribute("preserveAspectRatio", "none");
    this.svg.setAttribute("role", "img");
    const path = (className) => {
      const element = document.createElementNS(SVG, "path");
      element.setAttribute("class", className);
      return this.svg.appendChild(element);
    };
    path("grid").setAttribute("d", "M0 0H1000M0 50H1000M0 100H1000");
    this.lines = [path("first"), path("second")];
    this.cursor = path("cursor");
    const plot = make("div", "chart", this.top, this.svg);
    place.append(this.legend, plot, make("div", "span", this.since, this.when));
    plot.addEventListener("pointermove", (event) => this.point(event));
    plot.addEventListener("pointerleave", () => this.point(null));
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
    const scale = this.scale(Math.max(0, ...told.flatMap((sample) => sample.values)));
    this.top.textContent = this.write(scale.top);
    this.since.textContent = `${span(this.window() / 1000)} ago${scale.note ?? ""}`;
    this.lines.forEach((line, at) => {
      let text = "";
      let pen = "M";
      for (const sample of this.samples) {
        if (sample.values) {
          text += `${pen}${this.x(sample).toFixed(1)} ${(100 - 100 * scale.share(sample.values[at])).toFixed(2)}`;
        }
        pen = sample.values ? "L" : "M";
      }
      line.setAttribute("d", text);
    });
    this.tell();
  }

  /// The moment under the pointer, or the newest.
  point(event) {
    const box = this.svg.getBoundingClientRect();
    const x = event && ((event.clientX - box.left) / box.width) * 1000;
    const told = this.samples.filter((sample) => sample.values);
    const distance = (sample) => Math.abs(this.x(sample) - x);
    this.shown = event && told.length ? told.reduce((a, b) => (distance(b) < distance(a) ? b : a)) : null;
    this.tell();
  }

  tell() {
    const sample = this.shown ?? this.samples.at(-1);
    const written = this.names.map((_, at) => (sample?.values ? this.write(sample.values[at]) : "–"));
    this.values.forEach((value, at) => (value.textContent = written[at]));
    this.when.textContent = this.shown ? new Date(this.shown.time).toLocaleTimeString() : "now";
    this.cursor.setAttribute("d", this.shown ? `M${this.x(this.shown).toFixed(1)} 0V100` : "");
    this.svg.setAttribute("aria-label", `${this.label}: ${this.names.map((name, at) => `${name} ${written[at]}`).join(", ")}`);
  }
}
