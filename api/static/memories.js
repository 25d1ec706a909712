// The memories of one person: filtered, added, edited, ended, undone, forgotten; what others change shows by itself.

import { later, make, one, toast } from "./dom.js";
import { ask, follow, userPath } from "./http.js";
import { card, form } from "./cards.js";

let user = null;
let next = null;
let hearing = null;
let asked = 0;

const facts = (rest = "") => userPath(user, `/facts${rest}`);

export function wire() {
  const again = later(() => list());
  one("filters").addEventListener("input", again);
  one("filters").addEventListener("submit", (event) => event.preventDefault());
  one("more").addEventListener("click", () => list(next));
  one("add").addEventListener("click", () => {
    const empty = { text: "", topic: "other", importance: 0.5 };
    one("new").replaceChildren(form("New memory", empty, add, () => one("new").replaceChildren()));
    one("new").querySelector("textarea").focus();
  });
}

export async function open(userId) {
  user = userId;
  hearing?.abort();
  hearing = new AbortController();
  one("memories-title").textContent = userId;
  one("filters").reset();
  one("new").replaceChildren();
  await list();
  follow(userId, later(() => list(), 100), hearing.signal);
}

async function list(cursor) {
  const mine = ++asked;
  const query = new URLSearchParams({ limit: 50 });
  for (const [name, value] of new FormData(one("filters"))) {
    if (value.trim()) query.set(name, name === "at" ? new Date(`${value}T23:59:59`).toISOString() : value.trim());
  }
  if (cursor) query.set("cursor", cursor);
  try {
    const [page, counts] = await Promise.all([ask("GET", facts(`?${query}`)), ask("GET", userPath(user, "/statistics"))]);
    if (mine !== asked) return;
    const at = document.activeElement;
    const cards = page.items.map(drawn);
    cursor ? one("cards").append(...cards) : one("cards").replaceChildren(...cards);
    if (at?.closest("#cards")) at.focus(); // what is moved loses the keyboard
    next = page.next;
    one("more").hidden = next === null;
    one("empty").hidden = one("cards").children.length > 0;
    one("empty").textContent = counts.facts_live + counts.facts_ended ? "No memory fits these filters." : "Nothing is remembered yet.";
    one("counts").textContent = `${counts.facts_live} true now, ${counts.facts_ended} no longer, ${counts.turns} turns in ${counts.calls} calls`;
    one("topics").replaceChildren(...Object.keys(counts.topics).map((value) => make("option", { value })));
  } catch (error) {
    toast(error.message);
  }
}

// The card that is there, with what is open or being written in it, unless its fact has changed.
function drawn(fact) {
  const there = one(`fact-${fact.fact_id}`);
  const stays = there && (there.dataset.version === fact.version || there.querySelector("form"));
  return stays ? there : card(fact, actions);
}

async function add(fields) {
  const made = await ask("POST", facts(), { body: fields, once: crypto.randomUUID() });
  one("new").replaceChildren();
  await list();
  toast("Added.", () => attempt(() => ask("DELETE", facts(`/${made.fact_id}`), { match: made.version }), "Taken back."));
}

const actions = {
  history: (fact) => ask("GET", facts(`/${fact.fact_id}/history`)),
  evidence: (fact) => ask("GET", facts(`/${fact.fact_id}/evidence`)),

  // Shown at once; rolled back, with the reason, when it is refused.
  async change(fact, fields, said) {
    const shown = one(`fact-${fact.fact_id}`);
    const before = Object.fromEntries(Object.keys(fields).map((name) => [name, fact[name]]));
    const wanted = card({ ...fact, ...fields, version: "" }, actions);
    wanted.inert = true; // until it is certain
    shown?.replaceWith(wanted);
    try {
      const changed = await ask("PATCH", facts(`/${fact.fact_id}`), { body: fields, match: fact.version });
      wanted.replaceWith(card(changed, actions));
      one(`fact-${fact.fact_id}`)?.querySelector("button").focus();
      list();
      toast(said, () => actions.change(changed, before, "Undone."));
    } catch (error) {
      wanted.replaceWith(card(fact, actions));
      toast(error.status === 412 ? "Somebody else changed this meanwhile. You now see it as it is." : error.message);
      if (error.status === 412) await list();
    }
  },

  async forget(fact) {
    one("sure-text").textContent = fact.text;
    one("sure").returnValue = "no";
    one("sure").showModal();
    await new Promise((done) => one("sure").addEventListener("close", done, { once: true }));
    if (one("sure").returnValue !== "yes") return;
    await attempt(() => ask("DELETE", facts(`/${fact.fact_id}`), { match: fact.version }), "Forgotten.");
    one("memories").focus();
  },
};

async function attempt(work, said) {
  try {
    await work();
    toast(said);
  } catch (error) {
    toast(error.message);
  }
  await list();
}
