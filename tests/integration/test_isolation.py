"""One bad element at the head of any queue, on the real stores: everybody behind it is served."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
import redis
from arq.constants import job_key_prefix
from typer.testing import CliRunner

from echoic.cli import app
from echoic.local.admin.doctor import examine
from echoic.memory.errors import (
    ConfigInvalid,
    ModelAnswerInvalid,
    ModelUnavailable,
    StoreTimeout,
    StoreUnavailable,
)
from echoic.memory.given_up import count_given_up, given_up, rerun
from echoic.memory.graph.erase import finish_erasures
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.service import open_memory
from echoic.memory.store import recorder as recorder_module
from echoic.memory.store.jobs import QUEUE
from echoic.memory.store.queries import query
from echoic.memory.store.spool import Spool
from echoic.memory.text.words import MOST_TEXT_CHARS
from echoic.memory.types import Caller, Turn
from echoic.workers import attempts
from echoic.workers import main as worker_module
from echoic.workers.learn.extractor import Extraction
from echoic.workers.learn.learner import Learner
from echoic.workers.sweep import DOWN_FOR_ALL, Order, sweep
from tests.embedders import WordEmbedder


def turn(user_id, text="words", **fields):
    said = Turn(uuid4(), user_id, "echoic", "call", 0, "user", text, datetime.now(UTC))
    return replace(said, **fields)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(recorder_module, "RETRY_S", (0.05,))


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


@asynccontextmanager
async def spooled(settings, *turns, embedder=None):
    """What a process that was killed left, replayed by one that comes."""
    dead = Spool(settings.data_dir / "spool")
    for one in turns:
        await dead.append(one)
    await dead.close()
    async with open_memory(settings, embedder=embedder or WordEmbedder()) as memory:
        memory.recorder.replay_soon()
        await memory.recorder._replaying
        yield memory


def words(count):
    return " ".join(f"word{number}" for number in range(count))


REFUSED = {
    # named in the issue
    "a value that Postgres refuses": turn("mallory", call_id="a\0b"),
    # not named
    "a notice longer than Postgres sends": turn("mallory", call_id="x" * 9_000),
    "an id longer than an index holds": turn(words(5_000)),
    "half a character": turn("mallory", agent_id="\udc80"),
    "a person whose id is no text": turn("mal\0lory"),
    "a zone that is no text": turn("mallory", timezone="\udcff"),
}


@pytest.mark.parametrize("form", REFUSED)
async def test_a_turn_that_postgres_refuses_stops_nobody(form, memory_settings):
    """It ends in its person's quarantine, listed with a reason, exported and erased; all others are rows."""
    bad = REFUSED[form]
    async with spooled(memory_settings, turn("ana"), bad, turn("bob")) as memory:
        for name in ("ana", "bob"):
            assert [one.text for one in await memory.turns.list(name)] == ["words"]
        (element,) = await given_up(memory.db, memory.spool)
        assert (element.kind, element.turns, element.user_id) == ("spool", 1, bad.user_id)
        assert "Postgres refuses this" in element.error and "cannot be reached" not in element.error
        assert (await count_given_up(memory.db, memory.spool))["spool"] == 1
        if bad.user_id == "mallory":
            (exported,) = (await export_user(memory, "mallory"))["set_aside"]
            assert exported["turns"][0]["text"] == "words" and exported["reason"] == element.error
            assert (await erase_user(memory, "mallory")).spooled == 1
            assert await given_up(memory.db, memory.spool) == []


async def test_a_chat_line_of_a_megabyte_is_stored_cut_and_marked(memory_settings):
    """150,000 distinct words, spooled by a version that did not cap them: a row like any other."""
    text = words(150_000)
    async with spooled(memory_settings, turn("mallory", text), turn("bob")) as memory:
        (kept,) = await memory.turns.list("mallory")
        assert len(kept.text) == MOST_TEXT_CHARS and kept.text.endswith(
            f"the text had {len(text):,} characters]"
        )
        assert len(await memory.turns.list("bob")) == 1 and not await memory.spool.set_aside()
        call = await memory.open_call(Caller("carol", "echoic", "call-2"))
        said = await call.record("item", "user", text)
        assert said.text == kept.text, "capped where it enters, too"


async def test_a_users_memory_that_somebody_locks_stops_nobody_else(memory_settings):
    """An erasure that hangs holds the lock of its user: their turns wait, and no try is counted."""
    settings = memory_settings.model_copy(update={"store_timeout_ms": 200})
    dead = Spool(settings.data_dir / "spool")
    for one in (turn("mallory", position=0), turn("mallory", position=1), turn("bob")):
        await dead.append(one)
    await dead.close()
    holder = await asyncpg.connect(settings.database_url.get_secret_value())
    await holder.execute("begin")
    await holder.execute(query("lock_user_exclusive"), "mallory")
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        for _ in range(5):
            await memory.spool.replay(memory.recorder._record_late)
        assert len(await memory.turns.list("bob")) == 1
        assert await memory.turns.list("mallory") == [] and await memory.spool.set_aside() == []
        await holder.close()
        await memory.recorder._replaying
        assert len(await memory.turns.list("mallory")) == 2


