"""A host whose clock is wrong: what is said is dated, aged and told by the database's clock alone."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from echoic.agent.reply import known_block
from echoic.memory.chat.written import Words, keep_words
from echoic.memory.privacy.maintenance import maintain
from echoic.memory.service import open_memory
from echoic.workers.maintenance import maintain_when_due
from tests.embedders import WordEmbedder
from tests.integration.test_clocks import OWN_CLOCK
from tests.remembered import caller, fact, learn

DAY = timedelta(days=1)


@pytest.fixture
def host(memory_settings):
    """Sets how far the database's clock is ahead of this host's; turns and facts are kept for 90 days."""

    def set_back(interval):
        with psycopg.connect(memory_settings.database_url.get_secret_value(), autocommit=True) as connection:
            connection.execute(OWN_CLOCK.format(ahead=interval))
            name = connection.info.dbname
            connection.execute(f"alter database {name} set search_path = skewed, public, pg_catalog")
        return memory_settings.model_copy(update={"retention_days": 90})

    return set_back


async def said(memory, text):
    call = await memory.open_call(caller())
    turn = await call.record(uuid4().hex, "user", text)
    await call.end()
    return turn


async def texts(memory):
    return [one.text for one in await memory.turns.list("ana")]


async def test_what_was_just_said_outlives_a_night_of_a_host_a_year_ahead(host):
    """Said in a call, or written elsewhere with a date of its own."""
    async with open_memory(host("-1 year"), embedder=WordEmbedder()) as memory:
        turn = await said(memory, "I am allergic to nuts.")
        written = Words("w", "user", "And to eggs.", memory.clock.now() - timedelta(minutes=1))
        await keep_words(memory, caller(), [written])
        stored = {one.text: one.said_at for one in await memory.turns.list("ana")}
        assert stored["And to eggs."] == written.said_at
        assert abs(stored[turn.text] - memory.clock.now()) < timedelta(minutes=1)
        await learn(memory, fact("Is allergic to nuts", said_at=turn.said_at, turn_ids=(turn.turn_id,)))
        done = await maintain(memory, "ana")
        assert (done.turns, done.archived, len(await texts(memory))) == (0, 0, 2)


async def test_a_process_that_has_not_asked_the_database_yet_deletes_nothing_by_its_own_clock(host):
    """Its first connection is that of the night."""
    settings = host("-1 year")
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        await said(memory, "I am allergic to nuts.")
    async with open_memory(settings, embedder=WordEmbedder(), need_stores=False) as memory:
        await memory.versions.close()
        assert (await maintain(memory, "ana")).nothing and len(await texts(memory)) == 1


async def test_what_was_said_now_is_said_now_on_a_host_a_day_ahead(host):
    """In this call and in the one before."""
    async with open_memory(host("-1 day"), embedder=WordEmbedder()) as memory:
        await said(memory, "My boat is called Biscuit.")
        call = await memory.open_call(caller())
        turn = await call.record("1", "user", "My bike is called Bell.")
        assert abs(turn.said_at - memory.clock.now()) < timedelta(minutes=1)
        block = (await call.recall("What is my boat called?", budget_s=10)).block
        assert "Biscuit" in block and "said yesterday" not in block, block
        await call.end()


async def test_a_promise_is_due_at_the_greeting_on_a_host_a_day_behind(host):
    """It fell due an hour ago."""
    async with open_memory(host("1 day"), embedder=WordEmbedder()) as memory:
        due = memory.clock.now() - timedelta(hours=1)
        promised = fact("Call back about the boiler", topic="promises", kind="promise", due=due, said_at=due)
        await learn(memory, promised)
        call = await memory.open_call(caller())
        assert "Promised, and due now" in known_block(call), known_block(call)
        await call.end()


async def test_a_night_noted_ahead_of_now_is_not_done(memory_settings):
    """A host a year ahead noted it: nobody's nights of that year are lost."""
    now = datetime.now(UTC)
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        assert await maintain_when_due(memory, now) is None, "a new database begins with the next night"
        assert await maintain_when_due(memory, now + 365 * DAY) is not None
        assert await maintain_when_due(memory, now + 2 * DAY) is not None
        assert await maintain_when_due(memory, now + 2 * DAY) is None
