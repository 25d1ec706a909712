"""The nightly maintenance: once a night, by one worker, for each person of whom something may have changed.

Needs no Redis. A night that nobody worked through is made up for when a worker runs again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from echoic.memory.errors import MemoryFault
from echoic.memory.observe.metrics import waiting
from echoic.memory.privacy.maintenance import Maintained, maintain, purge_archive, users_to_maintain
from echoic.memory.service import Memory
from echoic.memory.store.queries import query

log = logging.getLogger("echoic.maintenance")
EVERY_S = 300.0
HOUR = 3
"""In the time zone of the settings: few call then."""
KEY = "maintained_at"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
OVERLAP = timedelta(minutes=10)
"""A change that was committed while the last night's work began is looked at again."""
LOCK = 20261127
BUSY_AGAIN_S = 30.0


@dataclass(slots=True)
class Total:
    """What was done in one round."""

    users: int = 0
    archived: int = 0
    merged: int = 0
    refiled: int = 0
    turns: int = 0
    failed: int = 0
    """People who were busy or failed: looked at again when something of theirs is too old, or has changed."""

    def add(self, one: Maintained) -> None:
        self.users += not one.nothing
        self.archived += one.archived
        self.merged += one.merged
        self.refiled += one.refiled
        self.turns += one.turns


async def maintain_for_ever(memory: Memory) -> None:
    """Look every few minutes whether a night's work is due."""
    while True:
        try:
            await maintain_when_due(memory)
        except MemoryFault as exc:  # the next look tries again
            log.info("maintenance.waits", extra={"error": type(exc).__name__})
        except Exception as exc:
            log.error("maintenance.defect", exc_info=exc)
        await asyncio.sleep(EVERY_S)


async def maintain_when_due(memory: Memory, now: datetime | None = None) -> Total | None:
    """Do the work of the last night that began, unless it is done or another worker is at it; a new database
    begins with the next night. One that was noted ahead of now is not done: a clock was wrong.

    Raises:
        StoreUnavailable: Postgres cannot be reached.
    """
    async with _alone(memory) as alone:
        if not alone:
            return None
        now, last = now or memory.now(), await _last(memory)
        if last is None:
            await _note(memory, now)
            return None
        if night_of(now, memory.settings.timezone) <= last <= now:
            return None
        total = await maintain_all(memory, since=last - OVERLAP if last <= now else LONG_AGO)
        await _note(memory, now)
        return total


async def maintain_all(
    memory: Memory,
    *,
    since: datetime = LONG_AGO,
    dry_run: bool = False,
    tell: Callable[[Maintained], None] = lambda one: None,
) -> Total:
    """The work on everybody; whoever is being learned comes last, and one who fails stops nobody else.

    Raises:
        StoreUnavailable: nobody can be listed.
    """
    total, busy = Total(), list[str]()
    for user_id in await users_to_maintain(memory, since):
        if await _maintained(memory, user_id, total, dry_run, tell):
            busy.append(user_id)
    if busy:
        await asyncio.sleep(BUSY_AGAIN_S)
    for user_id in busy:
        total.failed += await _maintained(memory, user_id, total, dry_run, tell)
    if not dry_run:
        _count(total, await purge_archive(memory))
    return total


def night_of(now: datetime, timezone: str) -> datetime:
    """When the last night's work became due."""
    local = now.astimezone(ZoneInfo(timezone))
    due = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return (due if due <= local else due - timedelta(days=1)).astimezone(UTC)


async def _maintained(
    memory: Memory, user_id: str, total: Total, dry_run: bool, tell: Callable[[Maintained], None]
) -> bool:
    """Whether they were busy."""
    try:
        one = await maintain(memory, user_id, dry_run=dry_run)
    except Exception as exc:
        is_defect = not isinstance(exc, MemoryFault)
        error = type(exc).__name__
        log.warning("maintenance.failed", extra={"error": error}, exc_info=exc if is_defect else None)
        total.failed += 1
        return False
    total.add(one)
    if not one.nothing:
        tell(one)
    return one.busy


def _count(total: Total, purged: int) -> None:
    counted = waiting().maintained
    for what in ("archived", "merged", "refiled", "turns"):
        counted.labels(what).inc(getattr(total, what))
    counted.labels("purged").inc(purged)
    fields = {name: getattr(total, name) for name in Total.__slots__}
    log.info("maintenance.done", extra={**fields, "purged": purged})


@asynccontextmanager
async def _alone(memory: Memory) -> AsyncIterator[bool]:
    async with memory.db.dedicated() as connection:
        yield bool(await connection.fetchval("select pg_try_advisory_lock($1)", LOCK))


async def _last(memory: Memory) -> datetime | None:
    stored = await memory.db.run(lambda connection: connection.fetchval(query("setting"), KEY))
    return stored and datetime.fromisoformat(stored)


async def _note(memory: Memory, now: datetime) -> None:
    await memory.db.run(lambda connection: connection.execute(query("put_setting"), KEY, now.isoformat()))
