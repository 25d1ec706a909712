// One person's own settings and data: whether they are remembered, for how long, export, and forgetting everything.

import { button, make, toast } from "../dom.js";
import { ask, download, userPath } from "../http.js";
import { CHANGED, changed, field, form, panel, says, send } from "./forms.js";

export const name = "data";
export const title = "Settings and my data";
export const needs = "user";

const POLICY = {
  on: "Whoever does not object is remembered.",
  ask: "Whoever has not said yes yet is asked in the next call.",
  off: "Here nobody is remembered, whatever is chosen.",
};

export function mount(root, { userId, me }) {
  const left = new AbortController();
  const account = me.may.includes("account");
  const choices = make("div", { attributes: { "aria-live": "polite" } });
  const panels = make("div", { className: "edit" }, choices, account ? mine(userId, left.signal) : null);
  root.replaceChildren(make("h2", { textContent: `Settings and data of ${userId}` }), panels);
  read();
  return () => {
    left.abort();
    root.replaceChildren();
  };

  async function read() {
    try {
      const found = await ask("GET", userPath(userId, "/settings"));
      if (!left.signal.aborted) choices.replaceChildren(panel("Memory", written(found)));
    } catch (error) {
      if (!left.signal.aborted) choices.replaceChildren(says(error.message));
    }
  }

  function written(found) {
    const zones = make("datalist", { id: "time-zones" }, ...Intl.supportedValuesOf("timeZone").map((value) => make("option", { value })));
    const fields = [
      field({ name: "memory", label: "Remember me", type: "checkbox", value: found.memory, hint: "Off: nothing is kept, and nothing is recalled." }),
      field({
        name: "consent",
        label: "Keep what I say",
        type: "checkbox",
        value: found.consent === "on" || (found.consent === "unknown" && found.policy === "on"),
        hint: `Off: nothing new is kept; what was known is still recalled. ${POLICY[found.policy]}`,
      }),
      field({ name: "retention_days", label: "Forget after this many days", type: "number", value: found.retention_days, min: 1, max: 36500, step: 1, hint: "Empty: as the system does." }),
      field({ name: "language", label: "Language", value: found.language, maxlength: 64, placeholder: "pt-BR", hint: "In which memory's own sentences are said. Empty: the one that is spoken." }),
      field({ name: "timezone", label: "Time zone", value: found.timezone, maxlength: 64, list: "time-zones", placeholder: "Europe/Lisbon", hint: "Whose days are meant by “Monday”. Empty: where the call comes from." }),
    ];
    const buttons = make("div", { className: "row" }, send("Save"));
    return form("Memory", [...fields, zones, buttons], (one) => save(one, found.version));
  }

  async function save(one, version) {
    const fields = changed(one);
    if ("consent" in fields) fields.consent = fields.consent ? "on" : "off";
    if (fields.memory === false) delete fields.consent; // what is off keeps nothing
    if (!Object.keys(fields).length) return toast("Nothing was changed.");
    try {
      await ask("PATCH", userPath(userId, "/settings"), { body: fields, match: version });
      toast("Saved; it counts from the next call on.");
    } catch (error) {
      toast(error.status === 412 ? CHANGED : error.message);
      if (error.status !== 412) return; // what was written stays to be corrected
    }
    await read();
  }
}

function mine(userId, signal) {
  const report = make("p", { attributes: { role: "status" } });
  const dialog = sure(userId, async () => {
    try {
      report.textContent = told(await ask("DELETE", userPath(userId)));
    } catch (error) {
      toast(error.message);
    }
  });
  const forget = button("Forget everything", () => dialog.ask(), { className: "grave" });
  const save = button("Export", async () => {
    save.disabled = true;
    try {
      await download(userPath(userId, "/export"), "echoic-export.json", signal);
      toast("Exported.");
    } catch (error) {
      if (!signal.aborted) toast(error.message);
    }
    save.disabled = false;
  });
  return panel(
    "Data",
    says("Everything that any store holds, as one JSON file; or everything gone, for good."),
    make("div", { className: "row" }, save, forget),
    report,
    dialog.element,
  );
}

const KINDS = [["facts", "memories"], ["turns", "turns"], ["graphs", "graphs"], ["jobs", "waiting jobs"], ["spooled", "turns on disk"]];

function told(report) {
  const gone = KINDS.filter(([key]) => report[key]).map(([key, words]) => `${report[key]} ${words}`);
  const rest = report.unfinished.length ? ` Not finished: ${report.unfinished.join(" ")}` : "";
  return `Forgotten: ${gone.join(", ") || "there was nothing"}.${rest}`;
}

// Twice sure: a button, and then the id, typed.
function sure(userId, confirmed) {
  const typed = make("input", { autocomplete: "off", maxLength: 200, attributes: { "aria-label": "Type the id to confirm" } });
  const yes = make("button", { value: "yes", className: "grave", textContent: "Forget everything", disabled: true });
  const no = make("button", { value: "no", textContent: "Keep it", type: "button" });
  const element = make(
    "dialog",
    { attributes: { "aria-label": "Forget everything for good?" } },
    make(
      "form",
      { method: "dialog", className: "edit" },
      make("h2", { textContent: "Forget everything for good?" }),
      make("p", { textContent: "All memories, all that was said, and the keys of this person go from every store. This cannot be undone." }),
      make("label", {}, make("span", {}, "To confirm, type ", make("strong", { textContent: userId })), typed),
      make("div", { className: "row" }, no, yes),
    ),
  );
  typed.addEventListener("input", () => (yes.disabled = typed.value !== userId));
  no.addEventListener("click", () => element.close("no"));
  element.addEventListener("close", () => element.returnValue === "yes" && typed.value === userId && confirmed());
  return {
    element,
    ask() {
      [typed.value, yes.disabled, element.returnValue] = ["", true, "no"];
      element.showModal();
      typed.focus();
    },
  };
}
