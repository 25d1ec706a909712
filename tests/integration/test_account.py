"""One person's data on the real stores: exported whole, erased everywhere, and nothing comes back."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import psycopg
import pytest
import redis

from echoic.memory.config import MemorySettings
from echoic.memory.errors import StoreTimeout, StoreUnavailable, UserUnknown
from echoic.memory.privacy import erase
from echoic.memory.privacy.erase import EraseReport, erase_user
from echoic.memory.privacy.export import export_pieces, export_user
from echoic.memory.service import Memory, open_memory
from echoic.memory.store import database
from echoic.memory.store.queries import query
from echoic.memory.store.spool import Spool
from echoic.memory.types import Caller, Evidence, Fact, Turn
from echoic.workers.learn.extractor import Extraction
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.remembered import fact, learn, say

SECRET = "xylquorvane"
ANA = "o'hara/../ana"
"""An id with quotes and slashes, as a careless client may send it."""


@pytest.fixture
async def memory(memory_settings: MemorySettings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


class Learns:
    """An extractor that learns what was said, when it is let go."""

    name = "learns"

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def extract(self, turns, known, profile, embedder):
        self.asked.set()
        await self.go.wait()
        return Extraction(facts=tuple(_said(turn) for turn in turns))


def _said(turn: Turn) -> Fact:
    about = (turn.user_id, f"Said: {turn.text}", "life", 0.5, "user", turn.agent_id, turn.said_at)
    return Fact(uuid4(), *about, turn_ids=(turn.turn_id,), evidence=(Evidence(turn.turn_id, turn.text),))


def caller(user_id: str = ANA) -> Caller:
    return Caller(user_id, "echoic", uuid4().hex)


def turn(user_id: str, text: str, said_at: datetime | None = None) -> Turn:
    return Turn(uuid4(), user_id, "echoic", "call", 0, "user", text, said_at or datetime.now(UTC))


async def settled(memory: Memory) -> None:
    while memory.recorder._tasks:
        await asyncio.wait(memory.recorder._tasks)


async def fill(memory: Memory, user_id: str, word: str) -> None:
    """Something of this user in every store: turns, a live and a closed fact, ledger, job, spool, Mem0."""
    call = await memory.open_call(caller(user_id))
    for number in range(3):
        await call.record(uuid4().hex, "user", f"My {word} has the number {number}.")
    await settled(memory)
    extractor = Learns()
    extractor.go.set()
    await Learner(memory, extractor).learn(user_id)
    (first, *_) = await memory.facts.list(user_id)
    await memory.db.transaction(
        lambda connection: memory.facts.end(connection, user_id, first.fact_id, datetime.now(UTC))
    )
    assert await memory.jobs.enqueue_learn(user_id)
    await left_in_spool(memory, turn(user_id, f"The {word} waits in the spool."))
    await memory.db.run(lambda connection: beside_facts(connection, user_id, word))


def counts(report: EraseReport) -> tuple[int, ...]:
    """What was erased: turns, facts, batches, Mem0's rows, spooled turns, jobs."""
    return (report.turns, report.facts, report.batches, report.mem0_rows, report.spooled, report.jobs)


async def left_in_spool(memory: Memory, said: Turn) -> None:
    """By a process that was killed."""
    assert memory.settings.data_dir is not None
    dead = Spool(memory.settings.data_dir / "spool")
    await dead.append(said)
    await dead.close()


async def beside_facts(connection, user_id: str, word: str) -> None:
    """What `mem0.AsyncMemory` makes for the entities of its memories."""
    await connection.execute(
        "create table if not exists facts_entities (id uuid primary key, vector vector(3), payload jsonb)"
    )
    payload = json.dumps({"data": word, "user_id": user_id, "entity_type": "PROPER"})
    await connection.execute("insert into facts_entities values ($1, $2, $3)", uuid4(), np.ones(3), payload)


def dump(settings: MemorySettings) -> str:
    """Everything that the stores give when asked: tables and statistics, keys of Redis, files."""
    parts = []
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'")
        for (table,) in tables.fetchall():
            parts += [str(row) for row in connection.execute(f"select {table}::text from {table}")]
        parts += [
            str(row)
            for row in connection.execute("select s::text from pg_stats s where schemaname = 'public'")
        ]
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        parts += [f"{key!r} {client.dump(key)!r}" for key in client.scan_iter()]
        parts += [str(client.zrange(key, 0, -1)) for key in client.scan_iter(_type="zset")]
    assert settings.data_dir is not None
    parts += [
        path.read_text(errors="replace") for path in Path(settings.data_dir).rglob("*") if path.is_file()
    ]
    return "\n".join(parts)


