// The top of the page: numbers, charts, limits, memory, who is slow.

const charts = {
  messages: new Chart(byId("c-messages"), "Messages per second", ["in", "out"], short, scales.counts),
  bytes: new Chart(byId("c-bytes"), "Bytes per second", ["in", "out"], bytes, scales.bytes),
  latency: new Chart(byId("c-latency"), "Latency", ["longest turn", "request"], micros, scales.times),
};

/// The share of the queue's limit from which publishers are made to wait.
const WAIT_SHARE = 1 / 8;
/// Milliseconds.
const DAY = 86_400_000;
/// How long a closed slow consumer is called to attention, in milliseconds.
const RECENT = 600_000;

/// What changed between two answers of `/varz`, for each second; `null` without a first, or if the
/// broker is another.
function rates(before, now) {
  const seconds = before ? (Date.parse(now.now) - Date.parse(before.now)) / 1000 : 0;
  if (seconds <= 0 || before.server_id !== now.server_id) return null;
  const rate = (name) => Math.max(0, now[name] - before[name]) / seconds;
  return { in_msgs: rate("in_msgs"), out_msgs: rate("out_msgs"), in_bytes: rate("in_bytes"), out_bytes: rate("out_bytes") };
}

function showOverview({ ready, varz, loopz, slowz, memz, rate, request }) {
  say("name", varz.server_name === varz.server_id ? "midge" : varz.server_name);
  const certificate = varz.tls_cert_not_after ? ` · TLS certificate until ${varz.tls_cert_not_after.slice(0, 10)}` : "";
  say("about", `midge ${varz.midge} · ${varz.host}:${varz.port} · up ${varz.uptime}${certificate}`);
  document.title = `${rate ? `${short(rate.in_msgs)} msg/s · ` : ""}${byId("name").textContent}`;

  say("t-connections", exact(varz.connections));
  say("t-connections-more", `of ${exact(varz.max_connections)}; ${exact(varz.total_connections)} since start`);
  say("t-subscriptions", exact(varz.subscriptions));
  say("t-subscriptions-more", varz.connections ? `${(varz.subscriptions / varz.connections).toFixed(1)} per connection` : "");
  say("t-slow", exact(slowz.num_slow));
  say("t-slow-more", `${exact(varz.slow_consumers)} closed since start`);
  say("t-cpu", `${varz.cpu.toFixed(varz.cpu < 10 ? 1 : 0)} %`);
  say("t-mem", bytes(varz.mem));
  say("t-mem-more", memz ? `${bytes(memz.owners.queues)} pending for clients` : "");
  if (loopz) {
    say("t-turn", micros(loopz.turn_max_ns / 1000));
    say("t-turn-more", `of ${loopz.turns} turns; mean ${micros(loopz.turn_mean_ns / 1000)}`);
  }

  const time = Date.parse(varz.now);
  if (rate) addTraffic(time, rate);
  if (loopz) charts.latency.add(time, [loopz.turn_max_ns / 1000, request * 1000]);
  showLimits(varz, memz, rate);
  if (memz) showMemory(memz);
  showSlow(slowz, time);
  showAttention(ready, varz, loopz, slowz, memz, time);
}

function addTraffic(time, rate) {
  charts.messages.add(time, [rate.in_msgs, rate.out_msgs]);
  charts.bytes.add(time, [rate.in_bytes, rate.out_bytes]);
}

/// What came with the page: what it shows first, and lines that begin before it was opened.
function showFirst({ varz, slowz, history }) {
  const moments = [...history, varz];
  let last = null;
  for (const [at, now] of moments.entries()) {
    // The page may have come right behind the last moment that is kept.
    const rate = at > 0 && Date.parse(now.now) - Date.parse(moments[at - 1].now) >= 500 && rates({ ...moments[at - 1], server_id: varz.server_id }, { ...now, server_id: varz.server_id });
    if (!rate) continue;
    last = rate;
    if (now !== varz) addTraffic(Date.parse(now.now), rate);
  }
  showOverview({ ready: true, varz, slowz, rate: last });
}

function gap(time) {
  for (const chart of Object.values(charts)) chart.add(time, null);
}

/// One line with a bar beneath it; `mood` colours it.
function bar(name, text, share, mood) {
  const fill = make("i");
  fill.style.width = `${Math.min(100, 100 * share)}%`;
  const track = make("dd", `bar ${mood ?? ""}`, fill);
  track.setAttribute("aria-hidden", "true");
  return make("div", "", make("dt", "", name), make("dd", "", text), track);
}

function mood(share, warn = 0.75) {
  return share >= 0.95 ? "bad" : share >= warn ? "warn" : "";
}

function showLimits(varz, memz, rate) {
  const rows = [];
  const row = (name, now, max, write, warn) =>
    rows.push(bar(name, `${write(now)} of ${write(max)}${now / max >= 0.001 ? `, ${percent(now / max)}` : ""}`, now / max, mood(now / max, warn)));
  row("Connections", varz.connections, varz.max_connections, exact);
  if (memz) row(`Longest queue (publishers wait from ${bytes(varz.max_pending * WAIT_SHARE)})`, memz.longest_queue, varz.max_pending, bytes, WAIT_SHARE);
  const mean = rate?.in_msgs ? rate.in_bytes / rate.in_msgs : 0;
  if (mean) row("Mean payload", mean, varz.max_payload, bytes);
  const busy = varz.cpu / 100;
  rows.push(bar("CPU, of one core", percent(busy), busy, mood(busy)));
  byId("limits").replaceChildren(...rows);
}

const OWNERS = {
  queues: "Pending for clients", input: "Incomplete input", sublist: "Subscriptions", cache: "Subject cache",
  receivers: "Clients (delivery)", connections: "Connections (reactor)", pools: "Free buffers",
  monitoring: "Monitoring",
};

