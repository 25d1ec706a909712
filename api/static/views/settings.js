// The system's settings: models with a test, providers, model files, keys.

import { make } from "../dom.js";
import { files } from "./files.js";
import { keys } from "./keys.js";
import { models } from "./models.js";
import { providers } from "./providers.js";

export const name = "settings";
export const title = "System";
export const needs = "operate";

export function mount(root) {
  const left = new AbortController();
  const set = models(left.signal);
  const kept = providers(left.signal, () => set.read());
  set.changed = () => kept.read();
  const parts = [set, kept, files(left.signal), keys(left.signal)];
  root.replaceChildren(make("h2", { textContent: "System" }), make("div", { className: "edit" }, ...parts.map((one) => one.element)));
  for (const one of parts) one.read();
  return () => {
    left.abort();
    root.replaceChildren();
  };
}
