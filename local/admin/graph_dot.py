"""A graph as a picture: text in the DOT language, for `dot -Tsvg`. Valid whatever was said."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from echoic.local.admin.graph_view import lasted, printable
from echoic.memory.review.graph import UserGraph

LABEL_CHARS = 60
TIP_CHARS = 1_000  # older versions of Graphviz refuse a string of 16,384


def dot_lines(graphs: Sequence[UserGraph], timezone: str) -> Iterator[str]:
    """One picture of all graphs, each in a frame of its own that names the agent."""
    zone = ZoneInfo(timezone)
    yield "digraph {"
    yield '  graph [charset="UTF-8", rankdir="LR"];'
    yield '  node [shape="box", style="rounded"];'
    for number, graph in enumerate(graphs):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={quoted(graph.agent_id)};"
        yield from (f"    {line}" for line in _graph(graph, f"g{number}_", zone))
        yield "  }"
    yield "}"


def quoted(*lines: str, most: int = LABEL_CHARS) -> str:
    """Text as a DOT string that is shown as it is: no escapes of Graphviz's own (`\\N`), no HTML entities,
    each argument a line."""
    return '"' + r"\n".join(_escaped(_cut(printable(line), most)) for line in lines if line) + '"'


def _graph(graph: UserGraph, prefix: str, zone: ZoneInfo) -> Iterator[str]:
    """Nodes have numbers for names: a name that somebody said may be anything."""
    named = {entity.name: entity for entity in graph.entities}
    ends = [name for relation in graph.relations for name in (relation.source, relation.target)]
    nodes = {name: f"{prefix}{number}" for number, name in enumerate(dict.fromkeys([*named, *ends]))}
    for name, node in nodes.items():
        kinds, about = (", ".join(named[name].labels), named[name].summary) if name in named else ("", "")
        yield f"{node} [label={quoted(name, kinds)}, tooltip={quoted(about or name, most=TIP_CHARS)}];"
    for relation in graph.relations:
        label, tip = quoted(relation.name, lasted(relation, zone)), quoted(relation.text, most=TIP_CHARS)
        yield f"{nodes[relation.source]} -> {nodes[relation.target]} [label={label}, tooltip={tip}];"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("&", "&amp;")
