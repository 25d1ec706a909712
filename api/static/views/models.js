// Which models learn and embed, and the graph: each setting with where it comes from, a test, and a way back.

import { button, make, toast } from "../dom.js";
import { ask } from "../http.js";
import { CHANGED, changed, field, form, panel, says, send } from "./forms.js";

const PARTS = [
  ["extractor", "learning", "Learning and replying", {
    extractor: "Who learns facts", llm_url: "Address", llm_model: "Model", llm_api_key: "Key",
  }],
  ["embedder", "embedding", "Embedding", {
    embedding_url: "Address", embedding_model: "Model", embedding_dimensions: "Length of a vector", embedding_api_key: "Key",
  }],
  ["graph", "graph", "Graph", {
    graph: "Graph", falkordb_url: "Address of FalkorDB", neo4j_url: "Address of Neo4j", neo4j_user: "User", neo4j_password: "Password", neo4j_database: "Database",
  }],
];
const OPTIONS = {
  extractor: [["auto", "whoever can"], ["echoic", "Echoic"], ["mem0", "Mem0"], ["off", "nobody"]],
  graph: [["off", "off"], ["on", "on"]],
};
const FROM = { database: "Set here.", environment: "From the environment.", default: "The default." };

export function models(signal) {
  const element = make("div", { className: "boards" });
  const part = { element, read, changed() {} };
  return part;

  async function read() {
    try {
      const found = await ask("GET", "/settings");
      if (!signal.aborted) element.replaceChildren(...PARTS.map((one) => board(found, ...one)));
    } catch (error) {
      if (!signal.aborted) element.replaceChildren(says(error.message));
    }
  }

  function board(found, kind, tested, heading, labels) {
    const settings = found.settings.filter((one) => one.kind === kind);
    const result = make("p", { className: "hint", attributes: { role: "status" } });
    const ours = settings.filter((one) => one.source === "database").map((one) => one.name);
    const test = button("Test", () => tryOut(written, tested, test, result));
    const back = button("As the environment says", () => save(Object.fromEntries(ours.map((one) => [one, null])), found.version));
    const row = make("div", { className: "row" }, send("Save"), test, ours.length ? back : null);
    const fields = settings.map((one) => shown(one, labels[one.name], found.can_keep_secrets));
    const written = form(heading, [...fields, row, result], (one) => save(changed(one), found.version));
    const cost = kind === "embedder" ? says(found.vectors.sentence) : null;
    if (found.vectors.waits) cost?.setAttribute("role", "alert");
    const note = kind === "extractor" ? says(found.note) : null;
    return panel(heading, ...[written, cost, note].filter(Boolean));
  }

  async function save(fields, version) {
    if (!Object.keys(fields).length) return toast("Nothing was changed.");
    try {
      await ask("PATCH", "/settings", { body: fields, match: version });
      toast("Saved.");
    } catch (error) {
      toast(error.status === 412 ? CHANGED : error.message);
      if (error.status !== 412) return; // what was written stays to be corrected
    }
    await read();
    part.changed();
  }
}

function shown(one, label, canKeep) {
  const base = { name: one.name, label, maxlength: 500 };
  if (OPTIONS[one.name]) return field({ ...base, type: "select", value: one.value, options: OPTIONS[one.name], hint: FROM[one.source] });
  if (!one.secret) {
    const type = typeof one.value === "number" ? "number" : "text";
    return field({ ...base, type, value: one.value, hint: FROM[one.source] });
  }
  const hint = canKeep ? `${one.set ? "There is one; it is not shown." : "There is none."}` : "ECHOIC_SETTINGS_KEY is not set where the API runs, so none can be kept.";
  return field({ ...base, type: "password", value: "", hint, autocomplete: "new-password" });
}

async function tryOut(written, part, test, result) {
  test.disabled = true;
  result.textContent = "Asking…";
  try {
    const { ok, sentence, elapsed_ms: ms } = await ask("POST", "/settings/test", { body: { part, changes: changed(written) } });
    result.textContent = `${ok ? "It works" : "It does not work"}: ${sentence} (${Math.round(ms)} ms)`;
  } catch (error) {
    result.textContent = error.message;
  }
  test.disabled = false;
}
