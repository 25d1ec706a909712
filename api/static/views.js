// Views that are modules of their own: loaded when they are first looked at, mounted into one place, unmounted after.

import { make, one, toast } from "./dom.js";

// Each exports `mount(root, { userId, me, navigate })`, which returns what unmounts it.
// `needs`: "user" a chosen person, "operate" that permission, "anyone" nothing.
export const VIEWS = [
  { name: "graph", title: "Graph", needs: "user" },
  { name: "data", title: "Settings and data", needs: "user" },
  { name: "settings", title: "System", needs: "operate" },
];

let unmount = () => {};
let seen = "";

const place = () => one("view") ?? one("main").appendChild(make("section", { id: "view" }));

// Puts their links into the navigation.
export function offer(nav) {
  for (const { name, title, needs } of VIEWS) {
    nav.append(make("a", { href: `#${name}`, textContent: title, hidden: needs === "operate", attributes: { "data-view": name } }));
  }
}

const isFor = ({ needs }, { may }) => ["user", "anyone"].includes(needs) || may.includes(needs);

// Shows the view of this name, if it is one of these and this key may; one that is seen already stays as it is.
export async function see(name, context) {
  for (const view of VIEWS) {
    const link = one("views").querySelector(`[data-view=${view.name}]`);
    if (link) link.hidden = !isFor(view, context.me);
  }
  const view = VIEWS.find((each) => each.name === name);
  const root = place();
  root.hidden = !view;
  root.classList.toggle("wide", view?.needs !== "user");
  const wanted = view ? `${name} ${view.needs === "user" ? context.userId : ""}` : "";
  if (wanted === seen) return;
  unmount();
  [unmount, seen] = [() => {}, wanted];
  root.replaceChildren();
  if (!view) return;
  if (!isFor(view, context.me)) return tell(root, "This key may not see this.");
  if (view.needs === "user" && context.userId === null) return tell(root, "Choose somebody.");
  try {
    const module = await import(`./views/${name}.js`);
    if (seen === wanted) unmount = module.mount(root, context);
  } catch {
    seen = "";
    toast("This view cannot be loaded: is the API there?");
  }
}

const tell = (root, text) => root.replaceChildren(make("h2", { textContent: text }));
