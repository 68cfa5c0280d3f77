// The official JavaScript client (transport-node) against a broker:
// `suite.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES`.
//
// Nothing here sleeps to wait for the broker. Once the publisher's flush returns the broker has
// taken every message, and once the subscriber's flush returns the client has handed them over.

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import process from "node:process";
import {
  ANSWER_MS,
  Broker,
  expect,
  expectEqual,
  expectSameList,
  play,
  Raw,
  Relay,
  within,
} from "./support.mjs";

const [binary, port, modules] = process.argv.slice(2);
if (!modules) {
  console.error("usage: suite.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES");
  process.exit(2);
}
const require = createRequire(resolve(modules, "package.json"));
const { connect, headers, Match, NoRespondersError, RequestError, TimeoutError } = require("@nats-io/transport-node");

/** One check's connections. Whatever goes wrong on them unannounced fails the check. */
class Trial {
  constructor(broker) {
    this.broker = broker;
    this.clients = [];
    this.troubles = [];
    this.lossIsExpected = false;
  }

  async connect(options = {}) {
    const { onStatus = () => {}, ...rest } = options;
    const nc = await connect({
      servers: `127.0.0.1:${this.broker.port}`,
      reconnectTimeWait: 20,
      reconnectJitter: 0,
      maxReconnectAttempts: -1,
      ...rest,
    });
    this.clients.push(nc);
    (async () => {
      for await (const status of nc.status()) {
        onStatus(status.type);
        if (["disconnect", "error", "slowConsumer", "staleConnection"].includes(status.type)) {
          this.trouble(`${status.type} on a connection: ${status.error ?? ""}`);
        }
      }
    })();
    nc.closed().then((error) => this.trouble(`a connection was closed: ${error ?? ""}`));
    return nc;
  }

  trouble(text) {
    if (!this.lossIsExpected) this.troubles.push(text);
  }

  async end() {
    this.lossIsExpected = true;
    for (const nc of this.clients) await nc.close();
    expect(this.troubles.length === 0, this.troubles.join("; "));
  }
}

/** Subscribes and keeps every message in `messages`. */
function subscribe(nc, subject, options = {}) {
  const messages = [];
  const sub = nc.subscribe(subject, {
    ...options,
    callback: (error, message) => messages.push(error ? { string: () => String(error) } : message),
  });
  return { sub, messages, payloads: () => messages.map((m) => m.string()), clear: () => messages.splice(0) };
}

async function flush(...clients) {
  for (const nc of clients) await within(ANSWER_MS, nc.flush(), "answer to a flush");
}

async function publishAll(nc, subject, payloads) {
  for (const payload of payloads) nc.publish(subject, payload);
  await flush(nc);
}

/** Texts that sort in the order in which they are published. */
const numbered = (count, text = "message") =>
  Array.from({ length: count }, (_, i) => `${text} ${String(i).padStart(5, "0")}`);

/** An event that can be awaited any number of times. */
function event() {
  let happen;
  const happened = new Promise((resolve) => (happen = resolve));
  return { happen, happened: (what) => within(ANSWER_MS, happened, what) };
}

const pairs = (hdrs) => (hdrs ? [...hdrs].map(([key, values]) => [key, values]) : null);

async function connect_reads_the_server_info(t) {
  const one = await t.connect();
  const two = await t.connect();
  expect(one.info.client_id > 0 && one.info.client_id !== two.info.client_id, "client_id is not unique");
  expectEqual(one.info.client_ip, "127.0.0.1", "client_ip");
  expectEqual(one.info.max_payload, 1024 * 1024, "max_payload");
  expectEqual([one.info.headers, one.info.proto, one.info.port], [true, 1, t.broker.port], "headers, proto, port");
  expect(one.info.server_id.length > 0 && one.info.server_id === two.info.server_id, "server_id");
  expect(/^v?\d+\.\d+\.\d+/.test(one.info.version), `version ${one.info.version}`);
}

