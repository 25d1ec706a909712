"""Facts as nodes and edges of a graph, without a model: the same facts always give the same graph.

What is entered is the difference between this and what stands in the graph already, so a replay changes
nothing, a fact that ended is entered again with its end, and one that is gone goes.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

from echoic.memory.text.words import normalise
from echoic.memory.types import Fact
from echoic.workers.graph.names import Named, full_names, middle_names, named_in, names_of_roles

NAMESPACE = UUID("8f6f1f0e-5a52-5d3e-9c58-3f1f2a1f7e55")
CALLER = "Caller"
"""Name of the node that stands for the caller."""
DEFAULT_NAME = "RELATES_TO"


@dataclass(frozen=True, slots=True)
class Node:
    """A person or thing. Its id comes from its name: one graph knows one Ana."""

    node_id: UUID
    name: str
    label: str
    created_at: datetime
    """When the oldest of its facts was said."""

    def version(self, embedder: str) -> str:
        return _hash([self.name, self.label, self.created_at, embedder])


@dataclass(frozen=True, slots=True)
class Edge:
    """One fact between two nodes. A fact that names three things is more than one edge."""

    edge_id: UUID
    source: UUID
    target: UUID
    name: str
    fact: Fact

    def version(self, embedder: str, now: datetime) -> str:
        fact = self.fact
        said = [
            fact.text,
            fact.said_at,
            fact.valid_from,
            fact.valid_until,
            fact.importance,
            [str(one) for one in fact.turn_ids],
        ]
        return _hash([str(self.source), str(self.target), self.name, *said, is_over(fact, now), embedder])


@dataclass(frozen=True, slots=True)
class Triplets:
    """A whole graph of facts."""

    nodes: Mapping[UUID, Node] = field(default_factory=dict)
    edges: Mapping[UUID, Edge] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a graph lacks, and what it holds too much."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    stale_edges: frozenset[UUID]
    stale_nodes: frozenset[UUID]

    def __bool__(self) -> bool:
        return bool(self.nodes or self.edges or self.stale_edges or self.stale_nodes)


def triplets_of(group: str, facts: Sequence[Fact]) -> Triplets:
    """All facts of one graph, as nodes and edges."""
    known = middle_names(fact.text for fact in facts)
    named = [named_in(fact.text, known) for fact in facts]
    whole = full_names(named)
    names = {role: whole.get(normalise(name), name) for role, name in names_of_roles(named).items()}
    called = {normalise(name): role for role, name in names.items()}
    roles = {
        key: one.role
        for found in named
        for one in found
        if normalise(one.role) == called.get(key := normalise(whole.get(one.key, one.name)))
    }
    names |= whole
    nodes: dict[UUID, Node] = {}
    edges: dict[UUID, Edge] = {}
    for fact, found in zip(facts, named, strict=True):
        ends = [_node(group, one, names, roles, fact.said_at) for one in found] or [_heading(group, fact)]
        subject = ends[0] if found and found[0].first and len(ends) > 1 else _caller(group, fact.said_at)
        for node in (subject, *ends):
            nodes[node.node_id] = _merged(nodes.get(node.node_id), node)
        for target in ends:
            if target.node_id != subject.node_id:
                edge = _edge(group, fact, subject, target)
                edges.setdefault(edge.edge_id, edge)
    return Triplets(nodes, edges)


def change(
    wanted: Triplets,
    edges: Mapping[UUID, str],
    nodes: Mapping[UUID, str],
    embedder: str,
    now: datetime,
    most: int,
    without: Collection[UUID] = (),
) -> Change:
    """What has to be done for a graph to hold what is wanted: at most so many edges, oldest facts first.

    Args:
        edges: versions of the edges that stand there. nodes: of the nodes.
        embedder: which vectors; another model's are entered anew.
        without: facts to leave for later.
    """
    behind = [
        edge
        for key, edge in wanted.edges.items()
        if edge.fact.fact_id not in without and edges.get(key) != edge.version(embedder, now)
    ][:most]
    needed = {end for edge in behind for end in (edge.source, edge.target)}
    renewed = {key for key in nodes if key in wanted.nodes}
    lacking = [
        wanted.nodes[key]
        for key in wanted.nodes
        if (key in needed or key in renewed) and nodes.get(key) != wanted.nodes[key].version(embedder)
    ]
    return Change(
        tuple(lacking),
        tuple(behind),
        frozenset(edges.keys() - wanted.edges.keys()),
        frozenset(nodes.keys() - wanted.nodes.keys()),
    )


def is_over(fact: Fact, now: datetime) -> bool:
    """Has it ended, and not just a date on which it will?"""
    return fact.valid_until is not None and fact.valid_until <= now


def node_id(group: str, key: str) -> UUID:
    """Id of the node of that name."""
    return uuid5(NAMESPACE, f"{group}:node:{key}")


def _caller(group: str, at: datetime) -> Node:
    return Node(node_id(group, "\0caller"), CALLER, "Person", at)


def _heading(group: str, fact: Fact) -> Node:
    """A fact that names nothing hangs between the caller and what it is about: "job"."""
    name = (fact.sub_topic or fact.topic or "life").replace("_", " ").strip().lower()
    return Node(node_id(group, f"\0topic:{name}"), name, "Topic", fact.said_at)


def _node(group: str, one: Named, names: Mapping[str, str], roles: Mapping[str, str], at: datetime) -> Node:
    """Somebody known by a role has the node of their name, found by the role too: "sister Ana"."""
    name = names.get(one.key, one.name)
    role = roles.get(normalise(name), "")
    shown = name if not role or normalise(role) in normalise(name).split() else f"{role} {name}"
    return Node(node_id(group, normalise(name)), shown, one.label, at)


def _merged(before: Node | None, node: Node) -> Node:
    if before is None:
        return node
    return Node(
        node.node_id, before.name, before.label or node.label, min(before.created_at, node.created_at)
    )


def _edge(group: str, fact: Fact, source: Node, target: Node) -> Edge:
    name = re.sub(r"[^A-Z0-9]+", "_", f"{fact.topic} {fact.sub_topic}".upper()).strip("_") or DEFAULT_NAME
    return Edge(
        uuid5(NAMESPACE, f"{group}:edge:{fact.fact_id}:{target.node_id}"),
        source.node_id,
        target.node_id,
        name,
        fact,
    )


def fact_ids(edges: Iterable[Edge]) -> list[UUID]:
    """The facts behind edges, each once."""
    return list(dict.fromkeys(edge.fact.fact_id for edge in edges))


def _hash(parts: Sequence[object]) -> str:
    text = json.dumps(
        [part.isoformat() if isinstance(part, datetime) else part for part in parts], ensure_ascii=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