function showMemory({ owners, mem, accounted }) {
  const rows = Object.entries(owners).filter(([, size]) => size > 0).sort((a, b) => b[1] - a[1]);
  const rest = Math.max(0, mem - accounted);
  const shown = [...rows, ["rest", rest]].map(([name, size]) =>
    bar(OWNERS[name] ?? (name === "rest" ? "Program and allocator" : name), bytes(size), size / mem));
  byId("memory").replaceChildren(...shown);
}

/// Most rows of slow consumers.
const SLOW_MAX = 10;
const isBehind = (one) => one.state === "behind" || one.state === "given up";

/// Those behind now and those closed for it lately have a row, one for each connection; all others that
/// were behind have a line together.
function showSlow({ slow, total }, time) {
  const byCid = new Map();
  // The youngest comes first, and what is so now counts more than what was.
  for (const one of slow) if (!byCid.has(one.cid) || (isBehind(one) && !isBehind(byCid.get(one.cid)))) byCid.set(one.cid, one);
  const each = [...byCid.values()];
  const wasClosed = (one) => one.state === "closed" && time - Date.parse(one.until) < RECENT;
  const shown = [...each.filter(isBehind), ...each.filter(wasClosed)];
  const past = each.filter((one) => !shown.includes(one));
  const caught = past.filter((one) => one.state === "caught up");
  const lines = [];
  if (shown.length > SLOW_MAX) lines.push(`${exact(shown.length - SLOW_MAX)} more clients are behind or were closed.`);
  if (caught.length) {
    const [last] = caught;
    const who = caught.length === 1 ? `${called(last)} was behind and caught up` : `${exact(caught.length)} clients were behind and caught up, ${called(last)} last,`;
    lines.push(`${who} ${span((time - Date.parse(last.until)) / 1000)} ago.`);
  }
  if (past.length > caught.length) lines.push(`${exact(past.length - caught.length)} clients that were behind have disconnected.`);
  if (!shown.length && !lines.length) lines.push(total ? "No client is behind." : "No client has been behind.");
  else if (!shown.length) lines.unshift("No client is behind.");
  byId("slow-none").hidden = lines.length === 0;
  say("slow-none", lines.join(" "));
  byId("slow-list").hidden = shown.length === 0;
  byId("slow-rows").replaceChildren(...shown.slice(0, SLOW_MAX).map((one) => {
    const since = `${span((time - Date.parse(one.since)) / 1000)} ago`;
    const address = make("small", "", `${one.ip}:${one.port} · cid ${one.cid}`);
    return make("tr", "",
      make("td", "", called(one), address),
      make("td", "", one.state, make("small", "", one.reason ?? "")),
      make("td", "desk", one.subject ?? (one.waits ? "own answers" : "–"), make("small", "", one.sid ? `sid ${one.sid}` : "")),
      make("td", "number", bytes(one.pending_bytes)), make("td", "number wide", bytes(one.pending_bytes_peak)),
      make("td", "number wide", exact(one.waits)), make("td", "number desk", since));
  }));
}

/// What to look at first, the worst on top.
function showAttention(ready, varz, loopz, slowz, memz, time) {
  const lines = [];
  const line = (mood, text) => lines.push({ mood, text });
  const names = (list) => list.slice(0, 3).map(called).join(", ") + (list.length > 3 ? " and others" : "");
  if (!ready) line("warn", "Lame duck mode: no new clients are accepted, connected clients are closed one by one, and then the broker ends.");
  const ends = [varz.tls_cert_not_after, varz.websocket.tls_cert_not_after].filter(Boolean).map(Date.parse);
  const days = (Math.min(...ends) - time) / DAY;
  if (days <= 0) line("bad", "A TLS certificate has ended: clients refuse it. Renew it.");
  else if (days <= 30) line(days <= 7 ? "bad" : "warn", `A TLS certificate ends in ${exact(Math.floor(days))} days. Renew it.`);
  const handshakes = varz.tls_handshakes?.under_way ?? 0;
  if (handshakes >= 100) line("warn", `${exact(handshakes)} TLS handshakes are under way. connection_rate_limit in tls bounds how many begin in a second.`);
  const share = varz.connections / varz.max_connections;
  if (share >= 1) line("bad", "max_connections is reached: new clients are refused. Raise it, or close connections that are not needed.");
  else if (share >= 0.75) line("warn", `${percent(share)} of max_connections are in use.`);
  const behind = slowz.slow.filter(isBehind);
  if (behind.length) line("bad", `Slow consumers: ${names(behind)}. Publishers to them wait, and they are closed if they stay behind.`);
  const recent = slowz.slow.filter((one) => one.state === "closed" && time - Date.parse(one.until) < RECENT);
  if (recent.length) line("warn", `Closed as slow consumers in the last ten minutes: ${names(recent)}.`);
  if (memz && !behind.length && memz.longest_queue >= varz.max_pending * WAIT_SHARE) line("warn", `${bytes(memz.longest_queue)} are pending for one client.`);
  if (varz.cpu >= 90) line("warn", "CPU use is above 90 % of one core: latency rises.");
  if (loopz?.turn_max_ns >= 50e6) line("warn", `A turn of the loop took ${micros(loopz.turn_max_ns / 1000)}: all clients wait that long.`);
  if (!lines.length) line("good", "Nothing needs attention.");
  lines.sort((a, b) => a.mood.localeCompare(b.mood));
  const list = byId("attention");
  const key = JSON.stringify(lines);
  // Unchanged, it is left alone, and not read aloud once more.
  if (list.dataset.key !== key) list.replaceChildren(...lines.map(({ mood, text }) => make("li", mood, text)));
  list.dataset.key = key;
}
