"""Feeding the graph while worker or graph server die at any step: nothing is lost or doubled."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import uuid4

import asyncpg
import pytest

from echoic.memory.errors import StoreUnavailable
from echoic.memory.graph import ledger
from echoic.memory.graph.falkordb import backend as graph_falkordb
from echoic.memory.graph.groups import group_of
from echoic.memory.graph.neo4j import backend as graph_neo4j
from echoic.memory.privacy.erase import erase_user
from echoic.memory.store.queries import query
from echoic.workers.graph.feed import FactsFeed
from echoic.workers.graph.graphiti_env import load
from echoic.workers.graph.triplets import triplets_of
from tests.graph_servers import graph, kinds, relations, remove_one, saves_held
from tests.integration.graph_ingestion import *  # noqa: F403
from tests.integration.graph_ingestion import feeding, fetch, forget, learn
from tests.own_redis import OwnFalkorDB
from tests.worker_process import table_held, wait_until, waits_for_lock, worker_process

GRAPH_FIELDS = ("graph", "falkordb_url", "neo4j_url", "neo4j_user", "neo4j_password")
LIMIT_S, SAVING_LIMIT_S = 0.5, 3.0  # longer where the server must be caught saving
AGAIN_S = 45.0
UNASKED, BEGUN = "before it is asked", "before the batch is noted"
SAVING, SAVED = "in the middle of the save", "saved, before the ledger knows"
NAMES = "MATCH (n:Entity {group_id: $group}) RETURN n.name ORDER BY n.name"
LEEDS, VIOLIN = ("Lives in Leeds", None), ("Plays the violin", None)
WHOLE = {"Entity": 3, "RELATES_TO": 2}


def working(settings):
    """A worker process that feeds the graph, and learns nothing."""
    return worker_process(
        settings, {name: getattr(settings, name) for name in GRAPH_FIELDS} | {"extractor": "off"}
    )


async def begin(memory, ingester, user):
    """A graph that holds something, and more for it."""
    await learn(memory, user, "Lives in Leeds", names=("Leeds",))
    await ingester.ingest(user)
    await learn(memory, user, "Plays the violin", names=("violin",))


async def wait_up_to_date(ingester, memory, user):
    """Feed the graph as the sweeper would, again if a killed process's connection is still there."""

    async def is_up_to_date():
        # a server that has just begun takes longer than a save may, on a busy machine
        with suppress(StoreUnavailable):
            await ingester.ingest(user)
        return not await fetch(memory, "select from graph_due where user_id = $1", user)

    await wait_until(is_up_to_date, AGAIN_S)


async def assert_whole(settings, memory, user):
    """All that `begin` said stands there, once, and the ledger says so without having counted a failure."""
    assert relations(settings, user) == [LEEDS, VIOLIN] and kinds(settings, user) == WHOLE
    assert set(await fetch(memory, "select state, failures from batches")) == {("done", 0)}


@asynccontextmanager
async def group_held(settings, user):
    """The ledger notes nothing of what is saved into the caller's graph while the block runs."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        await connection.execute(query("add_graph_group"), user, "echoic", group_of(user, "echoic"))
        async with connection.transaction():
            await connection.execute("select from graph_groups where user_id = $1 for update", user)
            yield
    finally:
        await connection.close()


@asynccontextmanager
async def at_step(step, settings, memory, user, start):
    """Whatever `start` sets to work stands still at a step of the batch while the block runs."""
    if step == SAVING:
        async with saves_held(settings, user) as waiting:
            await start()
            await wait_until(waiting)
            yield
    else:
        async with table_held(settings, "batches") if step == BEGUN else group_held(settings, user):
            await start()
            await wait_until(lambda: waits_for_lock(memory))
            yield


@pytest.mark.parametrize("step", [BEGUN, SAVING, SAVED])
async def test_killed_at_any_step_a_batch_is_entered_once(step, settings, embedder, user):
    """kill -9; whoever sweeps next enters it: it stands there once."""
    async with feeding(settings, embedder) as (memory, ingester):
        await begin(memory, ingester, user)
        with working(settings) as process:
            async with at_step(step, settings, memory, user, lambda: memory.jobs.enqueue_graph(user)):
                process.kill()
                process.wait()
        await wait_up_to_date(ingester, memory, user)
        await assert_whole(settings, memory, user)
        assert len(await fetch(memory, "select from batches")) == 2


async def test_what_a_killed_worker_had_entered_can_be_forgotten(settings, embedder, user):
    """Saved, before the ledger knew; then the fact is forgotten: neither it nor what it names stays."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", names=("Leeds",))
        await ingester.ingest(user)
        (violin,) = await learn(memory, user, "Plays the violin", names=("violin",))
        with working(settings) as process:
            async with at_step(SAVED, settings, memory, user, lambda: memory.jobs.enqueue_graph(user)):
                process.kill()
                process.wait()
        assert relations(settings, user) == [LEEDS, VIOLIN]
        await forget(memory, user, "delete from facts where id = $1", violin.fact_id)
        await wait_up_to_date(ingester, memory, user)
        assert relations(settings, user) == [LEEDS]
        assert graph(settings, user, NAMES) == [("Caller",), ("Leeds",)]


