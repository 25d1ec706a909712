// What memory gave one reply: which memories were used and what they rest on, and how long each tier took.

import { day, make } from "./dom.js";
import { ask, userPath } from "./http.js";

const BUDGET_MS = 150;

export async function given(userId, recall) {
  const items = await Promise.all(recall.used.map((used) => item(userId, used)));
  const bars = Object.entries(recall.tiers).flatMap(([name, tier]) => [
    make("span", { textContent: name }),
    make("meter", { max: BUDGET_MS, value: tier.ms, attributes: { "aria-label": `${name}, milliseconds` } }),
    make("span", { textContent: `${tier.ms.toFixed(1)} ms, ${tier.status}` }),
  ]);
  const used = items.map(({ text, why }) => make("li", {}, make("span", { textContent: text }), make("small", { textContent: ` · ${why}` })));
  return make(
    "details",
    {},
    make("summary", { textContent: `Memory: ${items.length ? `${items.length} used` : "nothing used"}, ${recall.ms.toFixed(1)} ms` }),
    make("div", { className: "tiers" }, ...bars),
    make("ul", {}, ...used),
  );
}

async function item(userId, { kind, id, tier }) {
  if (kind === "relation") return { text: "A relation of the graph", why: tier };
  const found = await ask("GET", userPath(userId, kind === "fact" ? `/facts/${id}` : `/turns/${id}`)).catch(() => null);
  if (!found) return { text: "Something that is forgotten now", why: tier };
  const why = kind === "fact" ? found.evidence.map((said) => `“${said.quote}”`) : [`said on ${day(found.said_at)}`];
  return { text: found.text, why: [tier, ...why].filter(Boolean).join(" · ") };
}
