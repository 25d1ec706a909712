"""A memory as Mem0's clients know it: a view on a fact, or on words that nobody has learned from yet."""

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from echoic.api.mem0.entities import entity_of
from echoic.memory.embedding.spaces import Vector, asked_of_each
from echoic.memory.review.facts import version_of
from echoic.memory.service import Memory
from echoic.memory.store.facts import about_from
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown

MOST_WORDS = 200
"""Turns of a person that wait to be learned and are searched meanwhile; the last ones."""
MANY = 500


@dataclass(frozen=True, slots=True)
class Memo:
    """One memory of one person."""

    memory_id: UUID
    ref: int
    person: str
    text: str
    """Of a fact with whom it is about, where its words do not say so."""
    agent_id: str | None
    """None: no agent was named for it."""
    kept_by: str
    """The agent that the house keeps it for, named or not."""
    labels: Mapping[str, Any]
    topic: str
    created_at: datetime
    updated_at: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    expiration_date: str | None = None
    version: str = ""
    """Of a fact; words that were said cannot be edited and have none."""
    likeness: float = 0.0
    """To the question: a cosine; 0 where there is no vector."""

    @property
    def is_fact(self) -> bool:
        return bool(self.version)

    @property
    def metadata(self) -> dict[str, Any] | None:
        return self.labels.get("metadata")

    def entity(self, kind: str) -> str | None:
        """The name of its user, agent, app or run."""
        if kind == "agent" and self.agent_id:
            return self.agent_id
        whose, name = entity_of(self.person)
        return name if whose == kind else self.labels.get(f"{kind}_id")

    def is_live(self, at: datetime) -> bool:
        """Whether it is true at that time."""
        begun = self.valid_from is None or self.valid_from <= at
        return begun and (self.valid_until is None or self.valid_until > at)

    def answer(self, score: float | None = None) -> dict[str, Any]:
        """As JSON; with the score that a search gave it."""
        found = {
            "id": str(self.memory_id),
            "memory": self.text,
            "user_id": self.entity("user"),
            "agent_id": self.entity("agent"),
            "app_id": self.entity("app"),
            "run_id": self.entity("run"),
            "metadata": self.metadata,
            "categories": [self.topic] if self.topic else None,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "expiration_date": self.expiration_date,
            "structured_attributes": None,
        }
        return found if score is None else found | {"score": round(score, 4)}


async def facts_of(memory: Memory, person: str, vector: Vector | None = None) -> list[Memo]:
    """All facts of one person, ended ones too, with their likeness to a question.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    args = person, *(asked_of_each(vector) if vector is not None else (None, None))
    rows = await memory.db.run(lambda connection: connection.fetch(query("facts_near"), *args))
    agent_id = memory.settings.agent_id
    if len(rows) > MANY:  # beside the event loop: a thousand take 10 ms
        return await asyncio.to_thread(lambda: [_of_fact(row, person, agent_id) for row in rows])
    return [_of_fact(row, person, agent_id) for row in rows]


async def words_of(memory: Memory, person: str, vector: Vector | None = None) -> list[Memo]:
    """What one person said last and nobody has learned from yet, word for word."""
    args = person, *(asked_of_each(vector) if vector is not None else (None, None)), MOST_WORDS
    rows = await memory.db.run(lambda connection: connection.fetch(query("words_near"), *args))
    return [_of_turn(row, person, memory.settings.agent_id) for row in rows]


async def memo_of(memory: Memory, person: str, memory_id: UUID) -> Memo | None:
    """One memory; None: it is gone, or these words are learned, and what was learned is found instead."""
    row = await memory.db.run(lambda connection: connection.fetchrow(query("fact_row"), person, memory_id))
    if row is not None:
        return _of_fact(row, person, memory.settings.agent_id)
    waiting = await words_of(memory, person)
    return next((one for one in waiting if one.memory_id == memory_id), None)


def _of_fact(row: asyncpg.Record, person: str, default_agent: str) -> Memo:
    data = json.loads(row["payload"])
    kept_by = data.get("kept_by") or default_agent
    created = _moment(data.get("said_at") or data.get("created_at")) or datetime.now(UTC)
    is_agents = kept_by != default_agent or data.get("scope") == "agent"
    return Memo(
        memory_id=row["id"],
        ref=row["ref"],
        person=person,
        text=shown(data.get("data", ""), about_from(data.get("about"))),
        agent_id=kept_by if is_agents else None,
        kept_by=kept_by,
        labels=data.get("labels") or {},
        topic=data.get("topic", ""),
        created_at=created,
        updated_at=_moment(data.get("updated_at")) or created,
        valid_from=_moment(data.get("valid_from")),
        valid_until=_moment(data.get("valid_until")),
        expiration_date=data.get("expiration_date"),
        version=version_of(row["payload"]),
        likeness=_likeness(row),
    )


def _of_turn(row: asyncpg.Record, person: str, default_agent: str) -> Memo:
    agent_id = row["agent_id"]
    labels = json.loads(row["labels"]) if row["labels"] else {}
    return Memo(
        memory_id=row["turn_id"],
        ref=row["ref"],
        person=person,
        text=row["text"],
        agent_id=agent_id if agent_id != default_agent else None,
        kept_by=agent_id,
        labels=labels,
        topic="",
        created_at=row["said_at"],
        updated_at=row["said_at"],
        valid_until=_moment(labels.get("valid_until")),
        likeness=_likeness(row),
    )


def _likeness(row: asyncpg.Record) -> float:
    found = row.get("likeness")
    return 0.0 if found is None or math.isnan(found) else float(found)


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
