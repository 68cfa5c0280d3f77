// Asking the broker: one question after the other, so that one connection does for all.

const BASE = document.body.dataset.base;
const TIME_MAX = 10_000;

/// What a panel shows is whole or old, never half: it is asked for, then shown.
async function ask(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== ""));
  const url = BASE + path + (query.size ? `?${query}` : "");
  const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIME_MAX) });
  if (response.ok) return response.json();
  const text = response.status === 401 ? "a password is required: reload this page" : await response.text();
  throw new Error(`${response.status}: ${text.slice(0, 200)}`);
}

/// Whether clients may come: a lame duck answers that they may not.
async function isReady() {
  const response = await fetch(`${BASE}readyz`, { cache: "no-store", signal: AbortSignal.timeout(TIME_MAX) });
  await response.text();
  return response.ok;
}

/// A panel that asks by itself: the answer to an old question never replaces that to a newer one.
class Asker {
  constructor(element, question, show) {
    Object.assign(this, { question, show, number: 0, seen: false });
    new IntersectionObserver((entries) => {
      const seen = entries.at(-1).isIntersecting;
      if (seen && !this.seen) this.now();
      this.seen = seen;
    }, { rootMargin: "200px" }).observe(element);
  }

  async refresh() {
    const number = ++this.number;
    const answer = await this.question();
    if (number === this.number) this.show(answer);
  }

  /// The reader waits for it. A failure is the loop's to tell.
  now() {
    this.refresh().catch(() => {});
  }

  /// Once the typing has paused.
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), 250);
  }
}
