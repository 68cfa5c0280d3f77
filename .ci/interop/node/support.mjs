// What the Node checks stand on: a broker they start and stop, a raw client, a recording relay.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import readline from "node:readline";

/** Longest time for one answer. Reaching it is a failure, never a way to wait. */
export const ANSWER_MS = 10_000;
/** Longest time for one check. */
export const CHECK_MS = 60_000;

export class Failed extends Error {}

export function expect(condition, reason) {
  if (!condition) throw new Failed(reason);
}

function brief(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 300 ? text : `${text.slice(0, 300)}... (${text.length} characters)`;
}

export function expectEqual(found, wanted, what) {
  expect(JSON.stringify(found) === JSON.stringify(wanted), `${what}: found ${brief(found)}, expected ${brief(wanted)}`);
}

/** Names the first place where two lists differ, not both lists. */
export function expectSameList(found, wanted, what) {
  for (let i = 0; i < Math.min(found.length, wanted.length); i++) {
    if (JSON.stringify(found[i]) !== JSON.stringify(wanted[i])) {
      throw new Failed(`${what}: item ${i} is ${brief(found[i])}, expected ${brief(wanted[i])}`);
    }
  }
  const more = found.length - wanted.length;
  expect(more <= 0, `${what}: ${more} too many, first ${brief(found[wanted.length])}`);
  expect(more >= 0, `${what}: ${-more} missing, first ${brief(wanted[found.length])}`);
}

/** Fails if the promise takes longer than `ms`; the timer does not keep the process alive. */
export function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failed(`no ${what} within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Broker {
  constructor(binary, port, args = []) {
    this.binary = binary;
    this.port = port;
    this.args = args;
    this.process = null;
  }

  /** Returns once the broker's log says that it is ready. */
  async start() {
    const child = spawn(this.binary, ["-a", "127.0.0.1", "-p", String(this.port), ...this.args], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const log = [];
    this.process = child;
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => resolve(log.push(String(error))));
      child.on("exit", () => resolve());
    });
    const ready = new Promise((resolve) => {
      readline.createInterface({ input: child.stderr }).on("line", (line) => {
        log.push(line);
        if (line.includes("Server is ready")) resolve(true);
      });
    });
    const up = await within(ANSWER_MS, Promise.race([ready, this.ended.then(() => false)]), "ready broker")
      .catch(() => false);
    if (!up) {
      await this.kill();
      throw new Failed(`the broker did not become ready; its log: ${log.join(" / ") || "empty"}`);
    }
  }

  running() {
    return this.process !== null && this.process.exitCode === null && this.process.signalCode === null;
  }

  async end(signal) {
    if (this.running()) {
      this.process.kill(signal);
      await within(ANSWER_MS, this.ended, `end of the broker after ${signal}`);
    }
    this.process = null;
  }

  stop() {
    return this.end("SIGTERM");
  }

  kill() {
    return this.end("SIGKILL");
  }
}

/** A client that is nothing but a socket. */
export class Raw {
  static async connect(port, options = {}) {
    const raw = new Raw();
    raw.socket = net.connect(port, "127.0.0.1");
    raw.held = "";
    raw.over = false;
    raw.socket.setEncoding("latin1");
    raw.wake = () => {};
    raw.socket.on("data", (data) => {
      raw.held += data;
      raw.wake();
    });
    raw.socket.on("error", () => {});
    raw.socket.on("close", () => {
      raw.over = true;
      raw.wake();
    });
    await once(raw.socket, "connect");
    const info = await raw.line();
    expect(info.startsWith("INFO {"), `first line is ${info}`);
    raw.send(`CONNECT ${JSON.stringify({ verbose: false, pedantic: false, ...options })}\r\nPING\r\n`);
    expectEqual(await raw.line(), "PONG", "answer to CONNECT and PING");
    return raw;
  }

  send(text) {
    this.socket.write(text, "latin1");
  }

  /** The next line without its CR LF. */
  async line() {
    while (!this.held.includes("\r\n")) {
      expect(!this.over, `the broker closed the connection after ${brief(this.held)}`);
      await this.more("line");
    }
    const at = this.held.indexOf("\r\n");
    const line = this.held.slice(0, at);
    this.held = this.held.slice(at + 2);
    return line;
  }

  async end() {
    while (!this.over) await this.more("end of the connection");
  }

  /** The broker closes; anything it still says is a failure. */
  async expectEnd() {
    await this.end();
    expectEqual(this.held, "", "bytes before the close");
  }

  more(what) {
    return within(ANSWER_MS, new Promise((resolve) => (this.wake = resolve)), what);
  }
}

/** Passes one connection on to the broker and keeps what the broker said. */
export class Relay {
  static async open(port) {
    const relay = new Relay();
    relay.said = "";
    relay.server = net.createServer((client) => {
      const broker = net.connect(port, "127.0.0.1");
      broker.on("data", (data) => (relay.said += data.toString("latin1")));
      for (const end of [client, broker]) end.on("error", () => {});
      client.pipe(broker).pipe(client);
    });
    relay.server.listen(0, "127.0.0.1");
    await once(relay.server, "listening");
    relay.port = relay.server.address().port;
    return relay;
  }

  count(line) {
    return this.said.split("\r\n").filter((l) => l === line).length;
  }

  close() {
    this.server.close();
  }
}

/** Runs the checks one by one, prints what became of each, and ends the process. */
export async function play(checks, attempt, clear) {
  let passed = 0;
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await within(CHECK_MS, attempt(check), "end of the check");
      passed += 1;
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      const reason = error instanceof Failed ? error.message : String(error?.stack ?? error);
      console.log(`FAIL ${name} ${reason.split(/\s+/).join(" ")}`);
      await clear().catch(() => {});
    }
  }
  await clear().catch(() => {});
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}
