// The rounds of questions: when they are asked, and what the page says without an answer.

const EVERY = 2000;
/// Long answers are asked for in one round of three.
const LONG = 3;
const known = { round: 0, varz: null, memz: null, heard: null, paused: false };
let timer = 0;
let running = false;

const rests = () => known.paused || document.hidden;

async function questions() {
  const began = performance.now();
  const ready = await isReady();
  const request = performance.now() - began;
  const varz = await ask("varz");
  const loopz = await ask("loopz");
  const slowz = await ask("slowz");
  if (traffic.seen) await traffic.refresh();
  if (known.round % LONG === 0) {
    known.memz = await ask("memz");
    await accounts.refresh();
    if (table.seen) await table.refresh();
    if (tree.seen) await tree.refresh();
  }
  // Meanwhile told to rest.
  if (rests()) return;
  const rate = rates(known.varz, varz);
  if (known.varz && !rate) gap(Date.parse(varz.now));
  known.varz = varz;
  known.round += 1;
  known.heard = Date.now();
  showOverview({ ready, varz, loopz, slowz, memz: known.memz, rate, request });
}

async function round() {
  if (running || rests()) return;
  running = true;
  try {
    await questions();
    if (!known.paused) tell("good", "Running");
    byId("gone").hidden = true;
  } catch (error) {
    lost(error);
  }
  running = false;
  document.body.classList.toggle("stale", !byId("gone").hidden);
  clearTimeout(timer);
  if (!rests()) timer = setTimeout(round, EVERY);
}

function lost(error) {
  const refused = /^\d{3}: /.test(error.message);
  const since = known.heard ? ` The data shown is from ${new Date(known.heard).toLocaleTimeString()}, ${span((Date.now() - known.heard) / 1000)} ago.` : "";
  tell("bad", refused ? "Refused" : "Unreachable");
  say("gone", refused
    ? `The broker refused the request, ${error.message}.${since}`
    : `The broker cannot be reached.${since} Retrying every two seconds.`);
  byId("gone").hidden = false;
  document.title = `${refused ? "refused" : "unreachable"} · ${byId("name").textContent}`;
  // No rate bridges the time without answers, and nothing long was kept.
  known.varz = null;
  known.round = 0;
}

function tell(mood, text) {
  byId("state").className = `pill ${mood}`;
  say("state", text);
}

/// Rates begin anew: the page has not looked meanwhile.
function rest() {
  clearTimeout(timer);
  if (known.varz) gap(Date.parse(known.varz.now));
  known.varz = null;
  known.round = 0;
  if (known.paused) tell("", "Paused");
}

document.addEventListener("visibilitychange", () => (rests() ? rest() : round()));
byId("pause").addEventListener("click", () => {
  known.paused = !known.paused;
  byId("pause").ariaPressed = `${known.paused}`;
  byId("pause").textContent = known.paused ? "Resume" : "Pause";
  if (known.paused) rest();
  else round();
});
showFirst(JSON.parse(byId("first").textContent));
round();
