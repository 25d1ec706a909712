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

from echoic.memory.text.language import fold
from echoic.memory.types import CALLER, About, Fact

NAMESPACE = UUID("8f6f1f0e-5a52-5d3e-9c58-3f1f2a1f7e55")
CALLER_NAME = "Caller"
"""Name of the node that stands for the caller."""
DEFAULT_NAME = "RELATES_TO"
MOST_NAME_CHARS = 200
"""Neo4j's index of names takes no longer ones than 8 kB."""


@dataclass(frozen=True, slots=True)
class Node:
    """A person or thing. Its id comes from what the caller calls it: role and name."""

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
    """All facts of one graph, as nodes and edges: each goes out from whose it is, to what it names.

    Somebody is who the caller said they are: boss Tom and son Tom are two. "My sister" alone is sister Ana
    while no other sister has a name, and "Ana" alone while nobody else is called so.
    """
    people = _People(facts)
    nodes: dict[UUID, Node] = {}
    edges: dict[UUID, Edge] = {}
    for fact in facts:
        subject = _person(group, people.who(fact.about or CALLER), fact)
        others = [_person(group, who, fact) for who in people.named_in(fact)]
        for target in others or [_heading(group, fact)]:
            nodes[subject.node_id] = _merged(nodes.get(subject.node_id), subject)
            nodes[target.node_id] = _merged(nodes.get(target.node_id), target)
            edge = _edge(group, fact, subject, target)
            edges.setdefault(edge.edge_id, edge)
    return Triplets(nodes, edges)


class _People:
    """Who is who in the facts of one graph."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._names: dict[str, dict[str, About]] = {}
        self._roles: dict[str, dict[str, About]] = {}
        for fact in facts:
            who = fact.about
            if who is not None and who.role and who.name:
                self._names.setdefault(fold(who.role), {}).setdefault(fold(who.name), who)
                self._roles.setdefault(fold(who.name), {}).setdefault(fold(who.role), who)

    def who(self, about: About) -> About:
        """With role and name, as far as only one has them."""
        if bool(about.role) == bool(about.name):
            return about
        known = self._names.get(fold(about.role)) if about.role else self._roles.get(fold(about.name))
        return next(iter(known.values())) if known is not None and len(known) == 1 else about

    def named_in(self, fact: Fact) -> list[About]:
        """Whom and what a fact names beside whose it is, each once."""
        subject = self.who(fact.about or CALLER)
        found = {_key(who): who for name in fact.names if (who := self.who(About("", name))) != subject}
        own = {fold(subject.name), fold(subject.role), fold(str(subject))}
        return [who for who in found.values() if fold(who.name) not in own]


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
        edges: versions of the edges that stand there; "": it may, and is entered again. nodes: of the nodes.
        embedder: which vectors; another model's are entered anew.
        without: facts to leave for later.
    """
    behind = [
        edge
        for key, edge in wanted.edges.items()
        if edge.fact.fact_id not in without and edges.get(key) != edge.version(embedder, now)
    ][:most]
    needed = {end for edge in behind for end in (edge.source, edge.target)}
    renewed = {key for key, version in nodes.items() if version and key in wanted.nodes}
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


def _person(group: str, who: About, fact: Fact) -> Node:
    """Somebody, or what a fact names without saying what it is."""
    if who == CALLER:
        return Node(node_id(group, "caller"), CALLER_NAME, "Person", fact.said_at)
    label = ("Pet" if fact.topic == "pets" else "Person") if who.role else ""
    return Node(node_id(group, _key(who)), str(who)[:MOST_NAME_CHARS], label, fact.said_at)


def _key(who: About) -> str:
    return f"{fold(who.role)}\0{fold(who.name)}"


def _heading(group: str, fact: Fact) -> Node:
    """A fact that names nothing hangs between the caller and what it is about: "job"."""
    name = fact.topic or "life"
    return Node(node_id(group, f"topic:{name}"), name, "Topic", fact.said_at)


def _merged(before: Node | None, node: Node) -> Node:
    if before is None:
        return node
    label, since = before.label or node.label, min(before.created_at, node.created_at)
    return Node(node.node_id, before.name, label, since)


def _edge(group: str, fact: Fact, source: Node, target: Node) -> Edge:
    name = re.sub(r"[^A-Z0-9]+", "_", fact.topic.upper()).strip("_") or DEFAULT_NAME
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
