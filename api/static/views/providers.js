// Providers at hand: added, edited, used, turned off, deleted.

import { button, make, toast } from "../dom.js";
import { ask } from "../http.js";
import { CHANGED, changed, field, form, panel, says, send } from "./forms.js";

export function providers(signal, used) {
  const list = make("ul", { className: "cards" });
  const place = make("div");
  let kinds = [];
  const add = button("Add a provider", () => choose(), { disabled: true }); // until the sorts are known
  const element = panel("Providers", says("Models and graphs at hand; of each kind one is used."), list, add, place);
  return { element, read };

  async function read() {
    try {
      const [known, found] = await Promise.all([ask("GET", "/providers/kinds"), ask("GET", "/providers")]);
      if (signal.aborted) return;
      kinds = known.items;
      add.disabled = false;
      list.replaceChildren(...(found.items.length ? found.items.map(card) : [make("li", { className: "hint", textContent: "None yet." })]));
    } catch (error) {
      if (!signal.aborted) list.replaceChildren(make("li", { className: "hint", textContent: error.message }));
    }
  }

  function card(one) {
    const described = { attributes: { "aria-description": one.name } };
    const values = Object.entries(one.fields).map(([key, value]) => `${key} ${value}`);
    const secrets = one.secrets_set.map((key) => `${key} is set`);
    const words = [one.kind, one.type, ...values, ...secrets, one.active ? "in use" : "not in use"];
    return make(
      "li",
      {},
      make("p", { textContent: one.name }),
      make("p", { className: "facts" }, ...words.map((textContent) => make("span", { textContent }))),
      make(
        "div",
        { className: "row" },
        one.active ? button("Turn off", () => change(one, { active: false }), described) : button("Use", () => change(one, { active: true }), described),
        button("Edit", () => write(kindOf(one), one), described),
        one.active ? null : button("Delete", () => remove(one), { ...described, className: "grave" }),
      ),
    );
  }

  function kindOf(one) {
    return kinds.find((each) => each.kind === one.kind && each.type === one.type);
  }

  function choose() {
    const options = kinds.map((one, at) => [String(at), `${one.kind}: ${one.type}. ${one.about}`]);
    const which = field({ name: "sort", label: "Which sort", type: "select", value: "0", options });
    const select = which.querySelector("select");
    const asks = make("div");
    const show = () => asks.replaceChildren(fieldsOf(kinds[Number(select.value)]));
    select.addEventListener("change", show);
    show();
    place.replaceChildren(make("div", { className: "edit" }, which, asks));
    select.focus();
  }

  function write(kind, one) {
    place.replaceChildren(fieldsOf(kind, one));
    place.querySelector("input").focus();
  }

  function fieldsOf(kind, one) {
    const fields = kind.fields.map((each) => field({
      name: each.name,
      label: each.name.replace("_", " "),
      type: each.secret ? "password" : each.is_number ? "number" : "text",
      value: one?.fields[each.name],
      hint: each.secret && one?.secrets_set.includes(each.name) ? `${each.about} There is one; it is not shown.` : each.about,
      placeholder: each.example || undefined,
      maxlength: 500,
      required: each.required && !(each.secret && one) ? "" : undefined,
      autocomplete: each.secret ? "new-password" : "off",
    }));
    const called = field({ name: "provider-name", label: "Name", value: one?.name, maxlength: 100, required: "" });
    const row = make("div", { className: "row" }, send(one ? "Save" : "Add"), button("Cancel", () => place.replaceChildren()));
    return form(one ? `Edit ${one.name}` : "New provider", [called, ...fields, row], (made) => save(made, kind, one));
  }

  async function save(made, kind, one) {
    const { "provider-name": called, ...fields } = changed(made);
    if (one) {
      const edit = { ...(called ? { name: called } : {}), ...(Object.keys(fields).length ? { fields } : {}) };
      return Object.keys(edit).length ? change(one, edit) : toast("Nothing was changed.");
    }
    await attempt(() => ask("POST", "/providers", { body: { kind: kind.kind, type: kind.type, name: called ?? "", fields } }), "Added.");
  }

  function remove(one) {
    return attempt(() => ask("DELETE", `/providers/${one.provider_id}`), "Deleted.");
  }

  async function change(one, edit) {
    await attempt(async () => {
      const now = await ask("PATCH", `/providers/${one.provider_id}`, { body: edit, match: one.version });
      if (now.active && now.vectors?.waits) toast(now.vectors.sentence);
    }, "Saved.");
    used();
  }

  async function attempt(work, said) {
    try {
      await work();
      place.replaceChildren();
      toast(said);
    } catch (error) {
      toast(error.status === 412 ? CHANGED : error.message);
      if (error.status === 412) place.replaceChildren();
    }
    await read();
  }
}
