"""A profile: a person's live facts by topic and slot, within limits.

A slot is stored nowhere: it is its facts.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from uuid import NAMESPACE_OID, UUID, uuid5

import asyncpg

from echoic.memory.errors import MemoryFault
from echoic.memory.profile.slots import ProfileSettings
from echoic.memory.recall.prompt import estimate_tokens
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import about_from
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown

MOST_LINES = 5_000
JOINED = "; "


class SlotUnknown(MemoryFault):
    """This person's profile has no such slot."""


@dataclass(frozen=True, slots=True)
class Line:
    """A fact as a profile shows it."""

    fact_id: UUID
    ref: int
    topic: str
    sub_topic: str
    text: str
    """With whom it is about, where its words do not say so."""
    importance: float
    said_at: datetime
    created_at: datetime
    updated_at: datetime
    user_id: str
    """Under which of the person's ids it was said."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What is known under one topic and sub-topic."""

    topic: str
    sub_topic: str
    lines: tuple[Line, ...]
    """The most important first."""
    fit: int = 1
    """How many of them fit its size: one at least."""

    @property
    def content(self) -> str:
        """Those that fit, as one text."""
        return JOINED.join(" ".join(line.text.split()) for line in self.lines[: self.fit])

    @property
    def created_at(self) -> datetime | None:
        return min((line.created_at for line in self.lines), default=None)

    @property
    def updated_at(self) -> datetime | None:
        return max((line.updated_at for line in self.lines), default=None)

    @property
    def version(self) -> str:
        """Changes with every change of it."""
        stand = sorted(f"{line.fact_id} {line.updated_at.isoformat()}" for line in self.lines)
        return hashlib.sha256("\n".join(stand).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Limits:
    """Which part of a profile is wanted; what comes first is kept."""

    only: tuple[str, ...] | None = None
    """Topics, or single slots as `topic/slot`; None: all."""
    prefer: tuple[str, ...] = ()
    """Topics that come first, in this order."""
    slots_a_topic: int | None = None
    of_topic: Mapping[str, int] = field(default_factory=dict)
    """The same for some topics."""
    slots: int | None = None
    tokens: int | None = None
    """At least one slot is kept."""


async def read_slots(
    connection: Connection,
    user_ids: Sequence[str],
    agent_id: str | None,
    profile: ProfileSettings,
    limits: Limits,
    now: datetime,
    most: int = MOST_LINES,
) -> list[Slot]:
    """The profile within its limits: preferred topics, then the most important, then the latest.

    Args:
        user_ids: of the person, without those whose memory was turned off: `Caller.ids`.
        agent_id: what this agent may see; None: any.
        most: facts that are looked at.
    """
    strict = profile.profile_strict_mode
    named = [f"{topic.topic}/{sub.name}" for topic in profile.topics.values() for sub in topic.sub_topics]
    only = None if limits.only is None else [place.partition("/")[0] for place in limits.only]
    args = (user_ids, agent_id, now, only, list(limits.prefer), named if strict else None, most)
    rows = await connection.fetch(query("profile_lines"), *args)
    return chosen(grouped(rows, profile.max_pre_profile_token_size), limits)


def grouped(rows: Iterable[asyncpg.Record], slot_tokens: int) -> list[Slot]:
    """Rows as slots, in the order of each one's first."""
    slots: dict[tuple[str, str], list[Line]] = {}
    for row in rows:
        key = (row["topic"] or "", row["sub_topic"])
        slots.setdefault(key, []).append(_line(row, key))
    return [Slot(*key, tuple(lines), _fit(lines, slot_tokens)) for key, lines in slots.items()]


def _line(row: asyncpg.Record, key: tuple[str, str]) -> Line:
    text = shown(row["text"], about_from(json.loads(row["about"] or "null")))
    return Line(row["id"], row["ref"], *key, text, *list(row)[6:])


def _fit(lines: Sequence[Line], tokens: int) -> int:
    sizes = accumulate(estimate_tokens(line.text) for line in lines)
    return max(1, sum(size <= tokens for size in sizes))


def line_of_slot(slot: Slot) -> str:
    """As a context shows it."""
    return f"- {'::'.join(filter(None, (slot.topic, slot.sub_topic)))}: {slot.content}"


def chosen(slots: Sequence[Slot], limits: Limits) -> list[Slot]:
    """The first slots that fit the limits."""
    kept: list[Slot] = []
    of_topic: dict[str, int] = {}
    spent = 0
    for slot in slots:
        most = limits.of_topic.get(slot.topic, limits.slots_a_topic)
        if limits.slots is not None and len(kept) >= limits.slots:
            break
        if limits.only is not None and not {slot.topic, f"{slot.topic}/{slot.sub_topic}"} & set(limits.only):
            continue
        if most is not None and of_topic.get(slot.topic, 0) >= most:
            continue
        spent += estimate_tokens(line_of_slot(slot))
        if limits.tokens is not None and kept and spent > limits.tokens:
            break
        of_topic[slot.topic] = of_topic.get(slot.topic, 0) + 1
        kept.append(slot)
    return kept


def id_of_slot(user_id: str, topic: str, sub_topic: str) -> UUID:
    """The same for one person and slot, in every process."""
    return uuid5(NAMESPACE_OID, json.dumps(["echoic", user_id, topic, sub_topic]))


def slot_of(slots: Iterable[Slot], user_id: str, slot_id: UUID) -> Slot:
    """The slot of this id.

    Raises:
        SlotUnknown: there is none.
    """
    wanted = (one for one in slots if id_of_slot(user_id, one.topic, one.sub_topic) == slot_id)
    if (found := next(wanted, None)) is None:
        raise SlotUnknown
    return found
