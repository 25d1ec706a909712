// The page: lets in by key, finds a person, and shows what is remembered of them.

import { button, later, make, one, toast } from "./dom.js";
import { ask, key } from "./http.js";
import { open, wire } from "./memories.js";

const THEME = "echoic-theme";
let next = null;

function useTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

function toggleTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  localStorage.setItem(THEME, dark ? "light" : "dark");
  useTheme(localStorage.getItem(THEME));
}

async function enter() {
  let me;
  try {
    me = await ask("GET", "/me");
  } catch (error) {
    if (key.get()) toast(error.message);
    key.forget();
    one("door").hidden = false;
    one("key").focus();
    return;
  }
  one("door").hidden = true;
  one("leave").hidden = !key.get();
  one("who").textContent = key.get() ? `${me.name} (${me.role})` : "Development: no key is needed";
  if (me.user_id !== null) {
    await show(me.user_id);
  } else {
    one("people").hidden = false;
    await listPeople();
  }
}

async function listPeople(cursor) {
  const query = new URLSearchParams({ order: one("people-order").value, limit: 30 });
  if (one("people-q").value.trim()) query.set("q", one("people-q").value.trim());
  if (cursor) query.set("cursor", cursor);
  try {
    const page = await ask("GET", `/users?${query}`);
    const lines = page.items.map(person);
    if (!cursor) one("people-list").replaceChildren();
    one("people-list").append(...lines);
    if (!cursor && !lines.length) one("people-list").append(make("li", { className: "hint", textContent: "Nobody is remembered here." }));
    next = page.next;
    one("people-more").hidden = next === null;
  } catch (error) {
    toast(error.message);
  }
}

function person({ user_id: userId, facts, turns }) {
  const line = button(userId, () => show(userId));
  line.dataset.user = userId;
  line.append(make("small", { textContent: `${facts} memories, ${turns} turns` }));
  return make("li", {}, line);
}

async function show(userId) {
  for (const each of document.querySelectorAll("[data-user]")) {
    each.setAttribute("aria-current", String(each.dataset.user === userId));
  }
  try {
    await open(userId);
  } catch (error) {
    toast(error.message);
  }
}

useTheme(localStorage.getItem(THEME));
one("theme").addEventListener("click", toggleTheme);
one("leave").addEventListener("click", () => {
  key.forget();
  location.reload();
});
one("door").addEventListener("submit", (event) => {
  event.preventDefault();
  key.set(one("key").value.trim());
  one("key").value = "";
  enter();
});
one("people").querySelector("form").addEventListener("submit", (event) => event.preventDefault());
one("people-q").addEventListener("input", later(() => listPeople()));
one("people-order").addEventListener("change", () => listPeople());
one("people-more").addEventListener("click", () => listPeople(next));
wire();
enter();
