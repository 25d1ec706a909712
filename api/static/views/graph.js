// Who and what belongs to one person, as a picture and as a list, on any day.

import { button, day, lastDay, later, make } from "../dom.js";
import { ask, userPath } from "../http.js";
import { drawing } from "./picture.js";

const DAY_MS = 86_400_000;

export function mount(root, { userId }) {
  const gone = new AbortController();
  const slider = make("input", { type: "range", min: 0, max: 0, step: 1 });
  const shownDay = make("output", { textContent: "today" });
  const canvas = make("div", { className: "picture", attributes: { role: "img", "aria-label": "Picture of the relations that are listed below" } });
  const legend = make("p", { className: "legend" });
  const list = make("ul", { className: "relations" });
  const empty = make("p", { className: "hint", attributes: { role: "status" } });
  const seen = make("div", { className: "graph", hidden: true }, make("div", {}, canvas, legend), list);
  const picture = drawing(canvas, legend, gone.signal);
  const zoom = make("div", { className: "row" },
    button("Closer", () => picture.zoom(1.25)), button("Further", () => picture.zoom(0.8)), button("All of it", () => picture.fit()));
  const when = make("div", { className: "panel filters", hidden: true },
    make("label", {}, make("span", {}, "As it was: ", shownDay), slider));
  seen.firstChild.append(zoom);
  root.append(make("h2", { textContent: `Graph of ${userId}` }), when, empty, seen);

  let first = Date.now();
  let asked = 0;
  let failed = false;
  const last = () => Number(slider.value) === Number(slider.max);
  const time = () => new Date(Math.min(first + (Number(slider.value) + 1) * DAY_MS - 1, Date.now()));

  function tell() {
    shownDay.textContent = last() ? "today" : day(time());
    slider.setAttribute("aria-valuetext", shownDay.textContent);
  }

  async function show() {
    const mine = ++asked;
    try {
      const { graphs } = await ask("GET", userPath(userId, `/graph${last() ? "" : `?at=${time().toISOString()}`}`));
      if (mine !== asked || gone.signal.aborted) return;
      failed = false;
      draw(graphs);
    } catch (error) {
      if (mine !== asked || gone.signal.aborted) return;
      failed = true;
      seen.hidden = true;
      empty.textContent = error.message;
    }
  }

  function draw(graphs) {
    const edges = graphs.flatMap((graph) => graph.edges);
    seen.hidden = edges.length === 0;
    empty.textContent = edges.length ? "" : last() ? "Nobody and nothing is known to belong to this person yet." : "Nothing was known to be so on that day.";
    list.replaceChildren(...graphs.flatMap(({ agent_id: agent, edges }) => edges.map((edge) => relation(edge, graphs.length > 1 && agent))));
    if (edges.length) picture.show(graphs.flatMap((graph) => graph.nodes), edges);
  }

  function relation(edge, agent) {
    const line = button(edge.text, () => {
      const chosen = line.getAttribute("aria-pressed") !== "true";
      for (const other of list.querySelectorAll("button")) other.setAttribute("aria-pressed", String(chosen && other === line));
      picture.point(chosen ? edge.id : null);
    });
    line.setAttribute("aria-pressed", "false");
    line.append(make("small", { textContent: [words(edge.name), valid(edge), agent && `told ${agent}`].filter(Boolean).join(" · ") }));
    return make("li", {}, line);
  }

  // The slider begins where the first thing that is told of was so, or was said.
  async function begin() {
    await show();
    const counts = await ask("GET", userPath(userId, "/statistics")).catch(() => null);
    if (gone.signal.aborted) return;
    const times = [counts?.first_at, ...picture.begins()].filter(Boolean).map((text) => Date.parse(text));
    first = new Date(Math.min(Date.now(), ...times)).setHours(0, 0, 0, 0);
    slider.max = Math.floor((Date.now() - first) / DAY_MS);
    slider.value = slider.max;
    tell();
    when.hidden = failed || slider.max === "0";
  }

  const again = later(show, 150);
  slider.addEventListener("input", () => {
    tell();
    again();
  });
  begin();
  return () => gone.abort();
}

const words = (name) => name.toLowerCase().replaceAll("_", " ");

function valid({ valid_from: from, valid_until: until }) {
  return [from && `since ${day(from)}`, until && `until ${lastDay(until)}`].filter(Boolean).join(", ");
}