async def test_set_aside_is_tried_again(memory_settings):
    """Once the reason is gone, `rerun` brings the turn where it belongs."""
    async with spooled(memory_settings, turn("mallory")) as memory:
        await memory.db.run(
            lambda c: c.execute("alter table turns add constraint odd check (user_id <> 'mallory') not valid")
        )
        assert len(await memory.turns.list("mallory")) == 1
        await memory.recorder.record(turn("mallory", "later"))
        await memory.recorder._replaying
        assert [one.kind for one in await given_up(memory.db, memory.spool)] == ["spool"]
        await memory.db.run(lambda c: c.execute("alter table turns drop constraint odd"))
        assert len(await rerun(memory)) == 1
        assert [one.text for one in await memory.turns.list("mallory")] == ["words", "later"]
        assert await given_up(memory.db, memory.spool) == []


async def test_doctor_and_jobs_show_what_was_set_aside(memory_settings, embedder, monkeypatch):
    """And say what to do; the words stand in neither."""
    bad = turn("mallory", "xylquorvane", call_id="a\0b")
    async with spooled(memory_settings, bad, embedder=embedder):
        pass
    findings = {one.part: one async for one in examine(memory_settings, "none", "", {})}
    assert findings["Spool"].state == "broken" and "1 lines set aside" in findings["Spool"].says
    assert "echoic jobs" in findings["Spool"].advice
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(f"ECHOIC_{name.upper()}", getattr(memory_settings, name).get_secret_value())
    run = await asyncio.to_thread(
        CliRunner().invoke, app, ["jobs", "--data-dir", str(memory_settings.data_dir)]
    )
    assert run.exit_code == 0 and "user mallory, 1 lines" in run.output and "Postgres refuses" in run.output
    assert "xylquorvane" not in run.output + json.dumps(str(findings))


class Picky:
    """An extractor that learns from everybody, and fails for some in one way or another."""

    name = "picky"

    def __init__(self, **faults):
        self.faults = faults

    async def extract(self, turns, known, profile, embedder):
        if fault := self.faults.get(turns[0].user_id.rstrip("0123456789")):
            raise fault
        return Extraction()


async def states(memory, user_id):
    return {one.state for one in await memory.turns.list(user_id)}