async function publish_reaches_subscriber_in_order(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const one = subscribe(sub, "js.order");
  const two = subscribe(sub, "js.order");
  const other = subscribe(sub, "js.other");
  await flush(sub);
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const sent = ["", "x", "\r\n", "PUB a 1\r\nb\r\n", all, ...numbered(5000)].map((p) => Buffer.from(p));
  await publishAll(pub, "js.order", sent);
  await flush(sub);
  const wanted = sent.map((p) => p.toString("latin1"));
  const found = (s) => s.messages.map((m) => Buffer.from(m.data).toString("latin1"));
  expectSameList(found(one), wanted, "first subscription");
  expectSameList(found(two), wanted, "second subscription");
  expectSameList(found(other), [], "subscription to another subject");
}

async function iterator_receives_subject_reply_and_payload(t) {
  const nc = await t.connect();
  const sub = nc.subscribe("js.iterator", { max: 1 });
  nc.publish("js.iterator", "grüße", { reply: "js.iterator.answer" });
  const found = [];
  await within(ANSWER_MS, (async () => {
    for await (const m of sub) found.push([m.subject, m.reply, m.string()]);
  })(), "end of the iterator");
  expectEqual(found, [["js.iterator", "js.iterator.answer", "grüße"]], "messages");
}

async function wildcards_match_tokens(t) {
  const table = JSON.parse(readFileSync(new URL("../wildcards.json", import.meta.url), "utf8"));
  expect(table.subjects.length > 0 && Object.keys(table.receives).length > 0, "the table is empty");
  const sub = await t.connect();
  const pub = await t.connect();
  const subs = Object.keys(table.receives).map((w) => [w, subscribe(sub, `js.wild.${w}`)]);
  await flush(sub);
  for (const subject of table.subjects) pub.publish(`js.wild.${subject}`, subject);
  await flush(pub, sub);
  for (const [wildcard, { messages }] of subs) {
    const found = messages.map((m) => [m.subject, m.string()]);
    expectSameList(found, table.receives[wildcard].map((s) => [`js.wild.${s}`, s]), wildcard);
  }
}

async function each_queue_message_reaches_one_member_and_shares_are_fair(t) {
  const pub = await t.connect();
  const observer = await t.connect();
  const everything = subscribe(observer, "js.queue.jobs");
  const clients = [observer];
  const groups = {};
  for (const [queue, size] of [["a", 3], ["b", 2]]) {
    groups[queue] = [];
    for (let i = 0; i < size; i++) {
      const nc = await t.connect();
      clients.push(nc);
      groups[queue].push(subscribe(nc, "js.queue.*", { queue }));
    }
  }
  await flush(...clients);
  const sent = numbered(3000, "job");
  await publishAll(pub, "js.queue.jobs", sent);
  await flush(...clients);
  expectSameList(everything.payloads(), sent, "subscription without a queue");
  for (const [queue, group] of Object.entries(groups)) {
    const shares = group.map((s) => s.payloads());
    for (const share of shares) expectSameList(share, [...share].sort(), `order in queue ${queue}`);
    expectSameList(shares.flat().sort(), sent, `queue ${queue}`);
    const sizes = shares.map((s) => s.length);
    const least = Math.floor(sent.length / group.length / 2);
    expect(Math.min(...sizes) >= least, `queue ${queue}: shares ${sizes}, each must be at least ${least}`);
  }
}

