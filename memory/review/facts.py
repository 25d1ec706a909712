"""A person's facts as somebody looks through them: filtered, with what each was before."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg

from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact, Scope

Validity = Literal["live", "ended", "all"]


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as it stands in the store."""

    ref: int
    """Its place in the order in which facts were learned."""
    fact: Fact
    version: str
    """Changes with every change of the fact; for whoever must not overwrite another's."""


@dataclass(frozen=True, slots=True)
class FactFilter:
    """Which facts are wanted; None: any."""

    agent_id: str | None = None
    scope: Scope | None = None
    topic: str | None = None
    about: str | None = None
    """Role and name, such as "sister Maria"; empty: the caller."""
    words: str | None = None
    """A part of the text, in either case."""
    validity: Validity = "live"
    call_id: str | None = None
    """Learned from something that was said in this call."""


@dataclass(frozen=True, slots=True)
class FactChange:
    """One change of a fact."""

    change: str
    before: Fact | None
    """None: it was new, or what it was has been forgotten."""
    by_whom: str
    batch_id: UUID | None
    changed_at: datetime
    undone_at: datetime | None


async def facts(
    db: Database, user_id: str, wanted: FactFilter, at: datetime, before: int | None, limit: int
) -> list[StoredFact]:
    """A page of a user's facts, newest first.

    Args:
        at: live or ended at this time.
        before: the last `ref` of the page before.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    args = (user_id, wanted.agent_id, wanted.scope, wanted.topic, wanted.about)
    words = wanted.words and wanted.words.lower()
    rows = await db.run(
        lambda connection: connection.fetch(
            query("facts_page"), *args, words, wanted.validity, at, before, limit, wanted.call_id
        )
    )
    return [stored(row) for row in rows]


async def fact(db: Database, user_id: str, fact_id: UUID) -> StoredFact | None:
    """One fact of this user; None: it is not theirs, or gone."""

    async def read(connection: Connection) -> StoredFact | None:
        row = await connection.fetchrow(query("fact_row"), user_id, fact_id)
        return None if row is None else stored(row)

    return await db.run(read)


async def history(db: Database, user_id: str, fact_id: UUID) -> list[FactChange]:
    """What happened to a fact, oldest first."""
    rows = await db.run(lambda connection: connection.fetch(query("fact_history"), user_id, fact_id))
    return [
        FactChange(
            row["change"],
            fact_from(fact_id, row["before"]) if row["before"] else None,
            row["by_whom"],
            row["batch_id"],
            row["changed_at"],
            row["undone_at"],
        )
        for row in rows
    ]


def stored(row: asyncpg.Record) -> StoredFact:
    """A row with its version."""
    return StoredFact(row["ref"], fact_from(row["id"], row["payload"]), version_of(row["payload"]))


def version_of(payload: str) -> str:
    """Postgres writes the same jsonb as the same text."""
    return hashlib.sha256(payload.encode()).hexdigest()[:16]
