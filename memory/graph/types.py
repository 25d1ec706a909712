"""What a graph holds, as it travels between modules: entities, and relations with the time in which they were
true.

Relations are Graphiti's `RELATES_TO` edges. Beside Graphiti's own properties an edge may carry `turn_ids`
(what it was learned from), `fact_id` and `importance` (0 to 1); where they are missing, nothing is known
about that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from echoic.memory.types import CALLER, GRAPH_TIER, About, Item

CALLER_NAMES = ("Caller", "User")
"""What the node of the caller is called, by us and by models; everything is a neighbour of it."""
LONG_AGO = datetime.fromtimestamp(0, UTC)
"""When something was said that does not say when."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One statement about how two things belong together.

    `valid_until` in the past means closed: history, not live.
    """

    edge_id: UUID
    text: str
    """The statement as a sentence."""
    name: str
    """What kind of relation: `LIVES_IN`."""
    source: str
    """Name of the entity it goes out from."""
    target: str
    said_at: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    turn_ids: tuple[UUID, ...] = ()
    score: float = 0.0
    """Higher is better; comparable only within one answer."""

    def is_live(self, at: datetime) -> bool:
        """Had it not ended by then?"""
        return self.valid_until is None or self.valid_until > at

    def held_at(self, at: datetime) -> bool:
        """Was it true then, as far as is known? One without a beginning counts from when it was said."""
        return (self.valid_from or self.said_at) <= at and self.is_live(at)


@dataclass(frozen=True, slots=True)
class Entity:
    """A person, place or thing that the graph knows by name."""

    entity_id: UUID
    name: str
    labels: tuple[str, ...] = ()
    """`Person`, `Pet`…; without the `Entity` that all have."""
    summary: str = ""


def chosen(relations: Iterable[Relation], at: datetime | None, live_only: bool) -> list[Relation]:
    """Those that were true `at` a time; else the live ones, or all."""
    if at is not None:
        return [relation for relation in relations if relation.held_at(at)]
    now = datetime.now(UTC)
    return [relation for relation in relations if not live_only or relation.is_live(now)]


def item_of(relation: Relation) -> Item:
    """A relation as what a recall finds."""
    return Item(
        kind="relation",
        id=relation.edge_id,
        text=relation.text,
        said_at=relation.said_at,
        score=relation.score,
        valid_from=relation.valid_from,
        valid_until=relation.valid_until,
        turn_ids=relation.turn_ids,
        tier=GRAPH_TIER,
        about=about_of(relation),
    )


def about_of(relation: Relation) -> About | None:
    """Whose a relation is: that of the entity it goes out from."""
    return CALLER if relation.source in CALLER_NAMES else About(relation.source) if relation.source else None


def relation_as_json(relation: Relation) -> dict[str, Any]:
    """A relation as the digest keeps it and `echoic graph --json` prints it."""
    return {
        "id": str(relation.edge_id),
        "text": relation.text,
        "name": relation.name,
        "source": relation.source,
        "target": relation.target,
        "said_at": relation.said_at.isoformat(),
        "valid_from": relation.valid_from and relation.valid_from.isoformat(),
        "valid_until": relation.valid_until and relation.valid_until.isoformat(),
        "turn_ids": [str(turn_id) for turn_id in relation.turn_ids],
    }


def relation_from_json(value: Mapping[str, Any]) -> Relation:
    """The reverse; the score of one that was only kept is 0."""
    return Relation(
        edge_id=UUID(value["id"]),
        text=value["text"],
        name=value["name"],
        source=value["source"],
        target=value["target"],
        said_at=datetime.fromisoformat(value["said_at"]),
        valid_from=time_of(value["valid_from"]),
        valid_until=time_of(value["valid_until"]),
        turn_ids=tuple(UUID(turn_id) for turn_id in value["turn_ids"]),
    )


def graph_as_json(entities: Iterable[Entity], relations: Iterable[Relation]) -> dict[str, Any]:
    """All of a graph, as an export holds it."""
    return {
        "entities": [
            {"id": str(one.entity_id), "name": one.name, "labels": list(one.labels), "summary": one.summary}
            for one in entities
        ],
        "relations": [relation_as_json(relation) for relation in relations],
    }


def relation_of(row: Sequence[Any], turn_ids: Iterable[str]) -> Relation:
    """A relation from what a graph query returns of it: id, fact, name, names of both ends, and when it was
    said, began and ended."""
    edge_id, text, name, source, target, said_at, valid_at, invalid_at = row
    return Relation(
        edge_id=UUID(edge_id),
        text=text or "",
        name=name or "",
        source=source or "",
        target=target or "",
        said_at=time_of(said_at) or LONG_AGO,
        valid_from=time_of(valid_at),
        valid_until=time_of(invalid_at),
        turn_ids=tuple(map(UUID, turn_ids)),
    )


def entity_of(row: Sequence[Any], labels: Iterable[str]) -> Entity:
    """An entity from its id, name and summary."""
    entity_id, name, summary = row
    return Entity(
        UUID(entity_id), name or "", tuple(label for label in labels if label != "Entity"), summary or ""
    )


def time_of(value: object) -> datetime | None:
    """A time as a graph keeps it: ISO text, or milliseconds since 1970.

    None for none, and for one that no calendar of ours reaches.

    A model may well write the year 32637; what has not ended by the year 9999 is live.
    """
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, str) and value:
            when = datetime.fromisoformat(value)
            return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
