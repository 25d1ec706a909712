// Whether it works: parts, what waits, how long learning takes, what was given up; read again every few seconds.

import { button, make, one, toast } from "./dom.js";
import { drawDays } from "./days.js";
import { ask, ready } from "./http.js";

const EVERY_MS = 5000;
const LATE_S = 600; // a worker learns within minutes
const KEPT = 60;

let timer = null;
const waiting = [];

export function show(seen) {
  clearInterval(timer);
  timer = seen ? setInterval(look, EVERY_MS) : null;
  if (seen) look();
}

async function look() {
  try {
    const [parts, queues, jobs, counts, slow] = await Promise.all([ready(), ask("GET", "/queues"), ask("GET", "/jobs"), ask("GET", "/statistics"), drawDays()]);
    waiting.push(queues.waiting_turns);
    if (waiting.length > KEPT) waiting.shift();
    one("alerts").replaceChildren(...[...alerts(parts, queues, jobs), ...slow].map((textContent) => make("li", { textContent })));
    one("well").hidden = one("alerts").children.length > 0;
    table("parts", Object.entries(parts.parts));
    table("counts-all", [
      ["people", counts.users.toLocaleString()],
      ["calls", counts.calls.toLocaleString()],
      ["turns", counts.turns.toLocaleString()],
      ["memories that are true now", counts.facts_live.toLocaleString()],
      ["that are no longer", counts.facts_ended.toLocaleString()],
      ["heard of last", counts.last_at === null ? "never" : new Date(counts.last_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })],
    ]);
    table("queues", [
      ["turns that wait to be learned", queues.waiting_turns],
      ["the oldest waits", `${Math.round(queues.oldest_s)} s`],
      ["jobs in the queue", queues.queued_jobs ?? "Redis does not answer"],
      ...queues.batches.map((one) => [`${one.kind} ${one.state}`, `${one.batches}, ${one.mean_s.toFixed(1)} s each`]),
    ]);
    one("trend").setAttribute("points", waiting.map((value, place) => `${(place * 300) / (KEPT - 1)},${58 - (56 * value) / Math.max(...waiting, 1)}`).join(" "));
    one("trend-text").textContent = `Waiting turns, the last ${Math.round((waiting.length * EVERY_MS) / 60000)} minutes: now ${waiting.at(-1)}, at most ${Math.max(...waiting)}.`;
    one("given-up").replaceChildren(...jobs.items.map(job));
    one("none-given-up").hidden = jobs.items.length > 0;
  } catch (error) {
    one("alerts").replaceChildren(make("li", { textContent: error.message }));
    one("well").hidden = true;
  }
}

function alerts(parts, queues, jobs) {
  const failing = Object.entries(parts.parts).filter(([, state]) => state === "failed").map(([name]) => `${name} does not answer.`);
  const late = queues.oldest_s > LATE_S ? ["What was said is not learned: is a worker running?"] : [];
  const dead = jobs.items.length ? [`${jobs.items.length} given up: look at the reason, and try again.`] : [];
  return [...failing, ...late, ...dead];
}

function table(id, rows) {
  one(id).replaceChildren(...rows.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
}

function job({ batch_id: id, kind, user_id: user, turns, error }) {
  return make("li", {},
    make("p", { textContent: `${kind} of ${user || "nobody known"}: ${turns} turns` }),
    make("p", { className: "facts", textContent: error }),
    make("div", { className: "row" }, button("Try again", () => retry(id))));
}

async function retry(id) {
  try {
    await ask("POST", `/jobs/${id}/retry`);
    toast("It is tried again.");
  } catch (error) {
    toast(error.message);
  }
  await look();
}
