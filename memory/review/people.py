"""Who is remembered, what they said in which calls, and how much of everything there is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from echoic.memory.store.database import Database
from echoic.memory.store.queries import query
from echoic.memory.types import Turn

BATCHES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Person:
    """One user and how much is known of them."""

    user_id: str
    facts: int
    """Ended ones included."""
    turns: int
    open_turns: int
    """Those that are not learned yet."""
    last_at: datetime | None
    """When they, or an agent to them, last said something."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call of one user."""

    call_id: str
    agent_id: str
    began_at: datetime
    ended_at: datetime
    turns: int
    open_turns: int


@dataclass(frozen=True, slots=True)
class PlacedTurn:
    """A turn and its place in the list it was read from."""

    place: int
    turn: Turn


async def people_by_id(db: Database, part: str | None, after: str, limit: int) -> list[Person]:
    """Users in the order of their ids.

    Args:
        part: a part of the id, in either case; None: any.
        after: the last id of the page before; empty: from the beginning.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    rows = await _fetch(db, "users_page", part and part.lower(), after, limit)
    return [Person(**dict(row)) for row in rows]


async def people_by_latest(
    db: Database, part: str | None, before: int | None, limit: int
) -> list[tuple[int, Person]]:
    """Users with their place in the order of this list: of whom something was recorded last comes first."""
    rows = await _fetch(db, "users_page_latest", part and part.lower(), before, limit)
    return [(row["place"], Person(**{name: row[name] for name in Person.__slots__})) for row in rows]


async def person(db: Database, user_id: str) -> Person | None:
    """One user; None: nothing is known of them."""
    (row,) = await _fetch(db, "read_user", user_id)
    return Person(**dict(row)) if row["facts"] or row["turns"] else None


@dataclass(frozen=True, slots=True)
class Pair:
    """How much there is of one person with one agent."""

    turns: int
    open_turns: int
    """Those that are not learned yet."""
    facts: int
    """Live ones that this agent may see."""


async def pair(db: Database, user_id: str, agent_id: str) -> Pair:
    """How much one agent knows of one user.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    (row,) = await _fetch(db, "read_pair", user_id, agent_id)
    return Pair(**dict(row))


async def calls(
    db: Database, user_id: str, before: tuple[datetime, str] | None, limit: int
) -> list[Conversation]:
    """A user's calls, the last to begin first."""
    rows = await _fetch(db, "calls_page", user_id, *(before or (None, "")), limit)
    return [Conversation(**dict(row)) for row in rows]


async def turns(
    db: Database, user_id: str, words: str | None, before: int | None, limit: int
) -> list[PlacedTurn]:
    """A user's turns, newest first.

    Args:
        words: a part of the text, in either case; None: any.
    """
    rows = await _fetch(db, "turns_page", user_id, words and words.lower(), before, limit)
    return [_placed(row) for row in rows]


async def call_turns(
    db: Database, user_id: str, call_id: str, after: int | None, limit: int
) -> list[PlacedTurn]:
    """The turns of one call, in its order."""
    rows = await _fetch(db, "call_turns_page", user_id, call_id, after, limit)
    return [_placed(row) for row in rows]


async def turns_by_id(db: Database, user_id: str, turn_ids: list[UUID]) -> list[Turn]:
    """Those of these turns that are this user's and still stored."""
    return [Turn(**dict(row)) for row in await _fetch(db, "turns_by_id", user_id, turn_ids)]


async def batches(db: Database, user_id: str) -> list[dict[str, Any]]:
    """The last batches of a user's turns and facts: what was taken together, and how it ended."""
    return [dict(row) for row in await _fetch(db, "user_batches", user_id, BATCHES_SHOWN)]


async def statistics_of(db: Database, user_id: str, now: datetime) -> dict[str, Any]:
    """How much there is of one user, and of which topics."""
    (row,) = await _fetch(db, "user_statistics", user_id, now)
    topics = await _fetch(db, "user_topics", user_id, now)
    return dict(row) | {"topics": {one["topic"]: one["facts"] for one in topics}}


async def statistics(db: Database, now: datetime) -> dict[str, Any]:
    """How much there is of all users."""
    (row,) = await _fetch(db, "statistics", now)
    return dict(row)


async def days(db: Database, now: datetime, last: int) -> list[dict[str, Any]]:
    """What was said, learned and recalled on each of the last days that had any of it, oldest first."""
    return [dict(row) for row in await _fetch(db, "days", now, last)]


async def tiers(db: Database, now: datetime, seconds: float) -> list[dict[str, Any]]:
    """How the tiers of memory fared in the replies of these last seconds, by tier and status."""
    return [dict(row) for row in await _fetch(db, "tiers", now, seconds)]


async def batch_durations(db: Database) -> list[dict[str, Any]]:
    """Batches of the last day, and unfinished ones: how many in which state, and how long they took."""
    return [dict(row) for row in await _fetch(db, "batch_durations")]


async def _fetch(db: Database, name: str, *args: object) -> list[asyncpg.Record]:
    return list(await db.run(lambda connection: connection.fetch(query(name), *args)))


def _placed(row: asyncpg.Record) -> PlacedTurn:
    fields = dict(row)
    return PlacedTurn(fields.pop("ref"), Turn(**fields))
