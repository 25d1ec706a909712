"""Host and database disagree about the time: what was erased stays away, and what is said is kept."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from echoic.memory.clock import Clock, moment, monotonic_of
from echoic.memory.direct import OpenMemory
from echoic.memory.privacy.erase import erase_user
from echoic.memory.service import open_memory
from echoic.memory.store.consent import Pauses
from echoic.memory.store.spool import Spool
from echoic.memory.types import Caller, Turn
from echoic.workers.learn.extractor import Extraction
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder

AHEAD = [
    "-1 day",
    "-1 hour",
    "-5 minutes",
    "-1500 milliseconds",
    "0",
    "1500 milliseconds",
    "5 minutes",
    "1 hour",
    "1 day",
]
"""How far the database's clock is ahead of this host's."""
OWN_CLOCK = """
create schema skewed;
create function skewed.clock_timestamp() returns timestamptz language sql volatile as
$$ select pg_catalog.clock_timestamp() + interval '{ahead}' $$;
create function skewed.now() returns timestamptz language sql stable as
$$ select pg_catalog.now() + interval '{ahead}' $$;
"""
"""Functions of this name are found before Postgres' own: a database whose clock is wrong."""


@pytest.fixture(params=AHEAD)
def settings(request, memory_settings):
    url = memory_settings.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(OWN_CLOCK.format(ahead=request.param))
        name = connection.info.dbname
        connection.execute(f"alter database {name} set search_path = skewed, public, pg_catalog")
    return memory_settings


@pytest.fixture
async def memory(settings):
    async with open_memory(settings, embedder=WordEmbedder()) as opened:
        yield opened


def caller():
    return Caller("ana", "echoic", uuid4().hex)


async def texts(memory):
    return [one.text for one in await memory.turns.list("ana")]


async def say(call, text):
    return await call.record(uuid4().hex, "user", text)


async def test_said_after_the_erasure_is_kept_and_said_before_is_not(memory):
    """In a call that goes on, in a new call, and in a call of a process that could not write until now."""
    before = await memory.open_call(caller())
    assert await say(before, "before")
    early = Turn(uuid4(), "ana", "echoic", "c", 0, "user", "early", datetime.now(UTC))
    early_heard = memory.clock.now()
    await erase_user(memory, "ana")
    assert await texts(memory) == []
    assert await say(before, "after") is not None
    assert await say(await memory.open_call(caller()), "later") is not None
    assert sorted(await texts(memory)) == ["after", "later"]
    late = Turn(uuid4(), "ana", "echoic", "c", 0, "user", "late", early.said_at, heard_at=early_heard)
    assert await memory.turns.record(late) is False, "heard before"


async def test_a_spool_of_this_host_is_told_from_what_came_later(memory, settings):
    """Lines without the database's time: a process that found Postgres down from its start wrote them."""
    await erase_user(memory, "ana")
    for text, minutes in (("old", -9), ("new", 0)):
        dead = Spool(settings.data_dir / "spool")
        said_at = datetime.now(UTC) + timedelta(minutes=minutes)
        await dead.append(Turn(uuid4(), "ana", "echoic", "call", 0, "user", text, said_at))
        await dead.close()
    memory.recorder.replay_soon()
    await memory.recorder._replaying
    assert await texts(memory) == ["new"]


async def test_void_is_never_told_as_stored(memory):
    """A turn that was heard before its person was erased, and comes after, is known to be kept nowhere."""
    call = await memory.open_call(caller())
    said_at = datetime.now(UTC) - timedelta(seconds=1)
    told = []
    memory.recorder.watchers.append(lambda turn, stored: told.append(stored))
    await erase_user(memory, "ana")
    assert await call.record("item", "user", "too late", said_at) is None
    assert told == ["void"] and await texts(memory) == [] and call.recent.now == ()
    assert await say(call, "in time") is not None and told == ["void", "row"]


async def test_a_no_counts_from_the_moment_it_is_said(memory):
    """Also in another process, and a yes later likewise."""
    call, other = await memory.open_call(caller()), await memory.open_call(caller())
    assert await say(call, "before the no")
    await call.decide(False)
    assert await say(call, "after the no") is None
    assert await say(other, "elsewhere after the no") is None
    await call.decide(True)
    assert await say(other, "after the yes") is not None
    assert sorted(await texts(memory)) == ["after the yes", "before the no"]


async def test_what_somebody_tells_of_another_day_is_kept(memory):
    """A person who was erased is told about anew: the date of the words is not when they were told."""
    memory_open = OpenMemory(memory)
    await memory_open.record("ana", "first")
    await memory_open.erase("ana")
    said_at = datetime(2024, 5, 1, tzinfo=UTC)
    assert (await memory_open.record("ana", "told again", said_at=said_at)).said_at == said_at
    (kept,) = await memory.turns.list("ana")
    assert kept.said_at == said_at


async def test_written_down_is_the_databases_time(memory):
    """What is asked about "today" on another host is then right; clocks that agree change nothing."""
    call = await memory.open_call(caller())
    said = await say(call, "words")
    (kept,) = await memory.turns.list("ana")
    right = await memory.db.run(lambda connection: connection.fetchval("select clock_timestamp()"))
    assert abs((right - kept.said_at).total_seconds()) < 5
    if abs((right - datetime.now(UTC)).total_seconds()) < 1:
        assert kept.said_at == said.said_at


class Nothing:
    name = "nothing"

    async def extract(self, turns, known, profile, embedder):
        return Extraction()


async def test_what_is_said_is_learned_after_an_erasure(memory):
    """Learning asks whether the rows are there, and no clock."""
    await erase_user(memory, "ana")
    await say(await memory.open_call(caller()), "My dog is called Biscuit.")
    assert (await Learner(memory, Nothing()).learn("ana")).turns == 1


def test_one_late_answer_moves_no_clock():
    """An answer that took long says little; one that was quick corrects what a slow one left open."""
    clock, now = Clock(), datetime.now(UTC)
    clock.set(now, moment())
    exact = clock.now()
    clock.set(now - timedelta(seconds=3), moment() - 60)
    assert abs((clock.now() - exact).total_seconds()) < 0.5
    clock.set(now + timedelta(hours=1), moment())
    assert abs((clock.now() - now - timedelta(hours=1)).total_seconds()) < 0.5


@pytest.mark.parametrize("slept_s", [600, 8 * 3_600, 30 * 86_400])
def test_a_night_of_sleep_is_counted(slept_s, monkeypatch):
    """A laptop that slept: Python's own monotonic clock stood still, and an erasure may have come."""
    clock, awake, now = Clock(), time.monotonic, datetime.now(UTC)
    clock.set(now, moment())
    pauses = Pauses()
    monkeypatch.setattr(time, "monotonic", lambda: awake() - slept_s)
    assert abs((clock.now() - now).total_seconds()) < 5
    assert abs((clock.of(now) - now).total_seconds()) < 5
    pauses.begin()
    assert pauses.cover(monotonic_of(datetime.now(UTC)) + 1) and not pauses.cover(monotonic_of(now) - 1)
