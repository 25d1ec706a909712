// The graph as a picture: nodes coloured by kind, edges by name. What it shows stands beside it as a list.

import { make } from "../dom.js";

const LIBRARY = "/static/vendor/cytoscape.esm.min.mjs"; // half a megabyte: only for who looks at a graph
const MARGIN = 40;
const KINDS = 5; // as many colours as page.css has
const STYLE_ID = "__________cytoscape_stylesheet";

export function drawing(canvas, legend, signal) {
  const kinds = new Map(); // a kind keeps its colour while the days go by
  let graph = null;
  let known = [];

  async function show(nodes, edges) {
    known = edges;
    const { default: cytoscape } = await import(LIBRARY);
    if (signal.aborted || known !== edges) return; // another day was asked for meanwhile
    const drawn = edges.filter(({ source, target }) => source && target);
    const ends = new Set(drawn.flatMap(({ source, target }) => [source, target]));
    const there = nodes.filter(({ id }) => ends.has(id));
    for (const { labels } of there) if (!kinds.has(kind(labels))) kinds.set(kind(labels), kinds.size % KINDS);
    explain();
    withoutStyleOfItsOwn();
    graph?.destroy();
    graph = cytoscape({
      container: canvas,
      elements: [
        ...there.map(({ id, name, labels }) => ({ data: { id, name, kind: kinds.get(kind(labels)) } })),
        ...drawn.map(({ id, source, target, name }) => ({ data: { id, source, target, name: name.toLowerCase().replaceAll("_", " ") } })),
      ],
      layout: { name: "cose", animate: false, padding: MARGIN, nodeDimensionsIncludeLabels: true, idealEdgeLength: () => 130 },
      userZoomingEnabled: false, // the wheel belongs to the page; buttons do it
      maxZoom: 2,
      style: style(canvas, legend),
    });
  }

  function explain() {
    legend.replaceChildren(...[...kinds].map(([name, place]) => make("span", { className: `kind-${place}`, textContent: name || "other" })));
  }

  function restyle() {
    graph?.style(style(canvas, legend));
  }

  const size = new ResizeObserver(() => graph?.resize().fit(undefined, MARGIN));
  size.observe(canvas);
  const theme = new MutationObserver(restyle);
  theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle, { signal });
  signal.addEventListener("abort", () => {
    theme.disconnect();
    size.disconnect();
    graph?.destroy();
  });

  return {
    show,
    begins: () => known.map((edge) => edge.valid_from),
    fit: () => graph?.fit(undefined, MARGIN),
    zoom: (by) => graph?.zoom({ level: graph.zoom() * by, renderedPosition: { x: canvas.clientWidth / 2, y: canvas.clientHeight / 2 } }),
    point(id) {
      graph?.elements().removeClass("chosen");
      if (id !== null) graph?.getElementById(id).union(graph.getElementById(id).connectedNodes()).addClass("chosen");
    },
  };
}

const kind = (labels) => labels[0] ?? "";

// The library would put a style element into the page, which the page's policy refuses; page.css has its one rule.
function withoutStyleOfItsOwn() {
  if (!document.getElementById(STYLE_ID)) document.head.append(make("meta", { id: STYLE_ID }));
}

// Colours come from page.css, so that both themes are one visual language.
function style(canvas, legend) {
  const { color: ink, outlineColor: line, backgroundColor: panel, fontFamily: font } = getComputedStyle(canvas);
  const text = { label: "data(name)", color: ink, "font-family": font, "text-outline-color": panel, "text-outline-width": 3, "text-wrap": "ellipsis", "text-max-width": 140 };
  const colours = [...legend.children].map((shown) => ({
    selector: `node[kind = ${shown.className.at(-1)}]`,
    style: { "background-color": getComputedStyle(shown).borderLeftColor },
  }));
  const chosen = getComputedStyle(legend).outlineColor;
  return [
    { selector: "node", style: { ...text, width: 34, height: 34, "font-size": 15, "text-valign": "bottom", "text-margin-y": 6 } },
    { selector: "edge", style: { ...text, "font-size": 12, width: 2, "line-color": line, "target-arrow-color": line, "target-arrow-shape": "triangle", "curve-style": "bezier" } },
    ...colours,
    { selector: "node.chosen", style: { "border-width": 4, "border-color": chosen } },
    { selector: "edge.chosen", style: { width: 5, "line-color": chosen, "target-arrow-color": chosen } },
  ];
}
