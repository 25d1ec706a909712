"""Everything known about one person erased from every store, so that nothing comes back."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce

import asyncpg

from echoic.memory.errors import MemoryFault, StoreTimeout
from echoic.memory.graph.erase import finish_erasures, void_graphs, void_of
from echoic.memory.service import Memory
from echoic.memory.settings.links import LinkStore
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.store.spool import Spool

log = logging.getLogger("echoic.account")

TABLES = (
    "postings",
    "turn_index",
    "turns",
    "fact_index",
    "facts",
    "fact_changes",
    "batches",
    "forgotten",
    "graph_entered",
    "graph_due",
    "events",
    "api_creations",
    "api_keys",
    "user_settings",
    "archived_facts",
    "maintenance_runs",
    "undone_calls",
    "episodes",
    "users",
    "documents",
)
WRITERS_LIMIT_MS = 15_000  # a commit takes milliseconds; a writer that holds its lock for longer hangs
ROWS_LIMIT_S = 60.0
HURRY_LIMIT_S = 600.0  # VACUUM reads whole tables
SPOOL_LIMIT_S = 15.0  # three times the longest pause between two replays of a process whose Postgres answers
SPOOL_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class EraseReport:
    """What was erased, by store, and what could not be reached: the erasure itself holds, and asking again
    finishes it."""

    erased_at: datetime
    turns: int
    facts: int
    batches: int
    mem0_rows: int
    """Rows in tables that Mem0 keeps beside its facts."""
    spooled: int
    jobs: int
    graphs: int = 0
    """Graphs that were removed at their server."""
    unfinished: tuple[str, ...] = ()
    """A sentence for each store that still holds something."""

    def and_then(self, later: "EraseReport") -> "EraseReport":
        """Both in one: of several ids of one person."""
        names = ("turns", "facts", "batches", "mem0_rows", "spooled", "jobs", "graphs")
        sums = {name: getattr(self, name) + getattr(later, name) for name in names}
        return replace(later, unfinished=tuple(dict.fromkeys(self.unfinished + later.unfinished)), **sums)


async def erase_person(memory: Memory, user_id: str) -> EraseReport:
    """Erase one user and all ids that are linked with it; as `erase_user`.

    Those farthest from the one that was named go first: if this is broken off, asking again finds the rest.
    """
    links, ids = await LinkStore(memory.db).of(user_id), [user_id]
    for one in ids:
        next_to = ({link.user_id, link.other_id} for link in links if one in (link.user_id, link.other_id))
        ids += sorted(set().union(*next_to) - set(ids))
    return reduce(EraseReport.and_then, [await erase_user(memory, one) for one in reversed(ids)])


async def erase_user(memory: Memory, user_id: str) -> EraseReport:
    """Erase everything about one user, their links included. Safe to repeat; for an unknown user every count
    is zero.

    What is known under linked ids stays with those: see `erase_person`.

    Waits for writers that are about to commit. The tombstone (a salted hash and a time) makes void whatever
    was said before it and arrives later: running jobs, spooled turns, late events. Dead rows and statistics
    are vacuumed at once; what raw files still hold is the matter of `echoic.local.admin.shred`.

    Raises:
        StoreUnavailable: Postgres cannot be reached, nothing is erased.
        StoreTimeout: a writer of this user hangs, nothing is erased.
    """
    erased_at, gone = await memory.db.transaction(
        partial(_erase_rows, user_id=user_id), timeout_s=ROWS_LIMIT_S
    )
    spooled, spool_fault = await _forget_spooled(memory.spool, user_id)
    jobs, jobs_fault = await _cancel_jobs(memory, user_id)
    graphs, graphs_fault = await _remove_graphs(memory, user_id)
    hurry_fault = await _hurry(memory.db)
    own = {table: gone.pop(table) for table in TABLES}
    return EraseReport(
        erased_at=erased_at,
        turns=own["turns"],
        facts=own["facts"],
        batches=own["batches"],
        mem0_rows=sum(gone.values()),
        spooled=spooled,
        jobs=jobs,
        graphs=graphs,
        unfinished=tuple(fault for fault in (spool_fault, jobs_fault, graphs_fault, hurry_fault) if fault),
    )


async def _erase_rows(connection: Connection, *, user_id: str) -> tuple[datetime, dict[str, int]]:
    await connection.execute(f"set local lock_timeout = {WRITERS_LIMIT_MS}")
    try:
        await connection.execute(query("lock_user_exclusive"), user_id)
    except asyncpg.LockNotAvailableError as exc:
        raise StoreTimeout(
            "Something that writes this user's memory does not finish: stop it and erase again; nothing is "
            "erased yet."
        ) from exc
    person = await connection.fetchval(query("person_of"), user_id)
    for one in person if len(person) > 1 else ():
        await connection.execute(query("notify_unlinked"), one)
    await connection.execute(query("forget_links"), user_id)
    erased_at = await connection.fetchval(query("tombstone"), user_id)
    gone = {
        table: _count(await connection.execute(f"delete from {table} where user_id = $1", user_id))
        for table in TABLES
    }
    for table in await _mem0_collections(connection):
        gone[table] = _count(
            await connection.execute(f"delete from {table} where payload ->> 'user_id' = $1", user_id)
        )
    await void_graphs(connection, user_id)
    await connection.execute(query("withdraw_consent"), user_id)
    await connection.execute(query("notify_erased"), user_id)
    return erased_at, gone


async def _mem0_collections(connection: Connection) -> list[str]:
    return [row[0] for row in await connection.fetch(query("mem0_collections"))]


def _count(status: str) -> int:
    """Rows of a command tag such as `DELETE 12`."""
    return int(status.rpartition(" ")[2])


async def _forget_spooled(spool: Spool, user_id: str) -> tuple[int, str]:
    """Take the user out of the files nobody holds, and wait for the processes that hold others to replay
    theirs into the void."""
    try:
        forgotten = await spool.forget(user_id)
        async with asyncio.timeout(SPOOL_LIMIT_S):
            while await spool.of_user(user_id):
                await asyncio.sleep(SPOOL_POLL_S)
                forgotten += await spool.forget(user_id)
        if nobodys := sum(one.count for one in await spool.set_aside("")):
            return (
                forgotten,
                f"{nobodys} damaged or unreadable lines of the spool do not say whose they are, and are "
                "kept: see `echoic jobs`.",
            )
    except TimeoutError:
        return (
            forgotten,
            "Another process still holds spooled turns of this user; they are void, and gone when it replays "
            "its spool or ends.",
        )
    except OSError as exc:
        log.warning("erase.spool_failed", extra={"error": type(exc).__name__})
        return (
            0,
            f"The spool cannot be rewritten ({exc.strerror}): its turns are void; erase again to remove "
            "them.",
        )
    return forgotten, ""


async def _cancel_jobs(memory: Memory, user_id: str) -> tuple[int, str]:
    try:
        return await memory.jobs.cancel(user_id), ""
    except MemoryFault as exc:
        log.warning("erase.jobs_failed", extra={"error": type(exc).__name__})
        return (
            0,
            "Redis cannot be reached: a queued job may still hold this user's id (never words); erase again "
            "to remove it.",
        )


async def _remove_graphs(memory: Memory, user_id: str) -> tuple[int, str]:
    void = await void_of(memory.db, user_id)
    if not void:
        return 0, ""
    if memory.graph is None:
        return (
            0,
            "This user had a graph, and none is open here: set ECHOIC_GRAPH=on with its address, and erase "
            "again to remove it.",
        )
    try:
        return await finish_erasures(memory.db, memory.graph, void), ""
    except MemoryFault as exc:
        log.warning("erase.graph_failed", extra={"error": type(exc).__name__})
        return (
            0,
            f"The graph server did not remove this user's graph ({exc}) Nobody asks it any more; erase again "
            "to remove it.",
        )


async def _hurry(db: Database) -> str:
    """Vacuum dead rows and refresh statistics; then let Postgres recycle its log.

    None of it is part of the erasure's promise.
    """
    try:
        await db.run(_vacuum, timeout_s=HURRY_LIMIT_S)
    except (MemoryFault, asyncpg.PostgresError) as exc:
        log.warning("erase.vacuum_failed", extra={"error": type(exc).__name__})
        return "Dead rows are not vacuumed yet: autovacuum will, or erase again."
    return ""


async def _vacuum(connection: Connection) -> None:
    tables = [*TABLES, "graph_groups", *await _mem0_collections(connection)]
    if await connection.fetchval("select to_regproc('pg_clear_attribute_stats') is not null"):  # Postgres 18
        await connection.execute(query("forget_statistics"), tables)
    for table in (*tables, "pg_catalog.pg_statistic"):
        await connection.execute(f"vacuum (analyze) {table}")
    for command in ("checkpoint", "select pg_switch_wal()", "checkpoint"):
        try:
            await connection.execute(command)
        except asyncpg.InsufficientPrivilegeError:
            log.info("erase.wal_not_hurried")  # an ordinary database user: the next checkpoints do it
            return