async def test_export_holds_every_store_and_nobody_else(memory):
    """Turns, facts closed ones too, batches, spool, jobs and Mem0's rows; vectors only if asked for."""
    await fill(memory, ANA, SECRET)
    await fill(memory, "bob", "otherword")
    found = await export_user(memory, ANA, vectors=True)
    text = json.dumps(found)
    assert "otherword" not in text and "bob" not in text
    assert [one["text"] for one in found["turns"]] == [
        f"My {SECRET} has the number {number}." for number in range(3)
    ]
    assert len(found["facts"]) == 3 and sum(one["valid_until"] is not None for one in found["facts"]) == 1
    keys = "id topic about evidence importance scope valid_from valid_until turn_ids".split()
    assert set(keys) <= found["facts"][0].keys()
    assert len(found["facts"][0]["vector"]) == len(found["turns"][0]["vector"]) == 64
    assert [one["state"] for one in found["batches"]] == ["done"]
    assert [one["text"] for one in found["spooled_turns"]] == [f"The {SECRET} waits in the spool."]
    assert found["jobs"] == [f"learn:{ANA}"]
    assert found["mem0_rows"][0]["data"] == SECRET
    assert "vector" not in (await export_user(memory, ANA))["facts"][0]


async def test_an_export_is_one_state_read_page_by_page(memory, monkeypatch):
    """What is learned while it is written is not half in it, and its JSON is whole."""
    monkeypatch.setattr(database, "PAGE_ROWS", 2)
    await learn(memory, *(fact(f"Has {number} boats", ANA) for number in range(5)))
    pieces = export_pieces(memory, ANA)
    text = await anext(pieces)
    await learn(memory, fact("Has a late boat", ANA))
    await say(memory, "I have a late boat.", user_id=ANA)
    text += "".join([piece async for piece in pieces])
    found = json.loads(text)
    assert [one["text"] for one in found["facts"]] == [f"Has {number} boats" for number in range(5)]
    assert found["turns"] == [] and len((await export_user(memory, ANA))["facts"]) == 6


async def test_export_of_nobody_is_refused(memory):
    """A user who was never heard of is a mistake with their name in it, not an empty export."""
    with pytest.raises(UserUnknown, match="nobody"):
        await export_user(memory, "nobody")


async def test_after_erase_no_store_gives_any_of_the_words(memory, memory_settings):
    """Not even the planner's statistics; another person's words are all still there."""
    await fill(memory, ANA, SECRET)
    await fill(memory, "bob", "otherword")
    await memory.db.run(lambda connection: connection.execute("analyze"))
    assert SECRET in dump(memory_settings)
    report = await erase_user(memory, ANA)
    assert counts(report) == (3, 3, 1, 1, 1, 1)
    assert report.unfinished == ()
    left = dump(memory_settings)
    assert SECRET not in left.lower() and "hara/" not in left
    assert "otherword" in left and (await export_user(memory, "bob"))["spooled_turns"]
    with pytest.raises(UserUnknown):
        await export_user(memory, ANA)


async def test_the_last_person_leaves_nothing_in_the_statistics(memory, memory_settings):
    """ANALYZE keeps the samples of a table that is empty now; they are cleared."""
    await fill(memory, ANA, SECRET)
    await memory.db.run(lambda connection: connection.execute("analyze"))
    await erase_user(memory, ANA)
    assert SECRET not in dump(memory_settings)


async def test_erasing_nobody_and_erasing_twice(memory):
    """Neither is an error: nothing is counted, and the second time is noted as the later one."""
    await fill(memory, ANA, SECRET)
    first, second, nobody = (
        await erase_user(memory, ANA),
        await erase_user(memory, ANA),
        await erase_user(memory, "nobody"),
    )
    assert first.turns == 3
    for report in (second, nobody):
        assert counts(report) == (0,) * 6
    assert second.erased_at > first.erased_at


async def test_who_comes_back_is_a_stranger_who_can_be_remembered(memory):
    """The tombstone voids what was said before it, not what is said after."""
    await fill(memory, ANA, SECRET)
    await erase_user(memory, ANA)
    call = await memory.open_call(caller())
    assert not call.recent.known
    await call.record(uuid4().hex, "user", "I have a new goldfish.")
    assert [one.text for one in await memory.turns.list(ANA)] == ["I have a new goldfish."]


