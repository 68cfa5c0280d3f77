// The official JavaScript clients (transport-node, and nats-core over WebSocket) where a broker asks who they are,
// and where it speaks TLS: `secured.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES`.
//
// Each check starts a broker with a configuration of its own, and WebSocket on the port behind the broker's.

import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { ANSWER_MS, Broker, expect, expectEqual, play, within } from "./support.mjs";

const [binary, portText, modules] = process.argv.slice(2);
if (!modules) {
  console.error("usage: secured.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES");
  process.exit(2);
}
const port = Number(portText);
const require = createRequire(resolve(modules, "package.json"));
const { connect, credsAuthenticator, nkeyAuthenticator } = require("@nats-io/transport-node");
const { nkeys, wsconnect } = require("@nats-io/nats-core");
const { WebSocket } = require("ws");

const TOKEN = "a-token";
const PASSWORD = "pa:ss@wo/rd";

const folder = mkdtempSync(join(tmpdir(), "interop-"));
const paper = (name) => join(folder, name);
const made = spawnSync("python3", [fileURLToPath(new URL("../papers.py", import.meta.url)), folder]);
if (made.status !== 0) throw new Error(`papers.py: ${made.stderr}`);
const ca = readFileSync(paper("ca.pem"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const trusted = { caFile: paper("ca.pem") };
const certified = { ...trusted, certFile: paper("client.pem"), keyFile: paper("client.key") };
const verify = `ca_file: "${paper("ca.pem")}", verify: true`;
const tlsBlock = (more = "") => `tls { cert_file: "${paper("server.pem")}", key_file: "${paper("server.key")}", ${more} }\n`;
const webSocketBlock = (more) => `websocket { listen: "127.0.0.1:${port + 1}", ${more} }\n`;
const users = (text) => `authorization { users: [ ${text} ] }\n`;

let broker = null;

/** Runs a broker with this configuration meanwhile. */
async function withBroker(config, run) {
  const file = paper("broker.conf");
  writeFileSync(file, config);
  broker = new Broker(resolve(binary), port, ["-c", file]);
  await broker.start();
  await run();
  await broker.kill();
}

const ONCE = { timeout: ANSWER_MS, reconnect: false, ignoreClusterUpdates: true };

function byTcp(options = {}) {
  return connect({ servers: `127.0.0.1:${port}`, ...ONCE, ...options });
}

/** A client by WebSocket, whose sockets are made with `ws`: what TLS shows and what fields the request has. */
function byWebSocket(options = {}, ws = {}, scheme = "ws") {
  const wsFactory = (url) => Promise.resolve({ socket: new WebSocket(url, ws), encrypted: scheme === "wss" });
  return wsconnect({ servers: `${scheme}://127.0.0.1:${port + 1}`, ...ONCE, wsFactory, ...options });
}

const byTlsWebSocket = (options, ws = {}) => byWebSocket(options, { ca, ...ws }, "wss");

/** Messages of these sizes to itself, and the end of the client. */
async function roundTrip(connecting, sizes = [14]) {
  const nc = await connecting;
  const got = [];
  nc.subscribe("js.trip", { callback: (error, m) => got.push(error ?? m) });
  const sent = sizes.map((size) => randomBytes(size));
  for (const payload of sent) nc.publish("js.trip", payload);
  await within(ANSWER_MS, nc.flush(), "answer to a flush");
  expectEqual(got.length, sent.length, "messages");
  sent.forEach((payload, i) => {
    expect(Buffer.compare(payload, got[i].data) === 0, `a payload of ${payload.length} bytes has changed`);
  });
  await nc.close();
}

/** The broker lets none in that presents this; answers what the client was told. */
async function refused(connecting) {
  const nc = await connecting.catch((error) => error);
  if (nc instanceof Error) return String(nc);
  await nc.close();
  return expect(false, "let in");
}

async function token() {
  await withBroker(`authorization { token: "${TOKEN}" }`, async () => {
    await roundTrip(byTcp({ token: TOKEN }));
    const told = await refused(byTcp({ token: "other" }));
    expect(/authorization/i.test(told), `no word of authorization: ${told}`);
    await refused(byTcp());
  });
}

async function user_and_password() {
  await withBroker(users(`{user: ann, password: "${PASSWORD}"}, {user: bob, password: b}`), async () => {
    await roundTrip(byTcp({ user: "ann", pass: PASSWORD }));
    await roundTrip(byTcp({ user: "bob", pass: "b" }));
    await refused(byTcp({ user: "ann", pass: "b" }));
    await refused(byTcp({ user: "eve", pass: "b" }));
  });
}

async function nkey() {
  const [user, other] = [nkeys.createUser(), nkeys.createUser()];
  await withBroker(users(`{nkey: ${user.getPublicKey()}}, {user: ann, password: a}`), async () => {
    await roundTrip(byTcp({ authenticator: nkeyAuthenticator(user.getSeed()) }));
    await roundTrip(byTcp({ user: "ann", pass: "a" }));
    await refused(byTcp({ authenticator: nkeyAuthenticator(other.getSeed()) }));
  });
}

/** Where nobody vouches for JWTs the key in a file of credentials counts, and the JWT does not. */
async function key_of_a_credentials_file() {
  const user = nkeys.createUser();
  const seed = new TextDecoder().decode(user.getSeed());
  const creds = new TextEncoder().encode(
    `-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.e30.c2ln\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
  );
  await withBroker(users(`{nkey: ${user.getPublicKey()}}`), async () => {
    await roundTrip(byTcp({ authenticator: credsAuthenticator(creds) }));
  });
  await withBroker(users(`{nkey: ${nkeys.createUser().getPublicKey()}}`), async () => {
    await refused(byTcp({ authenticator: credsAuthenticator(creds) }));
  });
}

async function no_auth_user() {
  const config = `no_auth_user: guest\n${users("{user: ann, password: a}, {user: guest}")}`;
  await withBroker(config, async () => {
    await roundTrip(byTcp());
    await roundTrip(byTcp({ user: "ann", pass: "a" }));
    await refused(byTcp({ user: "ann", pass: "wrong" }));
  });
}

const SIZES = [0, 1, 125, 126, 4096, 16 * 1024 - 1, 16 * 1024, 65_535, 65_536, 100_000, 1024 * 1024];

async function tls() {
  await withBroker(tlsBlock(), async () => {
    await roundTrip(byTcp({ tls: trusted }), SIZES);
    for (const version of ["TLSv1.2", "TLSv1.3"]) {
      await roundTrip(byTcp({ tls: { ...trusted, minVersion: version, maxVersion: version } }));
    }
    await refused(byTcp());
  });
}

async function mutual_tls() {
  await withBroker(tlsBlock(verify), async () => {
    await roundTrip(byTcp({ tls: certified }));
    await refused(byTcp({ tls: trusted }));
  });
}

const ANN = users('{user: "ann@example.org", permissions: {publish: "js.trip", subscribe: ["js.trip", "_INBOX.>"]}}');

async function certificate_is_the_user() {
  await withBroker(tlsBlock(`${verify}, verify_and_map: true`) + ANN, async () => {
    await roundTrip(byTcp({ tls: certified }));
    await refused(byTcp({ tls: trusted }));
  });
}

async function handshake_first() {
  for (const value of ["true", "auto", '"300ms"']) {
    await withBroker(tlsBlock(`handshake_first: ${value}`), async () => {
      await roundTrip(byTcp({ tls: { ...trusted, handshakeFirst: true } }));
      if (value === "auto") await roundTrip(byTcp({ tls: trusted }));
    });
  }
}

async function allow_non_tls() {
  await withBroker(`${tlsBlock()}allow_non_tls: true`, async () => {
    await roundTrip(byTcp({ tls: null }));
    await roundTrip(byTcp({ tls: trusted }));
  });
}

async function web_socket() {
  await withBroker(webSocketBlock("no_tls: true, compression: true"), async () => {
    await roundTrip(byWebSocket(), SIZES);
    await roundTrip(byWebSocket({}, { perMessageDeflate: false }), SIZES);
    await roundTrip(byTcp());
  });
}

/** The client's own way to a socket, which is the global that browsers have. */
async function web_socket_that_is_global() {
  const former = globalThis.WebSocket;
  globalThis.WebSocket = WebSocket;
  try {
    await withBroker(webSocketBlock("no_tls: true"), async () => {
      await roundTrip(byWebSocket({ wsFactory: undefined }), SIZES);
    });
  } finally {
    globalThis.WebSocket = former;
  }
}

async function web_socket_over_tls() {
  await withBroker(webSocketBlock(tlsBlock()), async () => {
    await roundTrip(byTlsWebSocket(), SIZES);
    await refused(byTlsWebSocket({}, { ca: undefined }));
    // Those who come over TCP need none.
    await roundTrip(byTcp());
  });
}

async function web_socket_with_a_certificate() {
  const cert = readFileSync(paper("client.pem"));
  const key = readFileSync(paper("client.key"));
  await withBroker(webSocketBlock(tlsBlock(verify)), async () => {
    await roundTrip(byTlsWebSocket({}, { cert, key }));
    await refused(byTlsWebSocket());
  });
  await withBroker(webSocketBlock(tlsBlock(`${verify}, verify_and_map: true`)) + ANN, async () => {
    await roundTrip(byTlsWebSocket({}, { cert, key }));
    await refused(byTcp());
  });
}

async function web_socket_logins() {
  const user = nkeys.createUser();
  const config = webSocketBlock("no_tls: true") + users(`{nkey: ${user.getPublicKey()}}, {user: ann, password: a}`);
  await withBroker(config, async () => {
    await roundTrip(byWebSocket({ authenticator: nkeyAuthenticator(user.getSeed()) }));
    await roundTrip(byWebSocket({ user: "ann", pass: "a" }));
    const told = await refused(byWebSocket({ user: "ann", pass: "b" }));
    expect(/authorization/i.test(told), `no word of authorization: ${told}`);
    await refused(byWebSocket());
  });
  // A token that is asked for here alone.
  await withBroker(webSocketBlock(`no_tls: true, authorization { token: "${TOKEN}" }`), async () => {
    await roundTrip(byWebSocket({ token: TOKEN }));
    await refused(byWebSocket());
    await roundTrip(byTcp());
  });
}

/** What a broker answers to a page of this origin. */
function status(origin) {
  const socket = new WebSocket(`ws://127.0.0.1:${port + 1}`, { origin });
  const answered = new Promise((resolve, reject) => {
    socket.on("unexpected-response", (_, answer) => resolve(answer.statusCode));
    socket.on("open", () => resolve(101));
    socket.on("error", reject);
  });
  return within(ANSWER_MS, answered, "answer to a request for a WebSocket").finally(() => socket.terminate());
}

async function web_socket_origins() {
  await withBroker(webSocketBlock('no_tls: true, allowed_origins: ["https://page.example"]'), async () => {
    await roundTrip(byWebSocket({}, { origin: "https://page.example" }));
    await roundTrip(byWebSocket());
    await refused(byWebSocket({}, { origin: "https://other.example" }));
    expectEqual(await status("https://other.example"), 403, "status");
  });
}

const checks = {
  token,
  user_and_password,
  nkey,
  key_of_a_credentials_file,
  no_auth_user,
  tls,
  mutual_tls,
  certificate_is_the_user,
  handshake_first,
  allow_non_tls,
  web_socket,
  web_socket_that_is_global,
  web_socket_over_tls,
  web_socket_with_a_certificate,
  web_socket_logins,
  web_socket_origins,
};

await play(checks, (check) => check(), async () => broker?.kill());