async function request_is_answered_by_the_responder(t) {
  const server = await t.connect();
  const asker = await t.connect();
  server.subscribe("js.service.*", { callback: (_, m) => m.respond(`re: ${m.string()}`) });
  await flush(server);
  for (const noMux of [false, true]) {
    for (let i = 0; i < 200; i++) {
      const options = noMux ? { timeout: ANSWER_MS, noMux, reply: `js.reply.${i}` } : { timeout: ANSWER_MS };
      const m = await asker.request(`js.service.${i}`, `q${i}`, options);
      expectEqual(m.string(), `re: q${i}`, "reply");
    }
  }
  const many = Array.from({ length: 500 }, (_, i) => i);
  const replies = await Promise.all(many.map((i) => asker.request(`js.service.${i}`, `p${i}`, { timeout: ANSWER_MS })));
  expectSameList(replies.map((m) => m.string()), many.map((i) => `re: p${i}`), "replies to requests at once");
}

async function request_many_collects_the_replies_of_all_responders(t) {
  const asker = await t.connect();
  const servers = [];
  for (let i = 0; i < 3; i++) {
    const nc = await t.connect();
    nc.subscribe("js.everyone", { callback: (_, m) => m.respond(`${i} heard ${m.string()}`) });
    servers.push(nc);
  }
  await flush(...servers);
  const replies = [];
  const options = { strategy: "count", maxMessages: 3, maxWait: ANSWER_MS };
  for await (const m of await asker.requestMany("js.everyone", "hello", options)) replies.push(m.string());
  expectSameList(replies.sort(), [0, 1, 2].map((i) => `${i} heard hello`), "replies");
}

/** The one wait for something that must not come; it is as short as the client's own timer. */
async function request_times_out_when_nobody_answers(t) {
  const nc = await t.connect();
  subscribe(nc, "js.mute");
  const error = await nc.request("js.mute", "?", { timeout: 200 }).then((m) => m.string(), (e) => e);
  expect(error instanceof TimeoutError, `ended with ${error}`);
}

async function headers_arrive_unchanged(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const one = subscribe(sub, "js.headers");
  await flush(sub);
  const sent = headers();
  const wanted = [
    ["Repeated", ["one", "two", "", "two"]],
    ["repeated", ["lower-case is another key"]],
    ["Unicode", ["žluťoučký kůň 馬 🐎", "é"]],
    ["Colon", ["a: b: c"]],
    ["Empty", [""]],
    ["lower-case", ["kept"]],
  ];
  for (const [key, values] of wanted) for (const v of values) sent.append(key, v, Match.Exact);
  const only = headers();
  only.set("Only", "header");
  pub.publish("js.headers", "with", { headers: sent, reply: "js.reply" });
  pub.publish("js.headers", "", { headers: only });
  pub.publish("js.headers", "without");
  await flush(pub, sub);
  const found = one.messages.map((m) => [m.string(), m.reply ?? "", pairs(m.headers)]);
  expectSameList(
    found,
    [["with", "js.reply", wanted], ["", "", [["Only", ["header"]]]], ["without", "", null]],
    "messages",
  );
}

async function request_without_responder_fails_at_once(t) {
  const nc = await t.connect();
  const other = await t.connect();
  const began = performance.now();
  for (let i = 0; i < 20; i++) {
    const options = i % 2 ? { timeout: ANSWER_MS, noMux: true, reply: `js.lonely.${i}` } : { timeout: ANSWER_MS };
    const error = await nc.request(`js.nobody.${i}`, "?", options).then((m) => m.string(), (e) => e);
    const told = error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
    expect(told, `request ${i} ended with ${error}`);
  }
  const took = performance.now() - began;
  expect(took < ANSWER_MS / 2, `twenty answers took ${took} ms`);

  const arrived = subscribe(nc, "js.inbox.*");
  nc.publish("js.nobody.here", "?", { reply: "js.inbox.1" });
  await flush(nc);
  const found = arrived.messages.map((m) => [m.subject, m.data.length, m.headers?.code, pairs(m.headers)]);
  expectSameList(found, [["js.inbox.1", 0, 503, []]], "answer");

  const silent = subscribe(other, "js.silent");
  await flush(other);
  arrived.clear();
  nc.publish("js.silent", "!", { reply: "js.inbox.2" });
  await flush(nc, other);
  expectSameList(silent.payloads(), ["!"], "subscriber that does not answer");
  expectSameList(arrived.payloads(), [], "answer although there is a subscriber");
}