async def test_late_events_and_replayed_spools_are_void(memory, memory_settings, tmp_path):
    """A turn said before the erasure is refused whenever and from wherever it arrives."""
    elsewhere = Spool(tmp_path / "another machine")
    await elsewhere.append(turn(ANA, f"{SECRET} from another machine"))
    late = turn(ANA, f"{SECRET} said before")
    await erase_user(memory, ANA)
    assert await memory.turns.record(late) is False
    assert await elsewhere.replay(memory.turns.record) == 1
    assert await memory.turns.list(ANA) == []
    await elsewhere.close()


async def test_a_spool_that_another_process_holds_is_waited_for(memory, memory_settings):
    """The erasure ends once that process has let its file go, and the words in it are void."""
    other = Spool(memory_settings.data_dir / "spool")
    await other.append(turn(ANA, SECRET))
    erasing = asyncio.create_task(erase_user(memory, ANA))
    while await was_erased(memory) is False:
        await asyncio.sleep(0.01)
    assert not erasing.done()
    await other.replay(memory.turns.record)
    assert (await erasing).unfinished == ()
    assert SECRET not in dump(memory_settings)
    await other.close()


async def was_erased(memory: Memory) -> bool:
    return bool(
        await memory.db.run(lambda connection: connection.fetchval("select exists (select from erasures)"))
    )


async def test_a_spool_that_stays_held_is_named(memory, memory_settings, monkeypatch):
    """After the limit it is told as unfinished, and what comes out of that spool later is refused."""
    monkeypatch.setattr(erase, "SPOOL_LIMIT_S", 0.05)
    other = Spool(memory_settings.data_dir / "spool")
    await other.append(turn(ANA, SECRET))
    report = await erase_user(memory, ANA)
    assert len(report.unfinished) == 1 and "spool" in report.unfinished[0]
    await other.replay(memory.turns.record)
    assert await memory.turns.list(ANA) == []
    await other.close()


async def test_a_job_that_runs_meanwhile_learns_nothing(memory):
    """The model answers after the erasure: its facts are void, and the worker goes on with the next user."""
    await memory.turns.record(turn(ANA, f"I live with {SECRET}."))
    extractor = Learns()
    learning = asyncio.create_task(Learner(memory, extractor).learn(ANA))
    await extractor.asked.wait()
    await erase_user(memory, ANA)
    extractor.go.set()
    assert (await learning).facts == 0
    assert await memory.facts.list(ANA, include_closed=True) == []
    with pytest.raises(UserUnknown):
        await export_user(memory, ANA)


async def test_a_running_job_is_void_also_when_the_clock_of_the_call_was_fast(memory):
    """With a call two minutes ahead of Postgres, its turns look as if they were said after the erasure."""
    await memory.turns.record(turn(ANA, f"I live with {SECRET}.", datetime.now(UTC) + timedelta(minutes=2)))
    extractor = Learns()
    learning = asyncio.create_task(Learner(memory, extractor).learn(ANA))
    await extractor.asked.wait()
    await erase_user(memory, ANA)
    extractor.go.set()
    await learning
    assert await memory.facts.list(ANA, include_closed=True) == []


async def test_a_writer_that_commits_first_is_waited_for_and_erased(memory):
    """A turn on its way when the erasure begins is counted, and gone with the rest."""
    async with writing(memory, ANA, f"{SECRET} at the last moment"):
        erasing = asyncio.create_task(erase_user(memory, ANA))
        await someone_waits(memory)
        assert not erasing.done()
    assert (await erasing).turns == 1
    assert await memory.turns.list(ANA) == []


@asynccontextmanager
async def writing(memory: Memory, user_id: str, text: str):
    """A transaction that has recorded a turn and commits when the block ends."""
    said = turn(user_id, text)
    async with memory.db.dedicated() as connection, connection.transaction():
        await connection.execute(query("lock_user_shared"), user_id)
        ids = (user_id, said.agent_id, said.call_id, said.turn_id)
        what = (0, said.role, said.text, said.said_at, False, 1)
        heard_at = datetime.now(UTC)
        when = ("", heard_at, "", "")
        assert await connection.fetchval(query("insert_turn"), *ids, *what, ["word"], [1], *when)
        yield


async def someone_waits(memory: Memory) -> None:
    """Return once somebody waits for an advisory lock in this database."""
    waiting = """select exists (select from pg_locks where locktype = 'advisory' and not granted
        and database = (select oid from pg_database where datname = current_database()))"""
    while not await memory.db.run(lambda connection: connection.fetchval(waiting)):
        await asyncio.sleep(0.01)


