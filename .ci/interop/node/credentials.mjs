// The official JavaScript client with credentials that an operator's tools have made:
// `credentials.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES OPERATOR_TOOL`.
//
// The broker keeps accounts in a directory. It is told by a client of the system account that a user is revoked.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { ANSWER_MS, Broker, expect, expectEqual, play, within } from "./support.mjs";

const [binary, portText, modules, tool] = process.argv.slice(2);
if (!tool) {
  console.error("usage: credentials.mjs BROKER_BINARY PORT DIRECTORY_WITH_NODE_MODULES OPERATOR_TOOL");
  process.exit(2);
}
const port = Number(portText);
const require = createRequire(resolve(modules, "package.json"));
const { connect, credsAuthenticator } = require("@nats-io/transport-node");

const folder = mkdtempSync(join(tmpdir(), "interop-"));
const paper = (name) => join(folder, name);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const made = spawnSync(resolve(tool), [folder]);
if (made.status !== 0) throw new Error(`${tool}: ${made.stderr}`);

const broker = new Broker(resolve(binary), port, ["-c", paper("broker.conf")]);

function client(name) {
  const authenticator = name && credsAuthenticator(readFileSync(paper(`${name}.creds`)));
  return connect({ servers: `127.0.0.1:${port}`, timeout: ANSWER_MS, reconnect: false, authenticator });
}

async function refused(name) {
  const nc = await client(name).catch((error) => error);
  if (!(nc instanceof Error)) {
    await nc.close();
    expect(false, "let in");
  }
  expect(/authorization/i.test(String(nc)), `no word of authorization: ${nc}`);
}

async function users_publish_and_request() {
  for (const name of ["ann", "bob", "cleo"]) {
    const nc = await client(name);
    const got = [];
    nc.subscribe("cleo.news", { callback: (error, m) => got.push(error ?? m.string()) });
    nc.subscribe("cleo.help", { callback: (_, m) => m.respond(`to ${m.string()}`) });
    nc.publish("cleo.news", "there and back");
    const answer = await nc.request("cleo.help", name, { timeout: ANSWER_MS });
    expectEqual(answer.string(), `to ${name}`, "answer");
    expectEqual(got, ["there and back"], "messages");
    await nc.close();
  }
}

async function a_scope_keeps_its_user_to_its_subjects() {
  const nc = await client("cleo");
  const told = (async () => {
    for await (const status of nc.status()) {
      if (status.type === "error") return String(status.error);
    }
    return "nothing";
  })();
  nc.publish("ann.news", "");
  const text = await within(ANSWER_MS, told, "word of a violation");
  expect(/permissions violation/i.test(text), text);
  await nc.close();
}

async function who_has_none_is_refused() {
  await refused(undefined);
}

async function a_user_that_is_revoked_is_closed_and_refused() {
  const [bob, ann, system] = [await client("bob"), await client("ann"), await client("system")];
  const answer = await system.request("$SYS.REQ.CLAIMS.UPDATE", readFileSync(paper("revoking.jwt")), { timeout: ANSWER_MS });
  expectEqual(answer.json().data?.code, 200, "code");
  const why = await within(ANSWER_MS, bob.closed(), "end of the connection");
  expect(/revoked/i.test(String(why)), `ended with ${why}`);
  await refused("bob");
  await within(ANSWER_MS, ann.flush(), "answer to a flush");
  await ann.close();
  await system.close();
}

const checks = {
  users_publish_and_request,
  a_scope_keeps_its_user_to_its_subjects,
  who_has_none_is_refused,
  a_user_that_is_revoked_is_closed_and_refused,
};

// One that failed has ended the broker.
const attempt = async (check) => {
  if (!broker.running()) await broker.start();
  await check();
};

await play(checks, attempt, () => broker.kill());