@pytest.fixture
def planned(monkeypatch):
    """Has something happen once between what a batch will be and its beginning."""

    def planned(happen):
        plan = FactsFeed._plan

        async def plan_once(self, *args):
            monkeypatch.setattr(FactsFeed, "_plan", plan)
            what = await plan(self, *args)
            await happen()
            return what

        monkeypatch.setattr(FactsFeed, "_plan", plan_once)

    return planned


async def test_an_erasure_just_before_a_batch_begins_leaves_no_name(settings, embedder, user, planned):
    """Not even in the ledger, which would say for ever that this person had a graph."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", names=("Leeds",))
        planned(lambda: erase_user(memory, user))
        await ingester.ingest(user)
        for table in ("graph_groups", "graph_entered", "batches"):
            assert await fetch(memory, f"select from {table}") == []


async def test_a_no_while_a_graph_is_fed_ends_the_feeding(settings, embedder, user, planned):
    """It went on with the same batch without end, and nobody else was swept; after a yes the rest enters."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", names=("Leeds",))
        planned(lambda: memory.consents.write(user, "off"))
        async with asyncio.timeout(10):
            await ingester.ingest(user)
        assert relations(settings, user) == []
        await memory.consents.write(user, "on")
        await ingester.ingest(user)
        assert relations(settings, user) == [LEEDS]


async def test_two_workers_feed_once(settings, embedder, user):
    """The second finds the user taken, and enters nothing."""
    async with feeding(settings, embedder) as (memory, ingester), feeding(settings, embedder) as (_, other):
        await begin(memory, ingester, user)
        feed = Feeding(ingester, user)
        async with at_step(SAVED, settings, memory, user, feed.begin):
            assert (await other.ingest(user)).busy
        assert (await feed.task).batches == 1
        await assert_whole(settings, memory, user)


async def test_a_batch_in_which_workers_die_ends_dead(settings, embedder, user):
    """It is listed, and what is learned later goes on."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        ((fact_id,),) = await fetch(memory, "select id from facts")
        sql = (
            "insert into batches (batch_id, kind, agent_id, user_id, turn_ids, starts) values ($1, 'graph', "
            "'echoic', $2, $3, 6)"
        )
        await fetch(memory, sql, uuid4(), user, [fact_id])
        await learn(memory, user, "Dog is called Biscuit")
        report = await ingester.ingest(user)
        assert report.dead == 1 and relations(settings, user) == [("Dog is called Biscuit", None)]


async def test_what_cannot_be_entered_ends_alone(settings, embedder, user, monkeypatch):
    """A batch that fails gets smaller, until what is wrong is a dead letter alone and the rest is entered."""
    async with feeding(settings, embedder) as (memory, ingester):
        texts = [f"Friend Tom{number} likes boat number {number}" for number in range(40)]
        await learn(memory, user, *texts)
        store = load("echoic.workers.graph.graphiti_store", memory.embedder.dimensions)
        saving = store.GraphStore.save

        async def save(self, driver, nodes, edges, *more):
            if any("number 33" in edge.fact for edge in edges):
                raise store.GraphRefused
            await saving(self, driver, nodes, edges, *more)

        monkeypatch.setattr(store.GraphStore, "save", save)
        while (await ingester.ingest(user, hurry=True)).failed:
            continue
        assert [fact for fact, _ in relations(settings, user)] == sorted(
            text for text in texts if "number 33" not in text
        )
        assert await fetch(memory, "select cardinality(turn_ids) from batches where state = 'dead'") == [(1,)]


@pytest.fixture
def own_server(tmp_path):
    """A graph server that the test may halt, and kill and start again."""
    server = OwnFalkorDB(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def short_limits(monkeypatch, embedder):
    """While the block runs, what hangs is given up after so many seconds."""

    @contextmanager
    def shortened(limit_s):
        with monkeypatch.context() as patch:
            patch.setattr(load("echoic.workers.graph.graphiti_store", embedder.dimensions), "SAVE_S", limit_s)
            patch.setattr(graph_falkordb, "ALL_LIMIT_S", limit_s)
            patch.setattr(graph_neo4j, "ALL_LIMIT_S", limit_s)
            yield

    return shortened


async def test_a_hung_server_is_given_up_in_time(settings, own_server, embedder, user, short_limits):
    """Stopped before it is asked: the hard limit ends it, nothing is counted, and it goes on later."""
    settings = settings.model_copy(update=own_server.settings)
    async with feeding(settings, embedder) as (memory, ingester):
        await begin(memory, ingester, user)
        own_server.halt()
        try:
            with short_limits(LIMIT_S):
                async with asyncio.timeout(2 * LIMIT_S + 3):
                    for _ in range(2):
                        with pytest.raises(StoreUnavailable):
                            await ingester.ingest(user)
        finally:
            own_server.resume_conversation()
        await wait_up_to_date(ingester, memory, user)
        await assert_whole(settings, memory, user)


async def test_a_server_that_hangs_in_the_middle_of_a_save(
    settings, own_server, embedder, user, short_limits
):
    """Given up in time too; whether what was under way arrives or not, it stands there once."""
    settings = settings.model_copy(update=own_server.settings)
    async with feeding(settings, embedder) as (memory, ingester):
        await begin(memory, ingester, user)
        with short_limits(SAVING_LIMIT_S):
            feed = Feeding(ingester, user)
            async with at_step(SAVING, settings, memory, user, feed.begin):
                own_server.halt()
                try:
                    async with asyncio.timeout(SAVING_LIMIT_S + 2):
                        with pytest.raises(StoreUnavailable):
                            await feed.task
                finally:
                    own_server.resume_conversation()
        await wait_up_to_date(ingester, memory, user)
        await assert_whole(settings, memory, user)


@pytest.mark.parametrize("step", [UNASKED, SAVING, SAVED])
async def test_a_killed_server_that_comes_back(step, settings, own_server, embedder, user):
    """Empty, or with what it had promised to keep: all of it stands there once, also what was being saved."""
    settings = settings.model_copy(update=own_server.settings)
    async with feeding(settings, embedder) as (memory, ingester):
        await begin(memory, ingester, user)
        feed = Feeding(ingester, user)
        if step == UNASKED:
            own_server.kill()
            await feed.begin()
        else:
            async with at_step(step, settings, memory, user, feed.begin):
                own_server.kill()
        await feed.wait_given_up(own_server)
        await wait_up_to_date(ingester, memory, user)
        await assert_whole(settings, memory, user)


async def test_a_graph_lost_before_it_was_ever_counted(settings, own_server, embedder, user):
    """The first batch stands in the ledger, and its server dies before anybody has counted."""
    settings = settings.model_copy(update=own_server.settings)
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        feed = Feeding(ingester, user)
        async with at_step(SAVED, settings, memory, user, feed.begin):
            own_server.kill()
        await feed.wait_given_up(own_server)
        await wait_up_to_date(ingester, memory, user)
        assert relations(settings, user) == [LEEDS]


async def test_a_server_that_comes_back_with_less(settings, embedder, user):
    """An older state of it, say from a backup: what is missing of the facts is entered again."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", "Plays the violin")
        await ingester.ingest(user)
        await remove_one(settings, user)
        await learn(memory, user, "Has a dog")
        await wait_up_to_date(ingester, memory, user)
        assert [fact for fact, _ in relations(settings, user)] == [
            "Has a dog",
            "Lives in Leeds",
            "Plays the violin",
        ]


