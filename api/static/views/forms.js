// Fields of a form from a description, and what was changed in them.

import { make } from "../dom.js";

// One field: `type` is text, number, password, checkbox or select; a hint stands below and is read with it.
export function field({ name, label, type = "text", value, hint, options, ...more }) {
  const id = `field-${crypto.randomUUID()}`;
  const input = type === "select"
    ? make("select", { id, name }, ...options.map(([key, text]) => make("option", { value: key, textContent: text })))
    : make("input", { id, name, type, autocomplete: "off" });
  if (type === "checkbox") input.checked = value;
  else input.value = value ?? "";
  for (const [key, given] of Object.entries(more)) if (given !== undefined) input.setAttribute(key, given);
  input.dataset.before = type === "checkbox" ? String(value) : input.value;
  const below = hint ? make("small", { id: `${id}-hint`, className: "hint", textContent: hint }) : null;
  if (below) input.setAttribute("aria-describedby", below.id);
  const words = make("span", { textContent: label });
  const labelled = type === "checkbox" ? make("label", { className: "row" }, input, words) : make("label", {}, words, input);
  return make("div", {}, labelled, below); // the hint is no part of the name
}

const now = (input) => (input.type === "checkbox" ? String(input.checked) : input.value);

// What differs from what was read; an emptied field is null, a password that was left empty is not named.
export function changed(form) {
  const found = {};
  for (const input of form.querySelectorAll("input[name], select[name]")) {
    if (now(input) === input.dataset.before) continue;
    if (input.type === "checkbox") found[input.name] = input.checked;
    else if (input.value.trim() === "") found[input.name] = null;
    else found[input.name] = input.type === "number" ? Number(input.value) : input.value.trim();
  }
  return found;
}

// A form whose submit is awaited; while it runs, it cannot be sent again.
export function form(label, children, submit) {
  const made = make("form", { className: "edit", attributes: { "aria-label": label } }, ...children);
  made.noValidate = false;
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sends = made.querySelector("button:not([type='button'])");
    sends.disabled = true;
    try {
      await submit(made);
    } finally {
      sends.disabled = false;
    }
  });
  return made;
}

export const send = (text) => make("button", { className: "first", textContent: text });

export function panel(title, ...children) {
  const id = `title-${crypto.randomUUID()}`;
  const heading = make("h3", { id, textContent: title });
  return make("section", { className: "panel", attributes: { "aria-labelledby": id } }, heading, ...children);
}

export const says = (textContent) => make("p", { className: "hint", textContent });

const UNITS = ["bytes", "kB", "MB", "GB"];

export function size(bytes) {
  const step = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step > 1 ? 1 : 0)} ${UNITS[step]}`;
}

// What was read is no longer so: said in words, and read again.
export const CHANGED = "Somebody else changed this meanwhile. You now see it as it is.";