async def test_a_writer_that_comes_second_finds_itself_erased(memory):
    """A turn that waited for the erasure to end is refused when its turn comes."""
    late = turn(ANA, f"{SECRET} at the last moment")
    async with memory.db.dedicated() as connection:
        async with connection.transaction():
            await connection.execute(query("lock_user_exclusive"), ANA)
            recording = asyncio.create_task(memory.turns.record(late))
            await someone_waits(memory)
            await connection.fetchval(query("tombstone"), ANA)
        assert await recording is False
    assert await memory.turns.list(ANA) == []


async def test_many_writers_against_an_erasure(memory):
    """Whatever the order: what is left was said after the erasure, and nothing before it."""
    recording = [
        asyncio.create_task(memory.turns.record(turn(ANA, f"{SECRET} {number}"))) for number in range(30)
    ]
    erasing = asyncio.create_task(erase_user(memory, ANA))
    while not erasing.done():
        recording.append(asyncio.create_task(memory.turns.record(turn(ANA, "again"))))
        await asyncio.sleep(0.005)
    report = await erasing
    await asyncio.gather(*recording)
    assert all(left.said_at > report.erased_at for left in await memory.turns.list(ANA))


async def test_a_hung_writer_stops_the_erasure_with_a_sentence(memory, monkeypatch):
    """Erasing half is never an option: nothing is gone, not even the tombstone is set."""
    monkeypatch.setattr(erase, "WRITERS_LIMIT_MS", 100)
    await memory.turns.record(turn(ANA, SECRET))
    async with writing(memory, ANA, "hangs"):
        with pytest.raises(StoreTimeout, match="nothing is erased yet"):
            await erase_user(memory, ANA)
    assert await was_erased(memory) is False
    assert len(await memory.turns.list(ANA)) == 2


async def test_without_redis_the_words_go_and_the_rest_is_named(memory_settings):
    """Jobs in a Redis that is away are the only thing left undone, and the report says so."""
    settings = memory_settings.model_copy(
        update={"redis_url": type(memory_settings.redis_url)("redis://127.0.0.1:1/0")}
    )
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        await memory.turns.record(turn(ANA, SECRET))
        report = await erase_user(memory, ANA)
        assert report.turns == 1
        assert len(report.unfinished) == 1 and "Redis" in report.unfinished[0]


async def test_without_postgres_nothing_is_erased_and_it_says_so(memory_settings, tmp_path):
    """The spool stays as it was: an erasure without its tombstone would not last."""
    settings = memory_settings.model_copy(
        update={"database_url": type(memory_settings.database_url)("postgresql://echoic@127.0.0.1:1/x")}
    )
    async with open_memory(settings, embedder=WordEmbedder(), need_stores=False) as memory:
        await memory.spool.append(turn(ANA, SECRET))
        with pytest.raises(StoreUnavailable):
            await erase_user(memory, ANA)
        assert len(await memory.spool.of_user(ANA)) == 1


async def test_a_call_in_another_process_forgets_at_once(memory, memory_settings):
    """Tier 1 of a running call holds the last calls' words: the notice empties it."""
    await fill(memory, ANA, SECRET)
    async with open_memory(memory_settings, embedder=WordEmbedder()) as other:
        call = await other.open_call(caller())
        assert call.recent.known
        while other.versions._salt is None:
            await asyncio.sleep(0.01)
        await erase_user(memory, ANA)
        while call.recent.known:
            await asyncio.sleep(0.01)
        assert SECRET not in (await call.recall(f"What about my {SECRET}, tell me?")).block


async def test_only_this_users_facts_of_an_agent_go(memory):
    """Facts kept for one agent, and users whose ids begin the same, are told apart."""
    mine = Fact(uuid4(), "ana", SECRET, "t", 0.5, "agent", "sales", datetime.now(UTC))
    hers = Fact(uuid4(), "ana2", "kept", "t", 0.5, "agent", "sales", datetime.now(UTC))
    vectors = await memory.embedder.embed_batch([mine.text, hers.text])
    await memory.db.transaction(lambda connection: memory.facts.add(connection, [mine, hers], vectors))
    report = await erase_user(memory, "ana")
    assert isinstance(report, EraseReport) and report.facts == 1
    assert [fact.text for fact in await memory.facts.list("ana2")] == ["kept"]
