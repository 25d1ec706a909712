"""`erase --shred`: rewrites what the files of the embedded stores still hold of rows that are gone.

After a DELETE and a VACUUM the words remain in the free space of pages, in the planner's statistics, in the
write-ahead log and in Redis' append-only file; so do those of FalkorDB, which is a Redis too. Each is written
anew here, so that a search of the raw files finds nothing. What a file system keeps of files it has freed is
out of reach, and so are backups, and a Neo4j: those are the owner's.
"""

import asyncio
import time

import asyncpg
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid, StoreTimeout, StoreUnavailable
from echoic.memory.store.database import UNAVAILABLE, unreachable

LOCK_LIMIT_MS = 30_000  # VACUUM FULL waits for a table that a healthy process holds for milliseconds
SNAPSHOT_LIMIT_S = 30.0
REDIS_LIMIT_S = 60.0
POLL_S = 0.05
MOST_SEGMENTS = 100  # a Postgres with our settings that recycled kept 64 ahead at most

# Ours, Mem0's, and the statistics, which ANALYZE does not clear of an emptied table's samples.
TABLES_SQL = """select quote_ident(nspname) || '.' || quote_ident(relname)
    from pg_class join pg_namespace n on n.oid = relnamespace
    where relkind = 'r' and nspname = current_schema() union all select 'pg_catalog.pg_statistic'"""
OLD_SNAPSHOTS_SQL = """select count(*) from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()
    and age(backend_xmin) > age($1::text::xid)"""
SEGMENTS_SQL = "select count(*) from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'"
LEAVE_SEGMENT = (
    "select pg_logical_emit_message(true, 'shred', '')",  # an empty one cannot be left
    "select pg_switch_wal()",
    "checkpoint",
)


async def shred(settings: MemorySettings) -> None:
    """Rewrite Postgres' tables, statistics and log, and the files of Redis and FalkorDB.

    After `erase_user`; needs a superuser.

    Other processes may run; each waits for a table while that table is rewritten.

    Raises:
        StoreTimeout: another process holds a table or an old snapshot; nothing is lost, and calling again
            continues. StoreUnavailable: a store cannot be reached. ConfigInvalid: a Postgres of one's own
            recycles its log.
    """
    try:
        connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=10)
    except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
        raise StoreUnavailable(unreachable(exc)) from exc
    try:
        await _shred_postgres(connection)
    except asyncpg.LockNotAvailableError as exc:
        raise StoreTimeout(
            "Another process holds a table of the data folder: stop it and shred again."
        ) from exc
    except UNAVAILABLE as exc:
        raise StoreUnavailable(unreachable(exc)) from exc
    finally:
        connection.terminate()
    await _shred_redis(settings.redis_url.get_secret_value(), "Redis", "ECHOIC_REDIS_URL")
    if graph_url := settings.falkordb_url.get_secret_value():
        await _shred_redis(graph_url, "FalkorDB", "ECHOIC_FALKORDB_URL")


async def _shred_postgres(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("show wal_recycle") == "on":
        raise ConfigInvalid("This Postgres recycles its log: set wal_recycle = off, and shred again.")
    await _wait_old_snapshots(connection)
    await connection.execute(f"set lock_timeout = {LOCK_LIMIT_MS}")
    for row in await connection.fetch(TABLES_SQL):
        await connection.execute(f"vacuum full {row[0]}")
    await _leave_old_log(connection)


async def _wait_old_snapshots(connection: asyncpg.Connection) -> None:
    """VACUUM keeps dead rows that an older snapshot may still see."""
    now = await connection.fetchval("select pg_current_xact_id()::xid::text")
    until = time.monotonic() + SNAPSHOT_LIMIT_S
    while await connection.fetchval(OLD_SNAPSHOTS_SQL, now):
        if time.monotonic() > until:
            raise StoreTimeout(
                "A transaction older than the erasure is still open (see pg_stat_activity): "
                "end it and shred again."
            )
        await asyncio.sleep(POLL_S)


async def _leave_old_log(connection: asyncpg.Connection) -> None:
    """Go on in a new log segment; a checkpoint removes those that were left.

    A segment is new if no other was there to be taken: those that a Postgres once recycled are used up first.
    """
    for _ in range(MOST_SEGMENTS):
        is_last = await connection.fetchval(SEGMENTS_SQL) == 1
        for command in LEAVE_SEGMENT:
            await connection.execute(command)
        if is_last:
            return
    raise StoreTimeout(
        "Postgres keeps old log segments (a replication slot, wal_keep_size or archiving): "
        "end that and shred again."
    )


async def _shred_redis(url: str, name: str, setting: str) -> None:
    client = redis.asyncio.from_url(url, socket_timeout=REDIS_LIMIT_S, decode_responses=True)
    try:
        if (await client.config_get("appendonly"))["appendonly"] == "yes":
            async with asyncio.timeout(REDIS_LIMIT_S):
                await _rewrite_aof(client)
        if (await client.config_get("save"))["save"]:
            await client.save()
    except TimeoutError as exc:
        raise StoreTimeout(f"{name} does not finish rewriting its append-only file: shred again.") from exc
    except (RedisError, OSError) as exc:
        raise StoreUnavailable(
            f"{name} cannot be reached ({type(exc).__name__}): check {setting}, or run `echoic doctor`."
        ) from exc
    finally:
        await client.aclose()


async def _rewrite_aof(client: redis.asyncio.Redis) -> None:
    await _wait_rewritten(client)  # one that began before the erasure does not count
    await client.bgrewriteaof()
    status = await _wait_rewritten(client)
    if status != "ok":
        raise ResponseError("the append-only file could not be rewritten")


async def _wait_rewritten(client: redis.asyncio.Redis) -> str:
    while True:
        info = await client.info("persistence")
        if not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]:
            return str(info["aof_last_bgrewrite_status"])
        await asyncio.sleep(POLL_S)
