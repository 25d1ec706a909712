// Keys for the API: made and shown once, listed, revoked.

import { button, day, make, toast } from "../dom.js";
import { ask } from "../http.js";
import { changed, field, form, panel, says, send } from "./forms.js";

const ROLES = [["service", "service: read and change memories"], ["user", "user: one person's own"], ["admin", "admin: everything"]];

export function keys(signal) {
  const list = make("ul", { className: "cards" });
  const once = make("div", { attributes: { role: "status" } });
  const written = form(
    "New key",
    [
      field({ name: "name", label: "Whose, or for what", maxlength: 100, required: "" }),
      field({ name: "role", label: "May", type: "select", value: "service", options: ROLES }),
      field({ name: "user_id", label: "Person", maxlength: 200, hint: "Of a key for one person only." }),
      field({ name: "valid_days", label: "Days that it is valid", type: "number", min: 1, max: 36500, step: 1, hint: "Empty: until it is revoked." }),
      make("div", { className: "row" }, send("Make a key")),
    ],
    add,
  );
  return { element: panel("Keys", list, written, once), read };

  async function read() {
    try {
      const { items } = await ask("GET", "/keys");
      const live = items.filter((one) => !one.revoked_at);
      if (!signal.aborted) list.replaceChildren(...(live.length ? live.map(card) : [make("li", { className: "hint", textContent: "None." })]));
    } catch (error) {
      if (!signal.aborted) list.replaceChildren(make("li", { className: "hint", textContent: error.message }));
    }
  }

  function card(one) {
    const words = [one.role, one.user_id && `of ${one.user_id}`, `made ${day(one.created_at)}`, one.expires_at && `until ${day(one.expires_at)}`].filter(Boolean);
    return make(
      "li",
      {},
      make("p", { textContent: one.name }),
      make("p", { className: "facts" }, ...words.map((textContent) => make("span", { textContent }))),
      make("div", { className: "row" }, button("Revoke", (event) => revoke(one, event.target), { className: "grave", attributes: { "aria-description": one.name } })),
    );
  }

  async function add(made) {
    const fields = { role: "service", ...changed(made) };
    try {
      const { key } = await ask("POST", "/keys", { body: fields });
      const shown = make("input", { value: key, readOnly: true, attributes: { "aria-label": "The new key" } });
      once.replaceChildren(says("Copy it now: it is not shown again."), shown, button("Done", () => once.replaceChildren()));
      made.reset();
      shown.select();
    } catch (error) {
      toast(error.message);
    }
    await read();
  }

  async function revoke(one, pressed) {
    if (pressed.textContent === "Revoke") {
      pressed.textContent = "Revoke for good";
      return;
    }
    try {
      await ask("DELETE", `/keys/${one.key_id}`);
      toast("Revoked: it is refused from now on.");
    } catch (error) {
      toast(error.message);
    }
    await read();
  }
}
