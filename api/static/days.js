// The days as they went by: how much was said, how fast memory was, and how each tier fared in the last hour.

import { make, one } from "./dom.js";
import { ask } from "./http.js";

const LAST = 30;
const EVERY_MS = 60_000;
const ALARM = 0.1; // of the replies of the last hour without what a tier holds
const HOW = { ok: "found something", empty: "found nothing", late: "late", failed: "failed", skipped: "left alone" };

let read = 0;
let warnings = [];

// Reads at most once a minute; returns what is wrong, in sentences.
export async function drawDays() {
  if (Date.now() - read < EVERY_MS) return warnings;
  const { days, tiers } = await ask("GET", `/statistics/days?last=${LAST}`);
  read = Date.now();
  line("growth", days, ({ turns }) => turns);
  line("speed", days.filter(({ recalls }) => recalls > 0), ({ recall_p95_ms: ms }) => ms);
  const last = days.at(-1);
  one("days-text").textContent = last
    ? `${days.length} days with calls. The last, ${last.day}: ${last.turns} turns in ${last.calls} calls of ${last.users} people, ${last.facts_added} memories learned`
      + (last.recalls ? `, memory answered in ${last.recall_p50_ms.toFixed(1)} ms, 95 of 100 times within ${last.recall_p95_ms.toFixed(1)} ms.` : ".")
    : "Nothing was said yet.";
  const names = [...new Set(tiers.map(({ tier }) => tier))];
  one("tiers").replaceChildren(...names.flatMap((name) => [make("dt", { textContent: name }), make("dd", { textContent: fared(tiers, name) })]));
  one("no-tiers").hidden = names.length > 0;
  warnings = names.flatMap((name) => warn(tiers, name));
  return warnings;
}

const of = (tiers, name) => tiers.filter(({ tier }) => tier === name);
const sum = (rows) => rows.reduce((total, { replies }) => total + replies, 0);
const fared = (tiers, name) => of(tiers, name).map(({ status, replies, p95_ms: ms }) => `${HOW[status]} ${replies} × (${ms.toFixed(0)} ms)`).join(", ");

function warn(tiers, name) {
  const all = sum(of(tiers, name));
  const without = sum(of(tiers, name).filter(({ status }) => ["late", "failed"].includes(status)));
  return without > ALARM * all ? [`${name} was late or failed in ${without} of ${all} replies of the last hour.`] : [];
}

function line(id, days, value) {
  const values = days.map(value);
  const most = Math.max(...values, 1);
  const points = values.map((each, place) => `${(place * 300) / Math.max(values.length - 1, 1)},${58 - (56 * each) / most}`);
  one(id).setAttribute("points", points.length === 1 ? `0,${points[0].split(",")[1]} 300,${points[0].split(",")[1]}` : points.join(" "));
}
