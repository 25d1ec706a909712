"""What happened, one event for each batch that was learned: a view on what the batch did to facts.

An event has the id of its batch. Its facts are its gists, under their own ids: what is edited, ended or
forgotten of them is so here too. In the database it is an episode: `events` are those of memory itself.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg

from echoic.memory.embedding.spaces import Vector, asked_of_each
from echoic.memory.errors import MemoryFault
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown
from echoic.memory.types import Fact, Turn

Did = Literal["added", "ended", "confirmed"]


class EpisodeUnknown(MemoryFault):
    """This person has no such event."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One thing that an event did to what is known."""

    change: Did
    fact: Fact
    """As it is now."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One event."""

    episode_id: UUID
    agent_id: str
    call_id: str
    began_at: datetime
    ended_at: datetime
    """When it was said, from its first turn to its last."""
    tags: Mapping[str, str]
    deltas: tuple[Delta, ...]
    created_at: datetime
    updated_at: datetime
    own_summary: str | None = None
    """Written by a person's hand."""
    own_delta: Sequence[Mapping[str, Any]] | None = None
    similarity: float | None = None

    @property
    def summary(self) -> str:
        """What was written by hand; else its gists, one a line."""
        if self.own_summary is not None:
            return self.own_summary
        return "\n".join(gist_line(one.fact) for one in self.deltas)

    @property
    def happened(self) -> tuple[datetime | None, datetime | None]:
        """From when to when it happened, as far as its facts name dates."""
        times = [
            when
            for one in self.deltas
            for when in (one.fact.valid_from, one.fact.valid_until, one.fact.due)
            if when is not None
        ]
        return (min(times), max(times)) if times else (None, None)


@dataclass(frozen=True, slots=True)
class Gist:
    """One fact that an event taught."""

    fact: Fact
    episode_id: UUID
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """Which events are wanted; None: any."""

    agent_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    """With these values."""
    tagged: Sequence[str] = ()
    """With any value of these."""
    learned: bool = False
    """`since` counts from when it was learned, too: it may be told long after it was said."""


def gist_line(fact: Fact) -> str:
    """A fact as a line of a summary, with when it was said and when it is so."""
    happened = fact.valid_from or fact.due
    dates = f"mention {fact.said_at.date()}" + (f", happened {happened.date()}" if happened else "")
    place = "/".join(filter(None, (fact.topic, fact.sub_topic)))
    return f"- {' '.join(shown(fact.text, fact.about).split())}[{dates}] // {place}"


async def note_episode(
    connection: Connection, user_id: str, batch_id: UUID, turns: Sequence[Turn], tags: Mapping[str, str]
) -> None:
    """A batch taught something: in the transaction that does."""
    times = [turn.said_at for turn in turns]
    whose = (user_id, batch_id, turns[0].agent_id, turns[0].call_id)
    await connection.execute(query("add_episode"), *whose, min(times), max(times), json.dumps(dict(tags)))


async def episodes(
    db: Database, user_id: str, wanted: EpisodeFilter, before: tuple[datetime, UUID] | None, limit: int
) -> list[Episode]:
    """A page of a user's events, newest first.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """

    async def read(connection: Connection) -> list[Episode]:
        return await _page(connection, user_id, wanted, before, limit)

    return await db.run(read)


async def episode(db: Database, user_id: str, episode_id: UUID) -> Episode:
    """One event.

    Raises:
        EpisodeUnknown: it is not theirs, or nothing of it is left.
    """

    async def read(connection: Connection) -> Episode:
        return await _one(connection, user_id, episode_id)

    return await db.run(read)


async def episodes_near(
    db: Database, user_id: str, vector: Vector, wanted: EpisodeFilter, least: float, limit: int
) -> list[Episode]:
    """Events with a gist nearer to a vector than `least` (cosine), nearest first."""

    async def read(connection: Connection) -> list[Episode]:
        # an event may have several near gists: with ten times as many there are enough events
        near = await _gists_near(connection, user_id, vector, wanted, least, limit * 10)
        best: dict[UUID, float] = {}
        for row in near:
            best.setdefault(row["episode_id"], row["similarity"])
        found = await _page(connection, user_id, wanted, None, len(best), list(best))
        return [replace(one, similarity=best[one.episode_id]) for one in found]

    found = await db.run(read)
    return sorted(found, key=lambda one: -(one.similarity or 0))[:limit]


