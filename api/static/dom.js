// Elements from words: text is always text, so nobody's memory can be markup.

export const one = (id) => document.getElementById(id);

export function make(tag, { attributes = {}, ...fields } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), fields);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function button(text, act, fields = {}) {
  const made = make("button", { type: "button", textContent: text, ...fields });
  made.addEventListener("click", act);
  return made;
}

const STAYS_MS = 8000;

// A line at the bottom that a screen reader reads; `undo` puts a button beside it.
export function toast(text, undo) {
  const line = make("div", { className: "toast" }, make("span", { textContent: text }));
  if (undo) {
    line.append(button("Undo", () => {
      line.remove();
      undo();
    }));
  }
  one("toasts").append(line);
  setTimeout(() => line.remove(), STAYS_MS);
}

export function later(act, ms = 200) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, ms);
  };
}

export const day = (text) => new Date(text).toLocaleDateString(undefined, { dateStyle: "medium" });
// Of what ends at this moment: the day that is its last.
export const lastDay = (until) => day(new Date(until) - 1);
