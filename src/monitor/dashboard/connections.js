// The table of connections. The broker sorts, filters and cuts pages: 50,000 never come here.

const PAGE = 25;
const wanted = { state: "open", sort: "cid", find: "", acc: "", offset: 0 };
/// Rows by cid, to be used again: what has the focus keeps it.
let rows = new Map();
/// Counters by cid as of the last answer, for rates.
let counted = { at: 0, by: new Map() };
const table = new Asker(byId("connections"), () => ask("connz", { ...wanted, limit: PAGE, auth: 1 }), showConnections);

function want(change) {
  Object.assign(wanted, { offset: 0 }, change);
  const closed = wanted.state === "closed";
  // Only what has closed can be sorted by when.
  if (wanted.sort === "stop" && !closed) wanted.sort = "cid";
  byId("c-sort").querySelector("[value=stop]").disabled = !closed;
  byId("c-sort").value = wanted.sort;
  for (const head of byId("c-table").querySelectorAll("[data-sort]")) {
    const { sort } = head.dataset;
    if (sort !== wanted.sort) head.parentElement.removeAttribute("aria-sort");
    else head.parentElement.ariaSort = sort === "cid" || sort === "uptime" ? "ascending" : "descending";
  }
}

function showConnections({ connections, total, offset, now }) {
  // They have become fewer: the last page is now another.
  if (!connections.length && offset > 0 && total > 0) {
    wanted.offset = Math.floor((total - 1) / PAGE) * PAGE;
    return table.now();
  }
  const time = Date.parse(now);
  const seconds = (time - counted.at) / 1000;
  const fresh = new Map();
  const counters = new Map();
  for (const one of connections) {
    const before = counted.by.get(one.cid);
    const rate = (name) => (before && seconds > 0.5 && one[name] > before[name] ? `${short((one[name] - before[name]) / seconds)}/s` : "");
    const row = rows.get(one.cid) ?? newRow(one.cid);
    fill(row, one, rate);
    fresh.set(one.cid, row);
    counters.set(one.cid, one);
  }
  place(byId("c-rows"), fresh.size ? [...fresh.values()] : [nobody()]);
  rows = fresh;
  counted = { at: time, by: counters };
  const last = offset + connections.length;
  say("c-place", total ? `${exact(offset + 1)}–${exact(last)} of ${exact(total)}` : "none");
  byId("c-previous").disabled = offset === 0;
  byId("c-next").disabled = last >= total;
}

function nobody() {
  const cell = make("td", "muted", wanted.find ? `No client matches “${wanted.find}”.` : "No clients.");
  cell.colSpan = 11;
  return make("tr", "", cell);
}

function newRow(cid) {
  const name = make("button");
  name.type = "button";
  name.addEventListener("click", () => showClient(cid));
  const classes = ["", "wide", "number wide", "number", "number", "number", "number wide", "number wide", "number wide", "number wide", "number wide"];
  const row = make("tr", "", ...classes.map((className) => make("td", className)));
  row.cells[0].append(name, make("small"));
  return row;
}

function fill(row, one, rate) {
  const cell = (at, text, small = "") => {
    row.cells[at].replaceChildren(text);
    if (small) row.cells[at].append(make("small", "", small));
  };
  const about = [`cid ${one.cid}`, one.lang && `${one.lang} ${one.version ?? ""}`.trim(), one.authorized_user && `as ${one.name_tag || one.authorized_user}`, one.reason];
  row.cells[0].firstChild.textContent = called(one);
  row.cells[0].lastChild.textContent = about.filter(Boolean).join(" · ");
  cell(1, `${one.ip}:${one.port}`);
  cell(2, exact(one.subscriptions));
  cell(3, bytes(one.pending_bytes), one.pending_bytes_peak > one.pending_bytes ? `peak ${bytes(one.pending_bytes_peak)}` : "");
  cell(4, short(one.in_msgs), rate("in_msgs"));
  cell(5, short(one.out_msgs), rate("out_msgs"));
  cell(6, bytes(one.in_bytes));
  cell(7, bytes(one.out_bytes));
  cell(8, one.rtt === "0s" ? "–" : rounded(one.rtt));
  cell(9, one.idle);
  cell(10, one.uptime);
}

/// A fact about a client as people read it.
function written(name, value) {
  if (name.includes("bytes")) return bytes(value);
  if (["start", "stop", "last_activity"].includes(name)) return new Date(value).toLocaleString();
  if (name === "rtt") return rounded(value);
  return typeof value === "number" && name !== "cid" && name !== "port" ? exact(value) : `${value}`;
}

const LISTED_MAX = 1000;

async function showClient(cid) {
  const find = async (more) => (await ask("connz", { cid, auth: 1, ...more })).connections[0];
  try {
    let one = await find({});
    // A million subscriptions are no list.
    const lists = one && one.subscriptions <= LISTED_MAX;
    if (lists) one = (await find({ subs: "detail" })) ?? one;
    say("client-name", one ? called(one) : `client ${cid}`);
    // The text of a token tells people nothing.
    const { subscriptions_list_detail: list = [], jwt: _, ...facts } = one ?? { cid, state: "closed, no longer remembered" };
    byId("client-facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
      return make("div", "", make("dt", "", name.replaceAll("_", " ")), make("dd", "", written(name, value)));
    }));
    say("client-none", one && !lists ? `${exact(one.subscriptions)}, too many to list.` : list.length ? "" : "None.");
    byId("client-subscriptions").replaceChildren(...list.map((each) => make("li", "", make("code", "", each.subject), ` ${toldOf(each)}`)));
    if (!byId("client").open) byId("client").showModal();
  } catch {
    // The loop tells that the broker is gone.
  }
}

const toldOf = ({ sid, qgroup, msgs, max }) =>
  [`sid ${sid}`, qgroup && `group ${qgroup}`, `${exact(msgs)} delivered${max ? ` of ${exact(max)}` : ""}`].filter(Boolean).join(" · ");

byId("c-form").addEventListener("submit", (event) => event.preventDefault());
byId("c-find").addEventListener("input", (event) => {
  want({ find: event.target.value.trim() });
  table.soon();
});
byId("c-which").addEventListener("change", (event) => {
  want({ state: event.target.value, sort: event.target.value === "closed" ? "stop" : wanted.sort });
  table.now();
});
byId("c-sort").addEventListener("change", (event) => {
  want({ sort: event.target.value });
  table.now();
});
for (const head of byId("c-table").querySelectorAll("[data-sort]")) {
  head.addEventListener("click", () => {
    want({ sort: head.dataset.sort });
    table.now();
  });
}
for (const [id, step] of [["c-previous", -PAGE], ["c-next", PAGE]]) {
  byId(id).addEventListener("click", () => {
    want({ offset: Math.max(0, wanted.offset + step) });
    table.now();
  });
}
want({});