@pytest.mark.parametrize(
    "fault",
    [ModelUnavailable("too long"), ModelAnswerInvalid(), KeyError("text"), StoreTimeout(), RecursionError()],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_batch_that_cannot_be_learned_stops_nobody(fault, memory, monkeypatch):
    """The oldest of the queue fail at every try; the others are learned, and those end dead."""
    monkeypatch.setattr(attempts, "AGAIN_AFTER_S", (0.0, 0.0))
    for name in (*(f"mallory{number}" for number in range(DOWN_FOR_ALL + 2)), "ana", "bob"):
        await memory.turns.record(turn(name, "My dog is called Biscuit."))
    learner, order = Learner(memory, Picky(mallory=fault)), Order()
    for _ in range(3):
        await sweep(memory, learner, idle_s=0, order=order)
    for name in ("ana", "bob"):
        assert await states(memory, name) == {"learned"}
    for number in range(8):  # each time somebody else is answered
        await memory.turns.record(turn(f"carol{number}", "My cat is called Mia."))
        await sweep(memory, learner, idle_s=0, order=order)
    assert {one.user_id for one in await given_up(memory.db, memory.spool)} == {
        f"mallory{number}" for number in range(DOWN_FOR_ALL + 2)
    }


async def test_a_model_that_is_down_costs_no_attempt(memory):
    """Nobody is answered: nothing is given up, however long it lasts."""
    for name in ("ana", "bob"):
        await memory.turns.record(turn(name, "My dog is called Biscuit."))
    learner, order = Learner(memory, Picky(ana=ModelUnavailable(), bob=ModelUnavailable())), Order()
    for _ in range(6):
        await sweep(memory, learner, idle_s=0, order=order)
    assert await given_up(memory.db, memory.spool) == [] and await states(memory, "ana") == {"open"}


class PickyEmbedder(WordEmbedder):
    """Refuses the texts of mallory, or everything."""

    down, fault = False, ModelUnavailable()

    async def embed_batch(self, texts):
        if self.down or any("mallory" in text for text in texts):
            raise self.fault
        return await super().embed_batch(texts)


@pytest.mark.parametrize(
    "fault",
    [
        ModelUnavailable(),
        ModelAnswerInvalid(),
        ValueError("shape"),
        UnicodeEncodeError("utf-8", "", 0, 1, ""),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_text_that_cannot_be_embedded_stops_no_other(fault, memory_settings):
    """More of them than a batch holds: those behind get vectors, and they are given up and tried again."""
    embedder = PickyEmbedder()
    embedder.fault = fault
    async with open_memory(memory_settings, embedder=embedder) as memory:
        for number in range(6):
            await memory.turns.record(turn("mallory", f"mallory {number}"))
        await memory.turns.record(turn("bob", "My dog is called Biscuit."))
        for _ in range(6):
            await memory.turns.index_missing(4)
        count = "select count(*) from turn_index where vector is null"
        assert await memory.db.run(lambda connection: connection.fetchval(count)) == 6
        (element,) = await given_up(memory.db, memory.spool)
        assert (element.kind, element.user_id, element.turns) == ("embed", "mallory", 6)
        await rerun(memory, element.batch_id)
        assert await given_up(memory.db, memory.spool) == []
        embedder.down = True
        for _ in range(4):
            with pytest.raises(type(fault)):
                await memory.turns.index_missing(4)
        assert await given_up(memory.db, memory.spool) == [], "an outage is nobody's fault"


class PickyGraphs:
    """A graph server that answers, and cannot remove one of its graphs."""

    def __init__(self):
        self.removed, self.down = [], False

    async def erase(self, group):
        if self.down or group == "stuck":
            raise StoreTimeout()
        self.removed.append(group)

    async def ping(self):
        if self.down:
            raise StoreUnavailable()
        return "picky"


async def test_a_graph_that_cannot_be_removed_stops_no_other(memory):
    """It comes last from then on, is shown with its reason, and is never forgotten."""
    backend = PickyGraphs()
    insert = "insert into graph_erasures (group_id, user_hash) values ($1, 'hash')"
    for group in ("stuck", "one", "two"):
        await memory.db.run(lambda connection, group=group: connection.execute(insert, group))
    for _ in range(3):
        with pytest.raises(StoreTimeout):
            await finish_erasures(memory.db, backend)
    assert backend.removed == ["one", "two"]
    (element,) = await given_up(memory.db, memory.spool)
    assert element.kind == "erase" and "does not remove it" in element.error
    backend.down = True
    with pytest.raises(StoreUnavailable):
        await finish_erasures(memory.db, backend)
    assert isinstance(element.batch_id, UUID) and len(await rerun(memory, element.batch_id)) == 1
    assert await given_up(memory.db, memory.spool) == []


def not_text(client):
    client.zadd(QUEUE, {b"learn:\xff\xfe": 0})


def not_json(client):
    client.set(f"{job_key_prefix}learn:odd", b"\x80not json")
    client.zadd(QUEUE, {"learn:odd": 0})


def of_a_function_that_is_gone(client):
    client.set(f"{job_key_prefix}learn:gone", json.dumps({"t": 1, "f": "gone", "a": [], "k": {}, "et": 0}))
    client.zadd(QUEUE, {"learn:gone": 0})


def of_nobody(client):
    job = {"t": 1, "f": "learn_user", "a": [{"a": 1}], "k": {}, "et": 0}
    client.set(f"{job_key_prefix}learn:nobody", json.dumps(job))
    client.zadd(QUEUE, {"learn:nobody": 0})


def no_queue_at_all(client):
    client.set(QUEUE, "a string")


@pytest.mark.parametrize("odd", [not_text, not_json, of_a_function_that_is_gone, of_nobody, no_queue_at_all])
async def test_a_job_that_cannot_be_read_stops_no_other(odd, memory, memory_settings, monkeypatch):
    """The jobs behind it are done, and the worker lives."""
    monkeypatch.setattr(worker_module, "RECONNECT_S", 0.05)
    await memory.turns.record(turn("bob", "My dog is called Biscuit."))
    with redis.Redis.from_url(memory_settings.redis_url.get_secret_value()) as client:
        odd(client)
    taking = asyncio.create_task(worker_module._take_jobs(memory, Learner(memory, Picky()), None))
    while not await memory.jobs.enqueue_learn("bob", hurry=True):
        await asyncio.sleep(0.05)  # until the queue is one again
    async with asyncio.timeout(20):
        while await states(memory, "bob") != {"learned"}:
            await asyncio.sleep(0.05)
    assert not taking.done()
    await worker_module._stop(taking)


@pytest.mark.parametrize("call_id", ["x" * 9_000, "a\0b", "half \udc80", ""])
async def test_the_name_of_a_call_is_never_what_is_refused(call_id, memory):
    """A room may be called anything: its turns are rows at once, and known again in the same call."""
    call = await memory.open_call(Caller("ana", "echoic", call_id))
    assert await call.record("item", "user", "words") is not None and not memory.spool.waiting
    again = await memory.open_call(Caller("ana", "echoic", call_id))
    assert [item.text for item in again.recent.now] == ["words"]


@pytest.mark.parametrize("agent_id", ["", " ", "x" * 201, "caf\udce9", "a\0b"])
async def test_an_agent_that_no_store_can_name_is_refused(agent_id, memory):
    """Where it enters, with a sentence."""
    with pytest.raises(ConfigInvalid, match="An agent id is 1 to 200 characters"):
        await memory.open_call(Caller("ana", agent_id, "call"))
