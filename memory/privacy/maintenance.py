"""A night's maintenance: old facts are archived, what is said twice is kept once, topics are spelled alike.

All but the deletion of old turns can be taken back (`undo.py`), for as long as the archive keeps it.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg

from echoic.memory.graph.ledger import mark_behind
from echoic.memory.privacy.locked_connection import LEARNING, locked, within
from echoic.memory.privacy.maintenance_plan import BY_WHOM, Known, Plan, plan, together
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import fact_from, notify, tell_forgotten
from echoic.memory.store.queries import query

ARCHIVE_DAYS = 30
"""Then what was archived goes for good."""
TURNS_AT_ONCE = 1_000
LIMIT_S = 300.0
"""Of one person with 50,000 facts, all of which go; and of TURNS_AT_ONCE, which take a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done with one person's memory, or would be."""

    user_id: str
    archived: int = 0
    """Facts that were too old."""
    merged: int = 0
    """Facts that another one says."""
    refiled: int = 0
    """Facts whose topic is spelled as the others'."""
    turns: int = 0
    """Turns that were deleted."""
    run_id: UUID | None = None
    """By which it can be taken back."""
    busy: bool = False
    """A worker is learning: nothing was done."""

    @property
    def nothing(self) -> bool:
        return not (self.archived or self.merged or self.refiled or self.turns)


