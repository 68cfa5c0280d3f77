// Messages of a subject as they come: a client by WebSocket, with the few lines of the protocol that it needs.
//
// The broker delivers a number of messages (`UNSUB` after that many), and more when they have been shown: a page that
// cannot keep up would make publishers wait.

/// Messages that are shown, those that are asked for at a time, and the bytes at which that time ends early.
const SHOWN_MAX = 100;
const ASKED_MAX = 500;
const ASKED_BYTES_MAX = 1 << 20;
/// Least time between two questions, and between two pictures.
const ASK_EVERY = 1000;
const DRAW_EVERY = 200;
/// Letters of a payload that are shown.
const LETTERS_MAX = 400;

/// Where clients come by WebSocket, if they do, as this page reaches it.
function door({ websocket: { port, advertise, tls_cert_not_after: end } }) {
  if (!port) return null;
  const [, host = location.hostname, at = port] = /^(.*?)(?::(\d+))?$/.exec(advertise ?? "").map((part) => part || undefined);
  const scheme = end || location.protocol === "https:" ? "wss" : "ws";
  return `${scheme}://${host}:${at}/`;
}

/// Why the broker refuses a page that comes from here, as far as its settings tell.
function refusal({ websocket: { same_origin: same, allowed_origins: allowed } }) {
  const { origin } = location;
  if (allowed && !allowed.includes(origin)) return `The broker refuses pages from ${origin}: add it to allowed_origins of its websocket block.`;
  if (same) return `The broker refuses pages from other ports than that of its websocket block (same_origin). This page comes from ${origin}.`;
  return "";
}

/// What comes, put together to operations.
class Reader {
  constructor() {
    Object.assign(this, { parts: [], size: 0, need: 0, text: new TextDecoder() });
  }

  /// Adds bytes; answers the operations that are whole.
  take(bytes) {
    this.parts.push(bytes);
    this.size += bytes.length;
    // What is long comes in many frames, and is looked at once.
    if (this.size < this.need) return [];
    let rest = new Uint8Array(this.size);
    this.parts.reduce((at, part) => (rest.set(part, at), at + part.length), 0);
    const whole = [];
    this.need = 0;
    for (;;) {
      const end = rest.indexOf(10);
      if (end < 0) break;
      const [name, ...words] = this.text.decode(rest.subarray(0, end)).trim().split(/\s+/);
      const isMessage = name === "MSG" || name === "HMSG";
      const size = isMessage ? Number(words.at(-1)) : 0;
      this.need = isMessage ? end + 1 + size + 2 : 0;
      if (rest.length < this.need) break;
      const payload = rest.subarray(end + 1, end + 1 + size);
      const header = name === "HMSG" ? Number(words.at(-2)) : 0;
      whole.push({ name: name.toUpperCase(), words, size, header: payload.subarray(0, header), payload: payload.subarray(header) });
      rest = rest.subarray(Math.max(this.need, end + 1));
      this.need = 0;
    }
    this.parts = [rest];
    this.size = rest.length;
    return whole;
  }

  /// The beginning of bytes, as text of one line.
  shown(bytes) {
    const text = this.text.decode(bytes.subarray(0, 4 * LETTERS_MAX)).replace(/[\p{Cc}\p{Cf}]/gu, "·");
    const letters = [...text];
    return letters.length > LETTERS_MAX || bytes.length > 4 * LETTERS_MAX ? `${letters.slice(0, LETTERS_MAX).join("")}…` : text;
  }

  /// The lines of a header, in one.
  header(bytes) {
    const lines = this.text.decode(bytes).split("\r\n").filter((line) => line && line !== "NATS/1.0");
    return this.shown(new TextEncoder().encode(lines.join(" · ")));
  }
}

class Watcher {
  constructor(url, subject, presented) {
    Object.assign(this, { url, subject, presented, sid: 0, left: 0, bytes: 0, seen: 0, full: false, opened: false, over: false, rows: [] });
    this.reader = new Reader();
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.addEventListener("message", ({ data }) => this.hear(data));
    this.socket.addEventListener("close", ({ reason }) => this.closed(reason));
  }

