"""Live events: in order, none lost over a cut, to those alone who may see them."""

import asyncio
import json
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import httpx
import pytest

from echoic.api.access.keys import add_key, revoke_key
from echoic.api.routes.live import events as stream
from echoic.memory.privacy.erase import erase_user
from echoic.memory.review import events as feed_module
from echoic.memory.review.events import BEGINNING, EventFeed, events_after
from echoic.memory.store import batches
from echoic.memory.store.queries import query
from echoic.memory.types import ForgetRequest, Forgotten
from tests.remembered import caller, fact, learn, say


class Reader:
    """Reads a stream event by event."""

    def __init__(self, lines):
        self._lines = lines
        self.ids = []

    async def next(self, count=1):
        """The kinds and data of the next events."""
        found, one = [], {}
        while len(found) < count:
            line = await asyncio.wait_for(anext(self._lines), 15)
            name, _, value = line.partition(": ")
            if line and name:
                one[name] = value
            elif "event" in one:
                self.ids.append(one["id"])
                found.append((one["event"], json.loads(one["data"])))
                one = {}
        return found


@asynccontextmanager
async def following(served, address, path="/v1/events", role="admin", user_id=None, **headers):
    key, _ = await add_key(served.memory.db, "a page", role, user_id)
    async with asking(address, key) as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith(":")
        yield Reader(lines)


def asking(address, key):
    return httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=20)


def kinds(events):
    return [kind for kind, _ in events]


async def unlink_while_followed(memory, told):
    """Whose events are told first before and after a link is taken back: `told` reads one event's user."""
    await say(memory, "My boat is called Ada.", user_id="web")
    before = {await told(), await told()}  # captured, and queued to be learned
    await memory.links.remove("phone:1", "web")
    await say(memory, "I see my doctor on Friday.", user_id="web")
    await say(memory, "I am on the phone.", user_id="phone:1")
    return before, await told()


async def test_a_link_taken_back_ends_what_a_running_stream_tells(served, address):
    """Nothing more of the other id; the own one goes on."""
    await served.memory.links.add("phone:1", "web", made_by="a test")
    async with following(served, address, "/v1/users/phone:1/events", "user", "phone:1") as reader:

        async def told():
            return (await reader.next())[0][1]["user_id"]

        assert await unlink_while_followed(served.memory, told) == ({"web"}, "phone:1")


async def test_what_happens_is_told_in_order(served, address):
    """Turns, learning, facts, forgetting, erasure: from whatever process, and without a word of it."""
    memory = served.memory
    async with following(served, address) as reader:
        (turn,) = await say(memory, "My dog is called Biscuit.")

        async def work(connection):
            return await batches.begin(connection, "ana", "learn", [turn.turn_id])

        batch = await memory.db.transaction(work)
        known = fact("Has a dog called Biscuit")
        await learn(memory, known)
        await memory.db.run(lambda connection: batches.finish(connection, "ana", batch.batch_id, 1))
        await memory.forgetter.forget_rows(
            caller(), ForgetRequest(fact_ids=frozenset({known.fact_id})), Forgotten(facts={known.fact_id})
        )
        await erase_user(memory, "ana")
        told = await reader.next(7)
    assert kinds(told) == [
        "turn.captured",
        "learning.queued",
        "learning.running",
        "fact.added",
        "learning.done",
        "memory.forgotten",
        "user.erased",
    ]
    assert told[0][1]["turn_id"] == told[1][1]["turn_id"] == str(turn.turn_id)
    assert told[3][1]["fact_id"] == str(known.fact_id)
    assert "Biscuit" not in str(told) and told[-1][1]["user_id"] is None


async def test_failures_are_told_with_their_number(served, address):
    """Tried again, then given up."""
    memory = served.memory
    async with following(served, address) as reader:
        batch = await memory.db.transaction(lambda one: batches.begin(one, "ana", "learn", [uuid4()]))
        for _ in range(2):
            await memory.db.run(lambda one: batches.fail(one, "ana", batch.batch_id, "no answer", 2))
        told = await reader.next(3)
    assert kinds(told) == ["learning.running", "learning.failed", "learning.given_up"]
    assert [data.get("failures") for _, data in told] == [None, 1, 2]


async def test_a_stream_goes_on_where_it_was_cut_off(served, address):
    """Each event once, in order, also those of the time between."""
    async with following(served, address) as reader:
        await say(served.memory, "one", "two")
        await reader.next(2)
    await say(served.memory, "three", call_id="c")
    async with following(served, address, **{"Last-Event-ID": reader.ids[0]}) as again:
        await say(served.memory, "four", call_id="d")
        queued, *told = await again.next(4)
    assert queued[0] == "learning.queued" and again.ids[0] == reader.ids[1]
    assert [data["call_id"] for _, data in told] == ["call", "c", "d"]


async def test_a_transaction_that_commits_late_is_not_skipped(served, address):
    """Its number is lower than that of what committed before: it is told after all, and told first."""
    async with following(served, address) as reader, served.memory.db.dedicated() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute("insert into forgotten (id, user_id) values ($1, 'slow')", uuid4())
        await say(served.memory, "quick")
        await asyncio.sleep(0.1)
        await transaction.commit()
        told = await reader.next(2)
    assert [data["user_id"] for _, data in told] == ["slow", "ana"]