async def gists(
    db: Database, user_id: str, agent_id: str | None, since: datetime | None, limit: int
) -> list[Gist]:
    """The last facts that events taught, newest first."""
    args = (user_id, agent_id, since, limit)
    rows = await db.run(lambda connection: connection.fetch(query("gists"), *args))
    return [Gist(fact_from(row["id"], row["payload"]), row["episode_id"]) for row in rows]


async def gists_near(
    db: Database, user_id: str, vector: Vector, wanted: EpisodeFilter, least: float, limit: int
) -> list[Gist]:
    """Facts of events nearer to a vector than `least`, nearest first."""
    rows = await db.run(lambda connection: _gists_near(connection, user_id, vector, wanted, least, limit))
    return [Gist(fact_from(row["id"], row["payload"]), row["episode_id"], row["similarity"]) for row in rows]


async def change_episode(
    db: Database,
    user_id: str,
    episode_id: UUID,
    *,
    summary: str | None = None,
    tags: Mapping[str, str] | None = None,
    delta: Sequence[Mapping[str, Any]] | None = None,
) -> Episode:
    """Write over what is told of an event; None: stays as it is. Its facts stay as they are.

    Raises:
        EpisodeUnknown: it is not theirs.
    """

    async def change(connection: Connection) -> Episode:
        await connection.execute(query("lock_user_shared"), user_id)
        packed = [None if one is None else json.dumps(one) for one in (tags, delta)]
        if not await connection.fetchval(query("change_episode"), user_id, episode_id, summary, *packed):
            raise EpisodeUnknown
        return await _one(connection, user_id, episode_id)

    return await db.transaction(change)


async def drop_episode(db: Database, user_id: str, episode_id: UUID) -> None:
    """Take an event and its gists out of the list; what was learned stays.

    Raises:
        EpisodeUnknown: it is not theirs.
    """
    gone = await db.run(lambda connection: connection.fetch(query("drop_episodes"), user_id, [episode_id]))
    if not gone:
        raise EpisodeUnknown


async def _one(connection: Connection, user_id: str, episode_id: UUID) -> Episode:
    found = await _page(connection, user_id, EpisodeFilter(), None, 1, [episode_id])
    if not found:
        raise EpisodeUnknown
    return found[0]


async def _page(
    connection: Connection,
    user_id: str,
    wanted: EpisodeFilter,
    before: tuple[datetime, UUID] | None,
    limit: int,
    only: Sequence[UUID] | None = None,
) -> list[Episode]:
    tags = (json.dumps(dict(wanted.tags)), list(wanted.tagged))
    filters = (wanted.agent_id, wanted.since, wanted.until, *tags)
    args = (user_id, *filters, *(before or (None, None)), limit, only, wanted.learned)
    rows = await connection.fetch(query("episodes_page"), *args)
    ids = [row["episode_id"] for row in rows]
    deltas: dict[UUID, list[Delta]] = {one: [] for one in ids}
    for row in await connection.fetch(query("episode_facts"), user_id, ids):
        deltas[row["batch_id"]].append(Delta(row["change"], fact_from(row["id"], row["payload"])))
    return [_episode(row, deltas[row["episode_id"]]) for row in rows]


async def _gists_near(
    connection: Connection, user_id: str, vector: Vector, wanted: EpisodeFilter, least: float, limit: int
) -> list[asyncpg.Record]:
    english, others = asked_of_each(vector)
    args = (user_id, wanted.agent_id, wanted.since, limit, english, wanted.until, least, others)
    return list(await connection.fetch(query("gists_near"), *args, wanted.learned))


def _episode(row: asyncpg.Record, deltas: Sequence[Delta]) -> Episode:
    own = row["delta"] and json.loads(row["delta"])
    return Episode(
        *(row["episode_id"], row["agent_id"], row["call_id"], row["began_at"], row["ended_at"]),
        tags=json.loads(row["tags"]),
        deltas=tuple(deltas),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        own_summary=row["summary"],
        own_delta=own,
    )
