// The page: lets in by key, finds a person, and shows what is remembered of them, or talks with them.

import { button, later, make, one, toast } from "./dom.js";
import { ask, key } from "./http.js";
import { open, wire } from "./memories.js";
import { openCalls, wire as wireCalls } from "./calls.js";
import { show as showOperations } from "./operations.js";
import { meet, wire as wireTalk } from "./talk.js";
import { VIEWS as MODULES, offer, see } from "./views.js";

const THEME = "echoic-theme";
const VIEWS = ["memories", "calls", "talk", "operations", ...MODULES.map(({ name }) => name)];
const OF_ONE = ["memories", "calls", ...MODULES.filter(({ needs }) => needs === "user").map(({ name }) => name)];
let next = null;
let own = null; // of a key for one person
let shown = null;
let called = null; // whose calls are there
let me = null;

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
  one("views").hidden = false;
  one("leave").hidden = !key.get();
  one("who").textContent = key.get() ? `${me.name} (${me.role})` : "No key is needed here";
  own = me.user_id;
  one("views").querySelector("[data-view=operations]").hidden = !me.may.includes("operate");
  look();
  if (own === null) await listPeople();
  else await show(own);
}

// Which view of whom is seen stands in the address, so that it can be linked to, and gone back from.
function address() {
  const [view, person] = location.hash.slice(1).split("/");
  return { view: VIEWS.includes(view) ? view : VIEWS[0], person: person ? decodeURIComponent(person) : null };
}

const hash = (view, person) => (person !== null && own === null && OF_ONE.includes(view) ? `#${view}/${encodeURIComponent(person)}` : `#${view}`);

function look() {
  const { view, person } = address();
  if (own === null && person !== null && person !== shown) return show(person);
  for (const link of one("views").querySelectorAll("a")) {
    link.href = hash(link.dataset.view, shown);
    link.dataset.view === view ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
  one("people").hidden = !OF_ONE.includes(view) || own !== null;
  one("memories").hidden = view !== "memories" || shown === null;
  one("talk").hidden = view !== "talk";
  one("calls").hidden = view !== "calls";
  one("operations").hidden = view !== "operations";
  showOperations(view === "operations" && me.may.includes("operate"));
  see(view, { userId: shown, me, navigate });
  if (view === "calls" && (shown === null || called !== shown)) {
    called = shown;
    openCalls(shown).catch((error) => toast(error.message));
  }
  if (view === "talk") meet(own ?? shown ?? "me", own !== null);
}

function navigate(view) {
  location.hash = hash(view, shown);
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
  const line = button(userId, () => { location.hash = hash(address().view, userId); });
  line.dataset.user = userId;
  line.append(make("small", { textContent: `${facts} memories, ${turns} turns` }));
  return make("li", {}, line);
}

async function show(userId) {
  for (const each of document.querySelectorAll("[data-user]")) {
    each.setAttribute("aria-current", String(each.dataset.user === userId));
  }
  [shown, called] = [userId, null];
  try {
    await open(userId);
  } catch (error) {
    toast(error.message);
  }
  look();
  if (!one("memories").hidden) one("memories").focus();
}

useTheme(localStorage.getItem(THEME));
one("theme").addEventListener("click", toggleTheme);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says what is seen
  one("main").focus();
});
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
wireCalls();
wireTalk();
offer(one("views"));
addEventListener("hashchange", () => one("door").hidden && look());
enter();
