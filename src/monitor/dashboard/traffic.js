// Who carries the traffic: subjects and publishers, now or since the start.

const TOP = 15;
const carried = { period: "now", sort: "msgs", subject: "" };
/// Rows of clients by cid, to be used again: what has the focus keeps it.
let publishers = new Map();
const traffic = new Asker(byId("traffic"), askTraffic, showTraffic);

async function askTraffic() {
  try {
    return await ask("topz", { ...carried, limit: TOP });
  } catch (error) {
    // A subject that nobody can subscribe to.
    if (error.message.startsWith("400")) return { problem: error.message.slice(5) };
    throw error;
  }
}

function showTraffic({ problem, period, seconds, sampled, sample_every, totals, num_subjects, max_subjects, subjects = [], connections = [] }) {
  if (problem) return say("o-place", problem);
  const time = period === "now" ? `the last ${span(seconds)}` : "all time since the start";
  const how = sampled ? ` Where messages come many at once, one of ${sample_every} is looked at and stands for all: ± is the standard deviation.` : "";
  say("o-place", `${exact(totals.msgs)} messages in ${time}, ${short(totals.unrouted)} of them to nobody.${how}` +
    (num_subjects >= max_subjects ? ` Of so many subjects the ${max_subjects} heaviest are kept; + is what may be missing.` : ""));
  const now = period === "now";
  byId("o-subjects").replaceChildren(...(subjects.length ? subjects.map((one) => subjectRow(one, now, totals)) : [noTraffic(4)]));
  publishers = new Map(connections.map((one) => [one.cid, publisherRow(publishers.get(one.cid) ?? newPublisher(one.cid), one)]));
  place(byId("o-connections"), publishers.size ? [...publishers.values()] : [noTraffic(3)]);
}

const perSecond = (number) => `${number < 10 ? Number(number.toFixed(1)) : short(number)}/s`;

function subjectRow(one, now, totals) {
  const doubt = [one.error && `+${short(one.error)}`, one.deviation && `±${short(one.deviation)}`].filter(Boolean).join(" ");
  const share = totals.msgs ? `${percent(Math.min(1, one.msgs / totals.msgs))} of all` : "";
  return make("tr", "",
    make("td", "", make("code", "", one.subject + (one.cut ? "…" : "")), make("small", "", share)),
    make("td", "number", now ? perSecond(one.msgs_rate) : short(one.msgs), make("small", "", doubt)),
    make("td", "number", bytes(now ? one.bytes_rate : one.bytes) + (now ? "/s" : "")),
    make("td", "number", one.unrouted ? percent(one.unrouted / one.msgs) : "–"));
}

function newPublisher(cid) {
  const name = make("button");
  name.type = "button";
  name.addEventListener("click", () => showClient(cid));
  return make("tr", "", make("td", "", name, make("small")), make("td", "number"), make("td", "number"));
}

function publisherRow(row, one) {
  row.cells[0].firstChild.textContent = called(one);
  row.cells[0].lastChild.textContent = `${one.ip}:${one.port} · cid ${one.cid}${one.closed ? " · closed" : ""}`;
  row.cells[1].replaceChildren(short(one.in_msgs), make("small", "", perSecond(one.in_msgs_rate)));
  row.cells[2].replaceChildren(short(one.out_msgs));
  return row;
}

function noTraffic(columns) {
  const cell = make("td", "muted", "Nothing was published.");
  cell.colSpan = columns;
  return make("tr", "", cell);
}

byId("o-form").addEventListener("submit", (event) => event.preventDefault());
byId("o-subject").addEventListener("input", (event) => {
  carried.subject = event.target.value.trim();
  traffic.soon();
});
for (const [id, name] of [["o-period", "period"], ["o-sort", "sort"]]) {
  byId(id).addEventListener("change", (event) => {
    carried[name] = event.target.value;
    traffic.now();
  });
}
