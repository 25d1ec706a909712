"""A person with very many facts: a call begins with the important ones, a page that hangs is a sentence."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.errors import StoreTimeout
from echoic.memory.privacy import named
from echoic.memory.privacy.forget import forget
from echoic.memory.service import open_memory
from echoic.memory.store import database as database_module
from echoic.memory.store.database import Database
from echoic.memory.store.queries import query
from echoic.memory.text.language import languages
from echoic.memory.types import Caller, ForgetRequest
from tests.embedders import WordEmbedder

FACTS = 4_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


async def plant(memory, count):
    vector = [0.1] * memory.settings.embedding_dimensions

    def payload(number):
        said_at = (START + timedelta(minutes=number)).isoformat()
        fact = {
            "user_id": "ana",
            "data": f"Fact {number}",
            "said_at": said_at,
            "names": [f"Zoe{number % 50}"],
        }
        return json.dumps(fact | {"importance": number % 9 / 10})

    async def put(connection):
        sql = "insert into facts (id, vector, payload) values ($1, $2, $3)"
        await connection.executemany(sql, [(uuid4(), vector, payload(number)) for number in range(count)])
        await connection.execute("analyze facts")

    await memory.db.run(put, timeout_s=60)


async def test_a_call_begins_without_reading_every_fact(memory):
    """The most important ones, the last said first; and the names in them."""
    await plant(memory, FACTS)
    caller = Caller("ana", "echoic", "call")
    expected = sorted(range(FACTS), key=lambda number: (-(number % 9), -number))[:8]
    assert [one.text for one in await memory.facts.profile(caller, 8)] == [f"Fact {one}" for one in expected]
    assert len(await memory.facts.names(caller, 40)) == 40
    now = datetime.now(UTC)
    args = (["ana"], "echoic", 8, now, now - timedelta(days=30))

    async def pages(connection):
        (plan,) = await connection.fetchrow(
            f"explain (analyze, buffers, format json) {query('profile')}", *args
        )
        root = json.loads(plan)[0]["Plan"]
        return root["Shared Hit Blocks"] + root["Shared Read Blocks"]

    assert await memory.db.run(pages) < FACTS / 10


TURNS = """
    insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at, state)
    select gen_random_uuid(), 'ana', 'echoic', 'call-' || n / 30, n % 30, 'user', 'A boat.', now(), 'learned'
    from generate_series(1, 1500) n;
    insert into postings select 'ana', 'boat', ref, 1 from turns;
    insert into postings select 'ana', 'word-' || n % 500, -n, 1 from generate_series(1, 100000) n;
    create function slow() returns trigger language plpgsql as
        $$ begin perform pg_sleep(0.002); return old; end $$;
    create trigger slow before delete on turns for each row execute function slow();
    analyze turns; analyze postings;
"""
SAID = """
    insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at, state)
    select gen_random_uuid(), 'ana', 'echoic', 'call', n,
        case when n = 701 then 'assistant' else 'user' end, case when n = 700 then 'Mein Zéppelin fliegt.'
        when n = 701 then 'Zeppelins fly high.' when n = 900 then 'I wrote an e-mail.' else 'A boat.' end,
        now() + make_interval(secs => n), 'learned' from generate_series(1, 1500) n
