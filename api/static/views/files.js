// Model files of the machine that the API runs on: there or not, whole or not; fetched with progress, removed.

import { button, make, toast } from "../dom.js";
import { ask } from "../http.js";
import { panel, says, size } from "./forms.js";

const LOOK_MS = 500;

export function files(signal) {
  const list = make("ul", { className: "cards" });
  const check = button("Check every file", () => read(true));
  const element = panel("Model files", says("On the machine that the API runs on."), list, check);
  return { element, read: () => read(false) };

  async function read(every) {
    check.disabled = true;
    try {
      const { items } = await ask("GET", `/model-files${every ? "?check=true" : ""}`);
      if (!signal.aborted) list.replaceChildren(...items.map(card));
    } catch (error) {
      if (!signal.aborted) list.replaceChildren(make("li", { className: "hint", textContent: error.message }));
    }
    check.disabled = false;
  }

  function card(one) {
    const whole = { true: "checksum right", false: "checksum wrong: remove it, or install it again", null: "not checked" }[one.sha256_ok];
    const words = [one.present ? `present, ${size(one.size)}` : "not here", one.present && whole, one.dimensions && `vectors of ${one.dimensions}`, one.used_by && `used by ${one.used_by}`].filter(Boolean);
    const described = { attributes: { "aria-description": one.name } };
    const progress = make("div");
    const act = !one.removable ? null : one.present
      ? button("Remove", () => remove(one), { ...described, className: "grave" })
      : button("Fetch", (event) => fetchIt(one, event.target, progress), described);
    return make(
      "li",
      {},
      make("p", { textContent: one.name }),
      make("p", { className: "facts" }, make("span", { textContent: one.purpose }), ...words.map((textContent) => make("span", { textContent }))),
      act && make("div", { className: "row" }, act),
      progress,
    );
  }

  async function remove(one) {
    try {
      const { reclaimed_bytes: free } = await ask("DELETE", `/model-files/${encodeURIComponent(one.name)}`);
      toast(`Removed: ${size(free)} are free.`);
    } catch (error) {
      toast(error.message);
    }
    await read(false);
  }

  async function fetchIt(one, pressed, place) {
    pressed.disabled = true;
    const bar = make("progress", { attributes: { "aria-label": `Fetching ${one.name}` } });
    const words = says("Asking for it…");
    place.replaceChildren(bar, words);
    try {
      let task = await ask("POST", `/model-files/${encodeURIComponent(one.name)}/pull`);
      while (task.state === "running" && !signal.aborted) {
        await new Promise((done) => setTimeout(done, LOOK_MS));
        task = await ask("GET", `/tasks/${task.task_id}`);
        if (task.total) [bar.max, bar.value] = [task.total, task.done];
        words.textContent = task.total ? `${size(task.done)} of ${size(task.total)}` : "Asking for it…";
      }
      if (signal.aborted) return;
      toast(task.state === "done" ? `${one.name} is here.` : task.sentence);
    } catch (error) {
      if (!signal.aborted) toast(error.message);
    }
    await read(false);
  }
}