/** Reads an iterator but holds back the first message until the gate opens. */
function slowReader(sub, gate, handle) {
  return (async () => {
    for await (const m of sub) {
      await gate.happened("opened gate");
      handle(m);
    }
  })();
}

async function subscription_drain_hands_over_everything_then_stops(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const handled = [];
  const gate = event();
  const draining = sub.subscribe("js.drain");
  const reader = slowReader(draining, gate, (m) => handled.push(m.string()));
  const staying = subscribe(sub, "js.drain");
  await flush(sub);
  const before = sub.stats().inMsgs;
  const sent = numbered(200);
  await publishAll(pub, "js.drain", sent);
  await flush(sub);
  const drained = draining.drain();
  await flush(sub);
  await publishAll(pub, "js.drain", ["late"]);
  await flush(sub);
  gate.happen();
  await within(ANSWER_MS, drained, "end of the drain");
  await within(ANSWER_MS, reader, "end of the iterator");
  expectSameList(handled, sent, "drained subscription");
  expectSameList(staying.payloads(), [...sent, "late"], "other subscription");
  expectEqual(sub.stats().inMsgs - before, 401, "messages over the wire");
}

/**
 * This client's connection drain waits for what the broker has sent, not for an iterator's reader,
 * so the handler is a callback and the drain starts while the messages are still under way.
 */
async function connection_drain_handles_and_publishes_everything_then_closes(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const echoes = subscribe(pub, "js.drain.echo");
  const alone = event();
  pub.subscribe("js.drain.last", { callback: (_, m) => m.headers?.code === 503 && alone.happen() });
  const handled = [];
  sub.subscribe("js.drain.all", {
    callback: (_, m) => {
      handled.push(m.string());
      sub.publish("js.drain.echo", m.data);
    },
  });
  await flush(sub, pub);
  const sent = numbered(2000);
  for (const payload of sent) pub.publish("js.drain.all", payload);
  await flush(pub);
  t.lossIsExpected = true;
  await within(ANSWER_MS, sub.drain(), "end of the drain");
  expect(sub.isClosed() && !pub.isClosed(), "the wrong connection is closed");
  expectSameList(handled, sent, "drained connection");
  // The drain ended with a round trip, so the broker has taken the echoes.
  pub.publish("js.drain.all", "late", { reply: "js.drain.last" });
  await alone.happened("answer that nobody is left");
  await flush(pub);
  expectSameList(handled, sent, "drained connection after its end");
  expectSameList(echoes.payloads(), sent, "published while draining");
}

const subscriptions_return_after_the_broker_is_killed = (t) => subscriptionsReturn(t, () => t.broker.kill(), "js.killed");
const subscriptions_return_after_the_broker_is_stopped = (t) => subscriptionsReturn(t, () => t.broker.stop(), "js.stopped");