async def users_to_maintain(memory: Memory, since: datetime) -> list[str]:
    """Of whom something may be too old, or has changed since then.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    args = (memory.settings.retention_days, since)
    rows = await memory.db.run(
        lambda connection: connection.fetch(query("users_to_maintain"), *args), timeout_s=LIMIT_S
    )
    return [row["user_id"] for row in rows]


async def maintain(memory: Memory, user_id: str, *, dry_run: bool = False) -> Maintained:
    """Do it for one person, while no worker learns from them.

    Args:
        dry_run: only say what would be done.

    Raises:
        StoreUnavailable, StoreTimeout: Postgres cannot be reached or does not finish. The next night goes on
            with the turns that are left.
    """
    async with locked(memory.db, user_id, LEARNING) as connection:
        if connection is None:
            return Maintained(user_id, busy=True)
        night = _Night(connection, user_id, memory.now(), memory.settings.retention_days)
        done = await (within(connection, night.look(), LIMIT_S) if dry_run else night.work())
    if not dry_run and not done.nothing:
        memory.forget_items(user_id, night.gone)
        memory.recaller.forget(user_id)
        if memory.graph is not None:
            await memory.jobs.enqueue_graph(user_id)
    return done


async def purge_archive(memory: Memory) -> int:
    """Delete for good what was archived more than ARCHIVE_DAYS ago, of everybody; returns how many facts."""

    async def purge(connection: Connection) -> int:
        before = memory.now() - timedelta(days=ARCHIVE_DAYS)
        return int(await connection.fetchval(query("purge_archive"), before))

    return await memory.db.run(purge, timeout_s=LIMIT_S)


async def maintenance_totals(memory: Memory) -> dict[str, Any]:
    """What the runs of the last ARCHIVE_DAYS did, and how much is in the archive."""
    row = await memory.db.run(lambda connection: connection.fetchrow(query("maintenance_totals")))
    return dict(row)


@dataclass(slots=True)
class _Night:
    """The work on one person, on the connection that holds their lock."""

    connection: asyncpg.Connection
    user_id: str
    now: datetime
    system_days: int | None
    run_id: UUID = field(default_factory=uuid4)
    gone: set[UUID] = field(default_factory=set)
    """Turns and facts that no process may show any more."""

    async def look(self) -> Maintained:
        before = await self._before()
        made = await self._plan(before)
        old = query("count_old_turns")
        turns = await self.connection.fetchval(old, self.user_id, before) if before else 0
        return self._report(made, turns, None)

    async def work(self) -> Maintained:
        """Facts in one transaction, then turns in portions, each of which is final."""
        before, made = await within(self.connection, self._tidy(), LIMIT_S)
        turns = 0
        while before and (count := await within(self.connection, self._delete_turns(before), LIMIT_S)):
            turns += count
        return self._report(made, turns, self.run_id if made or turns else None)

    async def _tidy(self) -> tuple[datetime | None, Plan]:
        async with self._writing():
            before = await self._before()
            made = await self._plan(before)
            await self._carry_out(made)
            if made:
                await self._note(len(made.archived), made.merged, len(made.refiled), 0)
                # the graphs rest until a worker has brought them along
                await mark_behind(self.connection, self.user_id)
                await self._tell(list(self.gone))
        return before, made

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        async with self.connection.transaction():
            await self.connection.execute(query("lock_user_exclusive"), self.user_id)
            yield

    async def _before(self) -> datetime | None:
        own = await self.connection.fetchval(query("retention_of"), self.user_id)
        days = own or self.system_days
        return None if days is None else self.now - timedelta(days=days)

    async def _plan(self, before: datetime | None) -> Plan:
        rows = await self.connection.fetch(query("facts_to_maintain"), self.user_id)
        known = [Known(row["ref"], fact_from(row["id"], row["payload"]), _touched_at(row)) for row in rows]
        return plan(known, before=before, now=self.now)

    async def _carry_out(self, made: Plan) -> None:
        await self._archive(dict.fromkeys(made.archived), "archived")
        for merge in made.merges:
            await self._change(merge.stays.fact_id, together(merge.stays, merge.go), "confirmed")
        into = {one.fact_id: merge.stays.fact_id for merge in made.merges for one in merge.go}
        await self._archive(into, "merged")
        for fact_id, topic in made.refiled.items():
            await self._change(fact_id, {"topic": topic}, "refiled")

    async def _archive(self, facts: Mapping[UUID, UUID | None], change: str) -> None:
        if facts:
            args = (self.user_id, list(facts), list(facts.values()), self.run_id, change)
            await self.connection.execute(query("archive_facts"), *args)
            self.gone |= facts.keys()

    async def _change(self, fact_id: UUID, merged: dict[str, Any], change: str) -> None:
        args = (self.user_id, fact_id, json.dumps(merged), self.run_id, change, BY_WHOM, None, None)
        await self.connection.execute(query("change_fact"), *args)

    async def _delete_turns(self, before: datetime) -> int:
        """The oldest of them; how many, 0 when none is left."""
        async with self._writing():
            old = await self.connection.fetch(query("old_turns"), self.user_id, before, TURNS_AT_ONCE)
            ids = [row["turn_id"] for row in old]
            if ids:
                for forgetting in ("forget_quotes", "forget_turns", "thin_batches"):
                    await self.connection.execute(query(forgetting), self.user_id, ids)
                await self._note(0, 0, 0, len(ids))
                await self._tell(ids)
            else:
                for table in ("drop_old_episodes", "drop_old_documents"):
                    await self.connection.execute(query(table), self.user_id, before)
        self.gone.update(ids)
        return len(ids)

    async def _note(self, *counts: int) -> None:
        await self.connection.execute(query("note_run"), self.user_id, self.run_id, *counts)

    async def _tell(self, ids: list[UUID]) -> None:
        """Every process, when this commits."""
        await tell_forgotten(self.connection, self.user_id, ids)
        await notify(self.connection, self.user_id)

    def _report(self, made: Plan, turns: int, run_id: UUID | None) -> Maintained:
        counts = (len(made.archived), made.merged, len(made.refiled), turns)
        return Maintained(self.user_id, *counts, run_id=run_id)


def _touched_at(row: asyncpg.Record) -> datetime | None:
    """When it was said again as what was merged into it, too."""
    said = [fact_from(row["id"], one).said_at for one in row["merged"]]
    return max(said if row["touched_at"] is None else [*said, row["touched_at"]], default=None)
