// One memory as a card, and the form in which it is written.

import { button, day, lastDay, make, toast } from "./dom.js";

export function card(fact, actions) {
  const over = fact.valid_until !== null && new Date(fact.valid_until) <= new Date();
  const below = make("div");
  const name = { attributes: { "aria-description": fact.text } };
  const shown = make(
    "li",
    { id: `fact-${fact.fact_id}`, className: over ? "ended" : "" },
    make("p", { textContent: fact.text }),
    make("p", { className: "facts" }, ...about(fact, over).map((textContent) => make("span", { textContent }))),
    ...fact.evidence.map((one) => make("blockquote", { textContent: `“${one.quote}”` })),
    make(
      "div",
      { className: "row" },
      button("Edit", () => edit(shown, fact, actions), name),
      over
        ? button("True again", () => actions.change(fact, { valid_until: null }, "True again."), name)
        : button("No longer true", () => actions.change(fact, { valid_until: new Date().toISOString() }, "No longer true."), name),
      button("History", () => toggle(below, () => history(fact, actions)), name),
      button("Where it was said", () => toggle(below, () => evidence(fact, actions)), name),
      button("Forget", () => actions.forget(fact), { ...name, className: "grave" }),
    ),
    below,
  );
  shown.dataset.version = fact.version;
  return shown;
}

function about(fact, over) {
  const person = [fact.about?.role, fact.about?.name].filter(Boolean).join(" ");
  return [
    fact.topic,
    person && `about ${person}`,
    `importance ${Math.round(fact.importance * 100)} %`,
    fact.scope === "agent" && `only for ${fact.agent_id}`,
    fact.valid_from && `since ${day(fact.valid_from)}`,
    fact.valid_until && `${over ? "until" : "ends"} ${lastDay(fact.valid_until)}`,
    fact.due && `due ${day(fact.due)}`,
    `told ${day(fact.said_at)}`,
  ].filter(Boolean);
}

function edit(shown, fact, actions) {
  const text = (fields) => actions.change(fact, fields, "Changed.");
  const cancel = () => {
    shown.replaceWith(card(fact, actions));
    document.getElementById(shown.id).querySelector("button").focus();
  };
  shown.replaceChildren(form("Edit this memory", fact, text, cancel));
  shown.querySelector("textarea").focus();
}

// Calls `save` with what was written; Escape and Cancel call `cancel`.
export function form(title, fact, save, cancel) {
  const text = make("textarea", { name: "text", value: fact.text, required: true, maxLength: 2000 });
  const topic = make("input", { name: "topic", value: fact.topic, required: true, maxLength: 100 });
  topic.setAttribute("list", "topics");
  const weight = make("input", { name: "importance", type: "range", min: 0, max: 1, step: 0.05 });
  weight.value = fact.importance;
  const written = make(
    "form",
    { className: "edit", attributes: { "aria-label": title } },
    make("label", {}, "Memory", text),
    make("label", {}, "Topic", topic),
    make("label", {}, "Importance", weight),
    make("div", { className: "row" }, make("button", { className: "first", textContent: "Save" }), button("Cancel", cancel)),
  );
  written.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  written.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await save({ text: text.value.trim(), topic: topic.value.trim(), importance: Number(weight.value) });
    } catch (error) {
      toast(error.message);
    }
  });
  return written;
}

async function toggle(below, read) {
  if (below.firstChild) {
    below.replaceChildren();
    return;
  }
  try {
    below.replaceChildren(await read());
  } catch (error) {
    toast(error.message);
  }
}

const DID = {
  added: "Learned", ended: "Ended", confirmed: "Said again", edited: "Edited", removed: "Removed",
  archived: "Archived for its age", merged: "Merged into one that says the same", refiled: "Topic respelled",
};

async function history(fact, actions) {
  const { items } = await actions.history(fact);
  const lines = items.map((one) => {
    const who = one.by_whom === "learning" ? "from a call" : `by ${one.by_whom.replace(/^api:/, "")}`;
    const was = one.before && one.before.text !== fact.text ? `; it was “${one.before.text}”` : "";
    return make("li", { textContent: `${day(one.changed_at)}: ${DID[one.change]} ${who}${was}${one.undone_at ? " (taken back)" : ""}` });
  });
  return make("ol", { className: "history" }, ...lines);
}

async function evidence(fact, actions) {
  const { turns } = await actions.evidence(fact);
  if (!turns.length) return make("p", { className: "hint", textContent: "It was stated by hand, or its words are gone." });
  return make("div", {}, ...turns.map((one) => make("blockquote", { textContent: `${day(one.said_at)}, ${one.role}: “${one.text}”` })));
}
