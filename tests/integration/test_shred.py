"""`erase --shred`: afterwards a search of the raw files of the data folder finds nothing of the person."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from echoic.local.admin import shred as module
from echoic.local.admin.shred import shred
from echoic.local.paths import socket_folder
from echoic.local.servers.postgres import PostgresServer
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid, StoreTimeout, StoreUnavailable
from echoic.memory.privacy.erase import erase_user
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.spool import Spool
from echoic.memory.types import Caller, Fact, Turn
from tests.embedders import WordEmbedder
from tests.processes import wait_until

SECRET, KEPT, ANA = "xylquorvane", "otherpersonsword", "ana-of-the-test"


def files_with(folder: Path, word: str) -> list[str]:
    """Every file below the folder that holds the bytes of the word."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


async def fill(memory: Memory, user_id: str, word: str) -> None:
    call = await memory.open_call(Caller(user_id, "echoic", uuid4().hex))
    for number in range(40):
        long = f" And so on about {word}." * 200 if number == 7 else ""
        await call.record(uuid4().hex, "user", f"My {word} is number {number}.{long}")
    fact = Fact(uuid4(), user_id, f"Has a {word}", "t", 0.9, "user", "echoic", datetime.now(UTC))
    await memory.db.transaction(lambda connection: add(memory, connection, fact))
    assert await memory.jobs.enqueue_learn(user_id)
    dead = Spool(memory.spool._folder)
    await dead.append(
        Turn(uuid4(), user_id, "echoic", "call", 0, "user", f"A {word} in the spool", datetime.now(UTC))
    )
    await dead.close()


async def add(memory: Memory, connection, fact: Fact) -> None:
    await memory.facts.add(connection, [fact], await memory.embedder.embed_batch([fact.text]))


async def to_files(database_url: str) -> None:
    """Statistics, dirty pages and several log segments, as hours of use leave them."""
    connection = await asyncpg.connect(database_url)
    try:
        for _ in range(4):
            for command in (
                "analyze",
                "update turns set position = position",
                "checkpoint",
                "select pg_switch_wal()",
            ):
                await connection.execute(command)
    finally:
        await connection.close()


@pytest.mark.timeout(120)
async def test_after_a_shred_no_file_holds_the_words(tmp_path, clean_environment):
    """Tables, indexes, TOAST, logs, append-only file, spool; the other person's words stay and are found."""
    with open_stores(tmp_path / "data") as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        async with open_memory(settings, embedder=WordEmbedder()) as memory:
            await fill(memory, ANA, SECRET)
            await fill(memory, "bob", KEPT)
            await to_files(stores.database_url)
            assert (
                len(files_with(stores.data_dir, SECRET)) >= 4 and len(files_with(stores.data_dir, ANA)) >= 4
            )
            report = await erase_user(memory, ANA)
            assert report.turns == 40 and report.unfinished == ()
            await shred(settings)
            assert files_with(stores.data_dir, SECRET) == []
            assert files_with(stores.data_dir, ANA) == []
            assert files_with(stores.data_dir, KEPT)
            call = await memory.open_call(Caller("bob", "echoic", "next"))
            assert KEPT in (await call.recall(f"What about my {KEPT}?", budget_s=5)).block
            assert await memory.jobs.depth() == 1


@pytest.mark.timeout(120)
async def test_log_segments_that_were_kept_for_later_are_passed_through(tmp_path, clean_environment):
    """A Postgres that recycles leaves old words in files under future names; a shred on it is refused."""
    with open_stores(tmp_path / "data") as stores:
        settings = load_settings(database_url=stores.database_url, redis_url=stores.redis_url)
    with recycling_postgres(tmp_path / "data"):
        current = await words_come_and_go(stores.database_url)
        with pytest.raises(ConfigInvalid, match="wal_recycle"):
            await shred(settings)
    with open_stores(tmp_path / "data"):
        log = tmp_path / "data" / "postgres" / "pg_wal"
        assert [name for name in files_with(log, SECRET) if name > current]
        await shred(settings)
        assert files_with(tmp_path / "data", SECRET) == []


@contextmanager
def recycling_postgres(folder: Path) -> Iterator[None]:
    """The folder's Postgres as another program starts it."""
    server = PostgresServer(folder, folder / "run", socket_folder(folder / "run"))
    server.prepare()
    command = [part.replace("wal_recycle=off", "wal_recycle=on") for part in server.command]
    process = subprocess.Popen(command, cwd=server.folder)
    try:
        wait_until(lambda: server.is_ready(process.pid, ""))
        yield
    finally:
        process.send_signal(server.stop_signal)
        process.wait(20)


async def words_come_and_go(database_url: str) -> str:
    """Into the log, which is moved on; returns the name of the segment that is written now."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("create table gone (words text)")
        for _ in range(6):
            await connection.execute(f"insert into gone select '{SECRET}' from generate_series(1, 40000)")
            await connection.execute("checkpoint")
        await connection.execute("drop table gone")
        await connection.execute("checkpoint")
        return str(await connection.fetchval("select pg_walfile_name(pg_current_wal_lsn())"))
    finally:
        await connection.close()


async def test_a_long_transaction_elsewhere_is_named(database_url, redis_url, monkeypatch):
    """An old snapshot still sees the dead rows: nothing can be rewritten without them."""
    monkeypatch.setattr(module, "SNAPSHOT_LIMIT_S", 0.1)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("begin isolation level repeatable read")
        await other.execute("select count(*) from erasures")
        await erased(database_url)
        with pytest.raises(StoreTimeout, match="pg_stat_activity"):
            await shred(load_settings(database_url=database_url, redis_url=redis_url))
    finally:
        other.terminate()


async def erased(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("insert into erasures values ('somebody', now())")
    finally:
        await connection.close()


async def test_a_table_that_is_held_is_named(database_url, redis_url, monkeypatch):
    """Somebody's open transaction ends the shred in time with what to do, instead of hanging it."""
    monkeypatch.setattr(module, "LOCK_LIMIT_MS", 100)
    other = await asyncpg.connect(database_url)
    try:
        await other.execute("begin")
        await other.execute("lock table turns in access share mode")
        with pytest.raises(StoreTimeout, match="shred again"):
            await shred(load_settings(database_url=database_url, redis_url=redis_url))
    finally:
        other.terminate()


@pytest.mark.parametrize("setting", ["database_url", "redis_url", "falkordb_url"])
async def test_a_store_that_is_down_is_named(database_url, redis_url, setting):
    """Half a shred is not passed off as a whole one: any store that is away ends it with an error."""
    down = {"database_url": "postgresql://echoic@127.0.0.1:1/x"}.get(setting, "redis://127.0.0.1:1/0")
    settings = load_settings(**{"database_url": database_url, "redis_url": redis_url} | {setting: down})
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await asyncio.wait_for(shred(settings), 50)