async function subscriptionsReturn(t, endBroker, root) {
  t.lossIsExpected = true;
  const losses = [];
  const returns = [];
  const connection = () => {
    const lost = event();
    const back = event();
    losses.push(lost);
    returns.push(back);
    const onStatus = (type) => {
      if (type === "disconnect") lost.happen();
      if (type === "reconnect") back.happen();
    };
    return t.connect({ onStatus });
  };
  const one = await connection();
  const two = await connection();
  const pub = await connection();
  const data = `${root}.data`;
  const plain = subscribe(one, data);
  const wild = subscribe(one, `${root}.>`);
  const members = [subscribe(one, data, { queue: "q" }), subscribe(two, data, { queue: "q" })];
  const limited = subscribe(one, data);
  limited.sub.unsubscribe(5);
  const gone = subscribe(two, data);
  two.subscribe(`${root}.service`, { callback: (_, m) => m.respond(`re: ${m.string()}`) });
  await flush(one, two, pub);
  const before = numbered(2, "before");
  await publishAll(pub, data, before);
  await flush(one, two);
  for (const s of [plain, wild, limited, gone]) {
    expectSameList(s.payloads(), before, "before the restart");
    s.clear();
  }
  expectSameList(members.flatMap((s) => s.payloads()).sort(), before, "queue before the restart");
  for (const s of members) s.clear();
  gone.sub.unsubscribe();
  await flush(two);

  await endBroker();
  for (const lost of losses) await lost.happened("loss of the connection");
  await t.broker.start();
  for (const back of returns) await back.happened("reconnect");
  await flush(one, two, pub);
  const after = numbered(100, "after");
  const counted = two.stats().inMsgs;
  await publishAll(pub, data, after);
  await flush(one, two);
  expectSameList(plain.payloads(), after, "plain subscription");
  expectSameList(wild.payloads(), after, "wildcard subscription");
  expectSameList(members.flatMap((s) => s.payloads()).sort(), after, "queue");
  expectSameList(limited.payloads(), after.slice(0, 3), "subscription limited to five in all");
  expectSameList(gone.payloads(), [], "subscription given up before");
  const share = members[1].messages.length;
  expectEqual(two.stats().inMsgs - counted, share, "messages on the connection that gave one up");
  const reply = await pub.request(`${root}.service`, "again", { timeout: ANSWER_MS });
  expectEqual(reply.string(), "re: again", "reply");
}

async function client_refuses_more_than_max_payload(t) {
  const sub = await t.connect();
  const nc = await t.connect();
  const one = subscribe(sub, "js.large");
  await flush(sub);
  const size = nc.info.max_payload;
  const hdrs = headers();
  hdrs.set("A", "b");
  for (const [what, payload, options] of [
    ["payload", Buffer.alloc(size + 1), {}],
    ["headers", Buffer.alloc(size), { headers: hdrs }],
  ]) {
    let refused = null;
    try {
      nc.publish("js.large", payload, options);
    } catch (error) {
      refused = error;
    }
    expect(/max_payload/.test(String(refused)), `too large a ${what} ended with ${refused}`);
  }
  await publishAll(nc, "js.large", ["still here"]);
  await flush(sub);
  expectSameList(one.payloads(), ["still here"], "messages");
}

async function raw_payload_violation_is_told_and_closes_only_the_culprit(t) {
  const nc = await t.connect();
  const sub = subscribe(nc, "js.violation");
  await flush(nc);
  const size = nc.info.max_payload + 1;
  for (const line of [`PUB js.violation ${size}\r\n`, `HPUB js.violation 12 ${size}\r\n`]) {
    const culprit = await Raw.connect(t.broker.port, { headers: true });
    culprit.send(line);
    expectEqual((await culprit.line()).toLowerCase(), "-err 'maximum payload violation'", "answer");
    await culprit.expectEnd();
  }
  const culprit = await Raw.connect(t.broker.port);
  culprit.send(`PUB js.violation ${size}\r\n${"x".repeat(size)}\r\n`);
  await culprit.end();
  await publishAll(nc, "js.violation", ["undisturbed"]);
  expectSameList(sub.payloads(), ["undisturbed"], "messages");
}