"""


@pytest.mark.parametrize(
    ("what", "found"),
    [("my zeppelin", ["Mein Zéppelin fliegt.", "Zeppelins fly high."]), ("my email", ["I wrote an e-mail."])],
)
async def test_what_is_named_is_looked_for_by_postgres(what, found, memory, monkeypatch):
    """Of a long past only what may name it is read, and what was said next."""
    await memory.db.run(lambda connection: connection.execute(SAID))
    read, tokens = [], named.tokens
    monkeypatch.setattr(named, "tokens", lambda text: read.append(text) or tokens(text))
    call = await memory.open_call(Caller("ana", "echoic", "now"))
    call.recent.clear()
    known = await named.find_named(call, what, languages()["en"])
    assert [item.text for item in known.turns] == found and known.sure
    assert read.count("A boat.") < 10


async def test_what_was_said_for_years_is_forgotten_all_the_same(memory_settings):
    """It takes longer than a lookup may, and no turn a look at all the words of its person."""
    settings = memory_settings.model_copy(update={"store_timeout_ms": 2_000})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        await memory.db.run(lambda connection: connection.execute(TURNS), timeout_s=60)
        ids = [turn.turn_id for turn in await memory.turns.list("ana")]

        async def pages(connection):
            async with connection.transaction():
                asked = f"explain (analyze, buffers, format json) {query('forget_turns')}"
                (plan,) = await connection.fetchrow(asked, "ana", ids[:1])
            root = json.loads(plan)[0]["Plan"]
            return root["Shared Hit Blocks"] + root["Shared Read Blocks"]

        assert await memory.db.run(pages) < 100
        call = await memory.open_call(Caller("ana", "echoic", "now"))
        await forget(call, ForgetRequest(lone_turn_ids=frozenset(ids)))
        assert await memory.turns.list("ana") == []


@asynccontextmanager
async def in_a_transaction(connection):
    async with connection.transaction():
        yield


@pytest.mark.parametrize("fence", [None, in_a_transaction])
async def test_a_page_that_hangs_is_told_as_that(fence, memory, monkeypatch):
    """And not as what follows from it: a connection that was given up cannot end its transaction."""
    monkeypatch.setattr(database_module, "PAGE_S", 0.2)
    if fence is not None:
        memory.db.fence = fence

    async def read():
        async with memory.db.snapshot() as snapshot:
            return [row async for row in snapshot.rows("select pg_sleep(20)")]

    with pytest.raises(StoreTimeout, match=r"within 0\.2 s"):
        await read()
    await memory.db.ping()


async def test_what_the_reader_meets_stays_its_own(memory):
    """A full disk on the reader's side is no fault of Postgres."""
    with pytest.raises(OSError, match="no space"):
        async with memory.db.snapshot():
            raise OSError("no space")


async def test_a_crowd_on_one_connection_is_no_store_that_hangs(memory_settings):
    """Who waits for a connection waits on while others get and return it: six times 0.5 s, with 2 s for
    each; behind a statement that hangs, nobody waits longer than that."""
    database = Database(memory_settings.database_url.get_secret_value(), pool_size=1, timeout_s=2)

    def sleeping(seconds):
        return database.run(lambda connection: connection.fetchval("select 1 from pg_sleep($1)", seconds))

    try:
        await database.ping()
        assert await asyncio.gather(*(sleeping(0.5) for _ in range(6))) == [1] * 6
        failed = await asyncio.gather(*(sleeping(20) for _ in range(3)), return_exceptions=True)
        assert [type(one) for one in failed] == [StoreTimeout] * 3
        await database.ping()
    finally:
        await database.close()


async def test_among_others_that_are_answered_a_statement_that_hangs_has_its_limit(memory_settings):
    """And who names a limit means all of it, the wait for a connection too."""
    database = Database(memory_settings.database_url.get_secret_value(), pool_size=2, timeout_s=3)
    lent, more = asyncio.Event(), []

    async def hang(connection):
        lent.set()
        await connection.fetchval("select pg_sleep(20)")

    async def crowd():
        while True:
            await database.run(lambda connection: connection.fetchval("select pg_sleep(0.05)"))

    others = asyncio.create_task(crowd())
    try:
        async with asyncio.timeout(5.5):  # twice the limit would be six
            with pytest.raises(StoreTimeout):
                await database.run(hang)
        lent.clear()
        hung = asyncio.create_task(database.run(hang))
        await lent.wait()
        more = [asyncio.create_task(database.run(hang, timeout_s=20)) for _ in range(2)]
        with pytest.raises(StoreTimeout, match=r"within 0\.3 s"):
            await database.run(hang, timeout_s=0.3)
        with pytest.raises(StoreTimeout):
            await hung
    finally:
        for task in (others, *more):
            task.cancel()
        await database.close()