async def test_an_event_is_told_when_an_older_transaction_ends_between_two_looks(
    served, address, monkeypatch
):
    """That one wrote no event, so that nobody gives notice: what waited for it is looked for again."""
    read, looked = feed_module.events_after, []

    async with following(served, address) as reader, served.memory.db.dedicated() as older:
        transaction = older.transaction()
        await transaction.start()
        await older.execute("select pg_current_xact_id()")

        async def then_it_ends(*args, **how):
            found = await read(*args, **how)
            if not looked and not found and await waiting(served.memory.db):
                looked.append(True)
                await transaction.commit()
            return found

        monkeypatch.setattr(feed_module, "events_after", then_it_ends)
        await say(served.memory, "one")
        assert kinds(await reader.next()) == ["turn.captured"] and looked


async def waiting(db):
    return await db.run(lambda connection: connection.fetchval(query("events_pending")))


async def test_what_happens_before_the_feed_first_looks_is_told(memory):
    """It has just been started and the machine is busy: who subscribed and read what they missed hears it."""
    feed, told = EventFeed(memory.db), asyncio.Queue()
    leave = await feed.subscribe(told.put_nowait)
    await say(memory, "one")
    feed.start()
    try:
        assert (await asyncio.wait_for(told.get(), 30)).kind == "turn.captured"
    finally:
        leave()
        await feed.close()


async def test_a_persons_stream_holds_their_events_only(served, address):
    """Also at the end: that they were erased."""
    async with following(served, address, "/v1/users/ana/events", "user", "ana") as reader:
        await say(served.memory, "I am Bo.", user_id="bo")
        await learn(served.memory, fact("Has a cat", "bo"))
        await learn(served.memory, fact("Has a dog", "ana"))
        await erase_user(served.memory, "bo")
        await erase_user(served.memory, "ana")
        told = await reader.next(2)
    assert kinds(told) == ["fact.added", "user.erased"] and told[0][1]["user_id"] == "ana"


async def test_what_was_erased_is_told_no_more(served, address):
    """Who reads from an id before the erasure learns that somebody was erased, and nothing else."""
    await say(served.memory, "I am Ana.")
    await erase_user(served.memory, "ana")
    assert [one.kind for one in await events_after(served.memory.db, BEGINNING)] == ["user.erased"]


@pytest.mark.parametrize("last", ["x", "1", "1-", "-1-2", "1-2-3", "9" * 19 + "-1", "1-1' or true --"])
async def test_an_id_that_is_none_is_refused(admin, last):
    """Without a stream."""
    answer = await admin.get("/v1/events", headers={"Last-Event-ID": last})
    assert answer.status_code == 400 and answer.json()["type"].endswith("event-id-invalid")


async def test_a_stream_ends_with_its_key(served, address, monkeypatch):
    """A revoked key is noticed at the next heartbeat."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    key, listed = await add_key(served.memory.db, "a page", "admin")
    async with asking(address, key) as client, client.stream("GET", "/v1/events") as answer:
        await revoke_key(served.memory.db, listed.key_id)
        async with asyncio.timeout(10):
            assert [line async for line in answer.aiter_lines()][-1] == ""


async def test_a_stream_goes_on_while_its_key_counts(served, address, monkeypatch):
    """However many spaces stand before it."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    key, _ = await add_key(served.memory.db, "a page", "admin")
    async with asking(address, f" {key}") as client, client.stream("GET", "/v1/events") as answer:
        lines = answer.aiter_lines()
        async with asyncio.timeout(10):
            assert [await anext(lines) for _ in range(7)].count(": still here") == 2


async def test_more_streams_than_there_may_be_are_refused(served, address):
    """Politely; those that are open go on."""
    served.app.state.streams = asyncio.Semaphore(1)
    async with following(served, address) as reader, served.client() as client:
        refused = await client.get("/v1/events")
        assert refused.status_code == 503 and refused.headers["retry-after"]
        await say(served.memory, "one")
        assert kinds(await reader.next()) == ["turn.captured"]


async def test_events_are_heard_again_after_the_connection_was_lost(served, address):
    """What happened meanwhile included."""
    end = """select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%echoic_events%' and pid <> pg_backend_pid()"""
    async with following(served, address) as reader:
        connection = await asyncpg.connect(served.memory.settings.database_url.get_secret_value())
        await connection.execute(end)
        await connection.close()
        await say(served.memory, "one")
        assert kinds(await reader.next()) == ["turn.captured"]


async def test_a_client_that_is_too_slow_goes_on_from_its_last_id(served, address, monkeypatch):
    """Its stream is ended rather than kept in memory; from the id with which it began, it misses nothing."""
    held, read = asyncio.Event(), stream._missed

    async def slowly(*args):
        await held.wait()
        async for event in read(*args):
            yield event

    monkeypatch.setattr(stream, "QUEUED", 2)
    monkeypatch.setattr(stream, "_missed", slowly)
    key, _ = await add_key(served.memory.db, "a page", "admin")
    async with asking(address, key) as client, client.stream("GET", "/v1/events") as answer:
        lines = answer.aiter_lines()
        began = [await anext(lines), await anext(lines)][1].removeprefix("id: ")
        handed: asyncio.Queue[object] = asyncio.Queue()
        leave = await served.app.state.feed.subscribe(handed.put_nowait)
        await say(served.memory, "one", "two", "three")
        for _ in range(3):  # each is handed to everyone at once: the stream's queue is full then
            await asyncio.wait_for(handed.get(), 30)
        leave()
        held.set()
        async with asyncio.timeout(10):
            assert [line async for line in lines][-1] == ""
    async with following(served, address, **{"Last-Event-ID": began}) as again:
        assert len(await again.next(3)) == 3