async def test_a_server_that_is_used_again_after_another(settings, embedder, user):
    """What was forgotten while the graphs were on the other kind of server is gone on the first one too, and
    nobody asks it before."""
    async with feeding(settings, embedder) as (memory, ingester):
        (leeds, _) = await learn(memory, user, "Lives in Leeds", "Plays the violin")
        await ingester.ingest(user)
        await fetch(memory, "update settings set value = 'another' where key = 'graph'")
        edges = list(triplets_of(group_of(user, "echoic"), [leeds]).edges)
        await fetch(memory, "delete from graph_entered where id = any($1)", edges)
        await fetch(memory, "delete from facts where id = $1", leeds.fact_id)
    async with feeding(settings, embedder) as (memory, ingester):
        await ledger.remember_backend(memory.db, memory.graph.name)
        assert await fetch(memory, "select refreshed_at from graph_groups") == [(None,)]
        await wait_up_to_date(ingester, memory, user)
        assert relations(settings, user) == [VIOLIN]


class Feeding:
    """The graph of a user, brought up to date in this process beside the test."""

    def __init__(self, ingester, user):
        self._ingester, self._user = ingester, user

    async def begin(self):
        self.task = asyncio.create_task(self._ingester.ingest(self._user))

    async def wait_given_up(self, server):
        """It ended for want of its server, which comes back for all tests, whatever came of this one."""
        try:
            with pytest.raises(StoreUnavailable):
                await self.task
        finally:
            await asyncio.to_thread(server.start)


async def test_an_erasure_waits_for_a_save_on_its_way(settings, embedder, user):
    """And then removes what it saved: nothing comes back."""
    async with feeding(settings, embedder) as (memory, ingester):
        await begin(memory, ingester, user)
        feed = Feeding(ingester, user)
        async with at_step(SAVING, settings, memory, user, feed.begin):
            erasing = asyncio.create_task(erase_user(memory, user))
            await wait_until(lambda: waits_for_lock(memory))
        await asyncio.gather(feed.task, erasing)
        await ingester.ingest(user)
        assert relations(settings, user) == [] and await fetch(memory, "select from graph_entered") == []
