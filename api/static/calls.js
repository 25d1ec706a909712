// One person's calls, the last first, with what was said, what memory gave each reply, and what a call taught.

import { button, make, one, toast } from "./dom.js";
import { given } from "./given.js";
import { ask, userPath } from "./http.js";

let user = null;
let next = null;

export function wire() {
  one("more-calls").addEventListener("click", () => list(next));
}

export async function openCalls(userId) {
  user = userId;
  one("calls-title").textContent = userId === null ? "Choose somebody" : `Calls of ${userId}`;
  one("calls-list").replaceChildren();
  one("promises").replaceChildren();
  one("promises-title").hidden = true;
  one("more-calls").hidden = true;
  one("calls-empty").hidden = true;
  if (userId !== null) await Promise.all([list(), promises()]);
}

async function promises() {
  const page = await ask("GET", userPath(user, "/facts?topic=promises&limit=50"));
  one("promises-title").hidden = !page.items.length;
  one("promises").replaceChildren(...page.items.map((fact) => make("li", {}, make("p", { textContent: fact.text }),
    make("p", { className: "facts", textContent: fact.due ? `due ${at(fact.due)}` : "without a date" }))));
}

async function list(cursor) {
  const page = await ask("GET", userPath(user, `/calls?limit=20${cursor ? `&cursor=${cursor}` : ""}`));
  one("calls-list").append(...page.items.map(call));
  next = page.next;
  one("more-calls").hidden = next === null;
  one("calls-empty").hidden = one("calls-list").children.length > 0;
}

const at = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function call({ call_id: callId, agent_id: agentId, began_at: began, turns, open_turns: open }) {
  const said = make("ol", { className: "said" });
  const taught = make("ul", { className: "facts" });
  const shown = make(
    "details",
    { className: "panel" },
    make("summary", {}, make("strong", { textContent: at(began) }),
      make("span", { className: "hint", textContent: ` ${turns} turns with ${agentId}${open ? `, ${open} not learned yet` : ""}` })),
    said,
    taught,
    make("div", { className: "row" }, button("Take back what it taught", () => undo(callId))),
  );
  shown.addEventListener("toggle", () => {
    if (shown.open && !said.children.length) Promise.all([fill(said, callId), teach(taught, callId)]).catch((error) => toast(error.message));
  });
  return make("li", {}, shown);
}

async function fill(said, callId) {
  const path = userPath(user, `/calls/${encodeURIComponent(callId)}/turns?limit=200`);
  for (let cursor = ""; cursor !== null;) {
    const page = await ask("GET", `${path}${cursor && `&cursor=${cursor}`}`);
    for (const turn of page.items) {
      const cut = turn.interrupted ? (turn.role === "user" ? " – not answered" : " – cut off here") : "";
      const line = make("li", { className: turn.role === "user" ? "caller" : "agent" }, make("span", { textContent: turn.text + cut }));
      said.append(line);
      if (turn.recall) line.append(await given(user, turn.recall));
    }
    cursor = page.next;
  }
}

// What was learned from the call, with what is no longer true crossed out.
async function teach(taught, callId) {
  const { items } = await ask("GET", userPath(user, `/facts?validity=all&limit=200&call_id=${encodeURIComponent(callId)}`));
  taught.replaceChildren(...items.map(({ text, valid_until: until }) => {
    const over = until !== null && new Date(until) <= new Date();
    return make("li", {}, "Learned: ", make(over ? "s" : "span", { textContent: text }));
  }));
}

async function undo(callId) {
  try {
    const { removed, restored } = await ask("POST", userPath(user, `/calls/${encodeURIComponent(callId)}/undo`));
    toast(removed.length + restored.length
      ? `Took back ${removed.length} memories, and restored ${restored.length}.`
      : "Nothing that this call taught is left to take back.");
  } catch (error) {
    toast(error.message);
  }
}