  send(text) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(new TextEncoder().encode(text));
  }

  hear(data) {
    for (const op of this.reader.take(new Uint8Array(data))) {
      if (op.name === "INFO") this.greet();
      else if (op.name === "PING") this.send("PONG\r\n");
      else if (op.name === "-ERR") this.end(`The broker says: ${op.words.join(" ").replace(/^'|'$/g, "")}.`);
      else if (op.name === "MSG" || op.name === "HMSG") this.show(op);
      else if (op.name === "PONG" && !this.opened) {
        this.opened = true;
        this.ask();
      }
    }
  }

  /// Says who this is, once.
  greet() {
    if (this.greeted) return;
    this.greeted = true;
    const options = { verbose: false, pedantic: false, protocol: 0, headers: true, name: "dashboard", lang: "javascript", ...this.presented };
    this.send(`CONNECT ${JSON.stringify(options)}\r\nPING\r\n`);
    // It is not needed any more.
    this.presented = null;
  }

  /// Has the next messages delivered.
  ask() {
    if (this.over) return;
    // Nobody looks.
    if (document.hidden) return void document.addEventListener("visibilitychange", () => this.ask(), { once: true });
    Object.assign(this, { sid: this.sid + 1, left: ASKED_MAX, bytes: 0, asked: performance.now() });
    this.send(`SUB ${this.subject} ${this.sid}\r\nUNSUB ${this.sid} ${ASKED_MAX}\r\n`);
    this.draw();
  }

  show({ name, words, size, header, payload }) {
    const [subject, sid] = words;
    if (Number(sid) !== this.sid || this.left === 0) return;
    const reply = words.length > (name === "HMSG" ? 4 : 3) ? words[2] : "";
    this.rows.unshift({ time: new Date(), subject, reply, size, header: this.reader.header(header), text: this.reader.shown(payload) });
    this.rows.length = Math.min(this.rows.length, SHOWN_MAX);
    Object.assign(this, { seen: this.seen + 1, left: this.left - 1, bytes: this.bytes + size });
    if (this.left && this.bytes >= ASKED_BYTES_MAX) {
      this.send(`UNSUB ${this.sid}\r\n`);
      this.left = 0;
    }
    if (this.left === 0) {
      const wait = ASK_EVERY - (performance.now() - this.asked);
      this.full ||= wait > 0;
      setTimeout(() => this.ask(), Math.max(0, wait));
    }
    this.draw();
  }

  /// A picture, not more often than can be looked at.
  draw() {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      if (watcher === this) showWatched(this);
    }, DRAW_EVERY);
  }

  closed(reason) {
    if (this.over) return;
    if (this.greeted) return this.end(`The broker has closed the connection${reason ? `: ${reason}` : ""}.`);
    const refused = refusal(known.varz ?? firstVarz);
    const mixed = location.protocol === "https:" ? " This page came over HTTPS, so the WebSocket needs TLS too." : "";
    this.end(refused || `No WebSocket at ${this.url}: is the port reached from here, and its certificate trusted by this browser?${mixed}`);
  }

  end(text) {
    if (this.over) return;
    this.over = true;
    this.socket.close();
    showWatched(this, text);
    tellWatching(false);
  }
}

/// The one that watches, or has watched last.
let watcher = null;
const firstVarz = JSON.parse(byId("first").textContent).varz;

function showWatched({ rows, seen, full, opened, over, subject }, problem = "") {
  const count = `${exact(seen)} message${seen === 1 ? "" : "s"}`;
  const cut = [seen > rows.length && `the last ${SHOWN_MAX} are shown`, full && `at most ${ASKED_MAX} a second are delivered here, and others left out`];
  const told = [`${over ? "Watched" : opened ? "Watching" : "Connecting to watch"} ${subject}: ${count}`, ...cut].filter(Boolean).join("; ");
  say("w-state", `${problem ? `${problem} ` : ""}${told}.`);
  byId("w-list").hidden = !rows.length;
  byId("w-rows").replaceChildren(...rows.map((one) => make("tr", "",
    make("td", "desk time", one.time.toLocaleTimeString()),
    make("td", "", make("code", "", one.subject), make("small", "", one.reply && `reply to ${one.reply}`)),
    make("td", "payload", one.text, make("small", "", one.header)),
    make("td", "number", exact(one.size)))));
}

function tellWatching(is) {
  byId("w-go").textContent = is ? "Stop" : "Watch";
}

byId("w-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (watcher && !watcher.over) return watcher.end("Stopped.");
  const subject = byId("w-subject").value.trim();
  const varz = known.varz ?? firstVarz;
  const url = door(varz);
  if (!url) return say("w-state", "This broker takes no clients by WebSocket. With a websocket block in its configuration it does: websocket { port: 8080, no_tls: true }.");
  if (!subject || /[\s\p{Cc}]/u.test(subject)) return say("w-state", "A subject has no blanks in it: orders.new, orders.* or orders.>");
  const user = byId("w-user").value;
  const secret = byId("w-secret").value;
  try {
    watcher = new Watcher(url, subject, user ? { user, pass: secret } : secret ? { auth_token: secret } : {});
  } catch (error) {
    // Where the page came over HTTPS and the WebSocket would be in clear, or the address is none.
    return say("w-state", `${url} cannot be opened: ${error.message}`);
  }
  tellWatching(true);
  showWatched(watcher);
});
byId("w-clear").addEventListener("click", () => {
  if (!watcher) return;
  Object.assign(watcher, { rows: [], seen: 0, full: false });
  showWatched(watcher);
});