async function messages_of_exactly_max_payload_arrive_intact(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const size = pub.info.max_payload;
  expectEqual(size, 1048576, "max_payload");
  const one = subscribe(sub, "js.mebibyte");
  const two = subscribe(sub, "js.*");
  await flush(sub);
  const sent = Array.from({ length: 8 }, () => randomBytes(size));
  await publishAll(pub, "js.mebibyte", sent);
  const hdrs = headers();
  hdrs.set("Name", "value");
  const rest = sent[0].subarray("NATS/1.0\r\nName: value\r\n\r\n".length);
  pub.publish("js.mebibyte", rest, { headers: hdrs });
  await flush(pub, sub);
  for (const [name, { messages }] of [["subject", one], ["wildcard", two]]) {
    expectEqual(messages.length, 9, `messages by ${name}`);
    [...sent, rest].forEach((data, i) => {
      expect(Buffer.compare(data, messages[i].data) === 0, `message ${i} by ${name} differs`);
    });
    expectEqual(pairs(messages[8].headers), [["Name", ["value"]]], `headers by ${name}`);
  }
  sub.subscribe("js.mebibyte.echo", { callback: (_, m) => m.respond(m.data) });
  await flush(sub);
  const reply = await pub.request("js.mebibyte.echo", sent[3], { timeout: ANSWER_MS });
  expect(Buffer.compare(sent[3], reply.data) === 0, "the echoed mebibyte differs");
}

async function ten_thousand_subscriptions_all_receive_their_message(t) {
  const sub = await t.connect();
  const pub = await t.connect();
  const sent = numbered(10_000, "for");
  const everything = subscribe(sub, "js.many.*");
  const subs = sent.map((_, i) => subscribe(sub, `js.many.${i}`));
  await flush(sub);
  const publish = async () => {
    sent.forEach((payload, i) => pub.publish(`js.many.${i}`, payload));
    await flush(pub, sub);
  };
  await publish();
  subs.forEach(({ messages }, i) => {
    const found = messages.map((m) => [m.subject, m.string()]);
    expectSameList(found, [[`js.many.${i}`, sent[i]]], `subscription ${i}`);
  });
  for (const s of subs) s.sub.unsubscribe();
  await flush(sub);
  const before = sub.stats().inMsgs;
  await publish();
  expectEqual(sub.stats().inMsgs - before, sent.length, "messages over the wire after giving up");
  expectSameList(everything.payloads(), [...sent, ...sent], "wildcard beside them");
}

async function auto_unsubscribe_delivers_that_many_then_stops(t) {
  const sub = await t.connect();
  const other = await t.connect();
  const pub = await t.connect();
  const limited = subscribe(sub, "js.limit", { max: 7 });
  const free = subscribe(sub, "js.limit");
  await flush(sub);
  const sent = numbered(20);
  // The client counts for itself too, so the count of what came over the wire is compared.
  const before = sub.stats().inMsgs;
  await publishAll(pub, "js.limit", sent);
  await flush(sub);
  expectEqual(sub.stats().inMsgs - before, 27, "messages over the wire");
  expectSameList(limited.payloads(), sent.slice(0, 7), "limited subscription");
  expectSameList(free.payloads(), sent, "free subscription");
  expect(limited.sub.isClosed(), "the limited subscription is still open");

  const late = subscribe(sub, "js.limit.late");
  await flush(sub);
  await publishAll(pub, "js.limit.late", sent.slice(0, 3));
  await flush(sub);
  late.sub.unsubscribe(5);
  await flush(sub);
  await publishAll(pub, "js.limit.late", sent.slice(3));
  await flush(sub);
  expectSameList(late.payloads(), sent.slice(0, 5), "limit that counts earlier messages");

  const short = subscribe(sub, "js.limit.queue", { queue: "q", max: 3 });
  const long = subscribe(other, "js.limit.queue", { queue: "q" });
  await flush(sub, other);
  const many = numbered(200);
  await publishAll(pub, "js.limit.queue", many);
  await flush(sub, other);
  expectEqual(short.messages.length, 3, "messages of the limited member");
  expectSameList([...short.payloads(), ...long.payloads()].sort(), many, "queue with a limited member");
}

async function flush_and_rtt_are_answered(t) {
  const nc = await t.connect();
  for (let i = 0; i < 200; i++) await flush(nc);
  for (let i = 0; i < 20; i++) {
    const took = await nc.rtt();
    expect(took >= 0 && took < 1000, `round trip of ${took} ms`);
  }
  await Promise.all(Array.from({ length: 500 }, () => flush(nc)));
}

