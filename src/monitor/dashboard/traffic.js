// Who carries the traffic: subjects and publishers, now or since the start.

const TOP = 15;
/// How many are asked for: what is folded leaves room for others.
const ASKED = 100;
/// What has a smaller share has no row.
const SHARE_MIN = 0.001;
const carried = { period: "now", sort: "msgs", subject: "" };
/// Rows of clients by cid, to be used again: what has the focus keeps it.
let publishers = new Map();
const traffic = new Asker(byId("traffic"), askTraffic, showTraffic);

async function askTraffic() {
  try {
    return await ask("topz", { ...carried, limit: ASKED });
  } catch (error) {
    // An invalid subject for a subscription.
    if (error.message.startsWith("400")) return { problem: error.message.slice(5) };
    throw error;
  }
}

function showTraffic({ problem, period, seconds, sampled, sample_every, totals, num_subjects, max_subjects, subjects = [], connections = [] }) {
  if (problem) return say("o-place", problem);
  const time = period === "now" ? `the last ${span(seconds)}` : "the time since start";
  const how = sampled ? ` Sampled: when many messages come at once, one in ${sample_every} is counted for all; ± is the standard deviation.` : "";
  say("o-place", `${exact(totals.msgs)} messages in ${time}, ${short(totals.unrouted)} of them unrouted.${how}` +
    (num_subjects >= max_subjects ? ` Only the ${max_subjects} heaviest subjects are kept; + is the number that may be missing.` : ""));
  const now = period === "now";
  const shown = subjects.filter((one) => carried.subject || shareOf(one, totals) >= SHARE_MIN).slice(0, TOP);
  byId("o-subjects").replaceChildren(...(shown.length ? shown.map((one) => subjectRow(one, now, totals)) : [noTraffic(4)]));
  const more = num_subjects - shown.length;
  say("o-more", more > 0 && shown.length ? `and ${exact(more)} more subject${more === 1 ? "" : "s"}` : "");
  const present = connections.filter((one) => !one.closed && (one.in_msgs || one.out_msgs)).slice(0, TOP);
  publishers = new Map(present.map((one) => [one.cid, publisherRow(publishers.get(one.cid) ?? newPublisher(one.cid), one)]));
  place(byId("o-connections"), publishers.size ? [...publishers.values()] : [noTraffic(3)]);
  const gone = connections.filter((one) => one.closed);
  const sent = gone.reduce((sum, one) => sum + one.in_msgs, 0);
  say("o-gone", gone.length ? `and ${exact(gone.length)} disconnected clients with ${short(sent)} messages` : "");
}

/// How much of all that by which the list is ordered.
function shareOf(one, totals) {
  const name = carried.sort;
  return totals[name] ? Math.min(1, one[name] / totals[name]) : 0;
}

const perSecond = (number) => `${number < 10 ? Number(number.toFixed(1)) : short(number)}/s`;

function subjectRow(one, now, totals) {
  const doubt = [one.error && `+${short(one.error)}`, one.deviation && `±${short(one.deviation)}`].filter(Boolean).join(" ");
  const share = shareOf(one, totals) ? `${percent(shareOf(one, totals))} of total` : "";
  return make("tr", "",
    make("td", "", make("code", "", one.subject + (one.cut ? "…" : "")), make("small", "", share)),
    make("td", "number", now ? perSecond(one.msgs_rate) : short(one.msgs), make("small", "", doubt)),
    make("td", "number", bytes(now ? one.bytes_rate : one.bytes) + (now ? "/s" : "")),
    make("td", "number desk", one.unrouted ? percent(one.unrouted / one.msgs) : "–"));
}

function newPublisher(cid) {
  const name = make("button");
  name.type = "button";
  name.addEventListener("click", () => showClient(cid));
  return make("tr", "", make("td", "", name, make("small")), make("td", "number"), make("td", "number"));
}

function publisherRow(row, one) {
  row.cells[0].firstChild.textContent = called(one);
  row.cells[0].lastChild.textContent = `${one.ip}:${one.port} · cid ${one.cid}`;
  row.cells[1].replaceChildren(short(one.in_msgs), make("small", "", perSecond(one.in_msgs_rate)));
  row.cells[2].replaceChildren(short(one.out_msgs));
  return row;
}

function noTraffic(columns) {
  const cell = make("td", "muted", "No messages.");
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