async function verbose_and_pedantic_connection_works(t) {
  const relay = await Relay.open(t.broker.port);
  const nc = await t.connect({ servers: `127.0.0.1:${relay.port}`, verbose: true, pedantic: true });
  const sub = subscribe(nc, "js.verbose.*");
  await flush(nc);
  const sent = numbered(100);
  await publishAll(nc, "js.verbose.x", sent);
  expectSameList(sub.payloads(), sent, "messages");
  sub.clear();
  const hdrs = headers();
  hdrs.set("Name", "value");
  nc.publish("js.verbose.h", "", { headers: hdrs });
  await flush(nc);
  expectSameList(sub.messages.map((m) => pairs(m.headers)), [[["Name", ["value"]]]], "headers");
  sub.sub.unsubscribe();
  await flush(nc);
  // CONNECT, SUB, 100 PUB, HPUB and UNSUB; PING is answered by PONG alone.
  expectEqual(relay.count("+OK"), 104, "lines +OK");
  relay.close();
}

async function echo_off_keeps_own_messages_away(t) {
  const quiet = await t.connect({ noEcho: true });
  const other = await t.connect();
  const own = subscribe(quiet, "js.echo");
  const beside = subscribe(other, "js.echo");
  const mine = subscribe(quiet, "js.echo.queue", { queue: "q" });
  const theirs = subscribe(other, "js.echo.queue", { queue: "q" });
  await flush(quiet, other);
  const sent = numbered(50);
  await publishAll(quiet, "js.echo", sent);
  await publishAll(quiet, "js.echo.queue", sent);
  await flush(other);
  expectSameList(own.payloads(), [], "own subscription");
  expectSameList(beside.payloads(), sent, "subscription of another connection");
  expectSameList(mine.payloads(), [], "own queue member");
  expectSameList(theirs.payloads(), sent, "queue member of another connection");
  beside.clear();
  await publishAll(other, "js.echo", sent);
  await flush(quiet);
  expectSameList(own.payloads(), sent, "messages of another connection");
  expectSameList(beside.payloads(), sent, "own messages with echo on");
}

const checks = {
  connect_reads_the_server_info,
  publish_reaches_subscriber_in_order,
  iterator_receives_subject_reply_and_payload,
  wildcards_match_tokens,
  each_queue_message_reaches_one_member_and_shares_are_fair,
  request_is_answered_by_the_responder,
  request_many_collects_the_replies_of_all_responders,
  request_times_out_when_nobody_answers,
  headers_arrive_unchanged,
  request_without_responder_fails_at_once,
  subscription_drain_hands_over_everything_then_stops,
  connection_drain_handles_and_publishes_everything_then_closes,
  subscriptions_return_after_the_broker_is_killed,
  subscriptions_return_after_the_broker_is_stopped,
  client_refuses_more_than_max_payload,
  raw_payload_violation_is_told_and_closes_only_the_culprit,
  messages_of_exactly_max_payload_arrive_intact,
  ten_thousand_subscriptions_all_receive_their_message,
  auto_unsubscribe_delivers_that_many_then_stops,
  flush_and_rtt_are_answered,
  verbose_and_pedantic_connection_works,
  echo_off_keeps_own_messages_away,
};

async function attempt(check, broker) {
  if (!broker.running()) await broker.start();
  const trial = new Trial(broker);
  current = trial;
  try {
    await check(trial);
    expect(broker.running(), "the broker has ended");
  } finally {
    await trial.end();
  }
}

let current = null;
/** An unhandled rejection belongs to the check that runs, and must not end the suite. */
process.on("unhandledRejection", (error) => current?.trouble(`unhandled rejection: ${error}`));

const broker = new Broker(resolve(binary), Number(port));
await play(checks, (check) => attempt(check, broker), () => broker.kill());
