"""The worker process and its queue: killed at each step of a batch, Redis wiped, hung, gone and back.

Nothing lost, nothing twice.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta

import pytest
import redis

import echoic.workers.main
import echoic.workers.sweep
from echoic.memory.service import open_memory
from echoic.memory.store.jobs import QUEUE, JobQueue, open_redis
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from echoic.workers.main import run_worker
from echoic.workers.sweep import sweep
from tests.fakes import ScriptedModel, facts, on_known, operation
from tests.own_redis import OwnRedis, writes_paused
from tests.processes import ROOT
from tests.remembered import NOW, fact, learn, say
from tests.worker_process import table_held, wait_until, waits_for_lock, worker_process

BISCUIT = "My dog is called Biscuit."


@pytest.fixture
def model():
    with ScriptedModel(otherwise=facts("Dog is called Biscuit")) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(
        update={"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic", "learn_idle_s": 1}
    )


@pytest.fixture
async def memory(settings):
    async with open_memory(settings) as memory:
        yield memory


async def learned(memory, user_id="ana"):
    return [fact.text for fact in await memory.facts.list(user_id)], [
        turn.state for turn in await memory.turns.list(user_id)
    ]


@asynccontextmanager
async def at_step(step, settings, memory, model):
    """The worker stands still at a step of its batch while the block runs."""
    if step == "before the batch is noted":
        async with table_held(settings, "batches"):
            await memory.jobs.enqueue_learn("ana", hurry=True)
            await wait_until(lambda: waits_for_lock(memory))
            yield
    elif step == "while the model is asked":
        with model.held():
            await memory.jobs.enqueue_learn("ana", hurry=True)
            await asyncio.to_thread(model.wait_asked)
            yield
    elif step == "in the middle of the commit":
        async with table_held(settings, "facts"):
            await memory.jobs.enqueue_learn("ana", hurry=True)
            await wait_until(lambda: waits_for_lock(memory))
            yield
    else:
        with ExitStack() as stack:
            with model.held():
                await memory.jobs.enqueue_learn("ana", hurry=True)
                await asyncio.to_thread(model.wait_asked)
                stack.enter_context(writes_paused(settings.redis_url.get_secret_value()))
            await wait_until(lambda: all_learned(memory))
            yield


async def all_learned(memory):
    return (await learned(memory))[1] == ["learned"]


async def learn_what_was_begun(settings, memory, step):
    """By the next worker, twice."""
    extractor, _ = make_extractor(settings)
    learner = Learner(memory, extractor)
    idle_s = 0 if step == STEPS[0] else 3_600  # a batch that was begun does not wait for the idle time

    async def done():
        await sweep(memory, learner, idle_s=idle_s)
        return await all_learned(memory)

    await wait_until(done)  # the killed process's connection may take a moment to go
    await sweep(memory, learner, idle_s=0)
    await extractor.close()


STEPS = (
    "before the batch is noted",
    "while the model is asked",
    "in the middle of the commit",
    "after it, before Redis knows",
)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_a_batch_is_learned_once(step, settings, memory, model):
    """kill -9; whoever sweeps next finds what was begun, at once, and learns it exactly once."""
    await say(memory, BISCUIT)
    with worker_process(settings) as process:
        async with at_step(step, settings, memory, model):
            process.kill()
            process.wait()
    await learn_what_was_begun(settings, memory, step)
    assert await learned(memory) == (["Dog is called Biscuit"], ["learned"])
    rows = await memory.db.run(lambda connection: connection.fetch("select state, facts from batches"))
    assert [tuple(row) for row in rows] == [("done", 1)]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_what_is_known_changes_once(step, settings, memory, model):
    """Replaced, ended and said again, in contradiction: what is true at the end is live, once."""
    for text in ("Lives in Leeds", "Owns a boat", "Is a dentist", "Likes tea"):
        await learn(memory, fact(text, said_at=NOW - timedelta(days=9), topic="person"))
    model.otherwise = on_known(
        operation("Moved to Lisbon", op="replace Lives in Leeds", quote="I moved from Leeds to Lisbon"),
        operation("Moved to Porto", op="replace Lives in Leeds", quote="then on to Porto"),
        operation("", op="end Owns a boat", quote="sold my boat"),
        operation("", op="confirm Owns a boat", quote="my boat"),
        operation("", op="confirm Is a dentist", quote="as a dentist"),
    )
    await say(memory, "I moved from Leeds to Lisbon, then on to Porto, as a dentist, and sold my boat.")
    with worker_process(settings) as process:
        async with at_step(step, settings, memory, model):
            process.kill()
            process.wait()
    await learn_what_was_begun(settings, memory, step)
    live = ["Is a dentist", "Likes tea", "Moved to Lisbon", "Moved to Porto"]
    assert sorted((await learned(memory))[0]) == live
    every = [fact.text for fact in await memory.facts.list("ana", include_closed=True)]
    assert sorted(every) == sorted([*live, "Lives in Leeds", "Owns a boat"])
    counted = "select change, count(*) from fact_changes where batch_id is not null group by 1 order by 1"
    rows = await memory.db.run(lambda connection: connection.fetch(counted))
    assert [tuple(row) for row in rows] == [("added", 2), ("confirmed", 1), ("ended", 2)]


async def test_without_addresses_the_worker_stops_with_a_sentence():
    """Only `echoic …` starts stores by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECHOIC_")}
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "echoic.workers.main"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert (
        ended.returncode == 1
        and "ECHOIC_REDIS_URL is not set" in ended.stderr
        and "Traceback" not in ended.stderr
    )


@asynccontextmanager
async def running(settings):
    """The worker in this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_worker(settings, until=stop.wait()))
    try:
        yield task
    finally:
        stop.set()
        await task


@pytest.fixture
def quick_sweeps(monkeypatch):
    monkeypatch.setattr(echoic.workers.sweep, "EVERY_S", 0.2)
    monkeypatch.setattr(echoic.workers.sweep, "GRACE_S", 0.0)
    monkeypatch.setattr(echoic.workers.main, "RECONNECT_S", 0.2)


async def test_a_hurried_job_is_learned_at_once(settings, memory):
    """The end of a call does not wait for the idle time."""
    settings = settings.model_copy(update={"learn_idle_s": 600})
    await say(memory, BISCUIT)
    async with running(settings):
        began = time.monotonic()
        await memory.jobs.enqueue_learn("ana", hurry=True)
        await wait_until(lambda: all_learned(memory))
        assert time.monotonic() - began < 10


async def test_turns_of_a_wiped_queue_are_found(settings, memory, quick_sweeps):
    """Redis lost every job: the rows say what is missing."""
    await say(memory, BISCUIT)
    await memory.jobs.enqueue_learn("ana")
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        client.flushdb()
    async with running(settings):
        await wait_until(lambda: all_learned(memory))


async def test_what_is_only_counted_ends_no_worker(settings, memory):
    """A folder that it may not read, such as one that a command run as root has made; root reads it, so a
    link to itself stands in its place."""
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    (spool / "aside").symlink_to("aside")
    await say(memory, BISCUIT)
    async with running(settings) as working:
        await memory.jobs.enqueue_learn("ana", hurry=True)
        await wait_until(lambda: all_learned(memory))
        await asyncio.sleep(0.5)
        assert not working.done()


async def test_a_worker_that_is_slow_to_end_leaves_nothing_open(memory, monkeypatch):
    """It is cancelled again meanwhile, as nobody knows whether it heard, and ends in order all the same."""
    opened = []

    def slow_to_close(url):
        client = open_redis(url)
        close = client.aclose

        async def aclose(**how):
            await asyncio.sleep(2 * echoic.workers.main.POLL_S)
            await close(**how)

        client.aclose = aclose
        opened.append(client.connection_pool)
        return client

    def connected():
        return [one for pool in opened for one in (*pool._in_use_connections, *pool._available_connections)]

    monkeypatch.setattr(echoic.workers.main, "open_redis", slow_to_close)
    taking = asyncio.create_task(echoic.workers.main._take_jobs(memory, None, None))
    async with asyncio.timeout(10):
        while not connected():
            await asyncio.sleep(0.01)
    held = connected()
    await echoic.workers.main._stop(taking)
    assert held and not any(one.is_connected for one in (*held, *connected()))


async def test_jobs_carry_ids_only_as_json(settings, memory):
    """No spoken word in Redis, and nothing that is executed when it is read."""
    await say(memory, BISCUIT)
    await memory.jobs.enqueue_learn("ana")
    with redis.Redis.from_url(settings.redis_url.get_secret_value()) as client:
        (key,) = client.keys("arq:job:*")
        job = json.loads(client.get(key))
    assert (job["f"], job["a"], job["k"]) == ("learn_user", ["ana"], {})


async def test_one_job_a_user_moved_by_turns_and_calls_ends(redis_url):
    """A new turn pushes it back, the end of a call brings it forward, and nothing pushes back what is due."""
    queue = JobQueue(redis_url, idle_s=100)
    with redis.Redis.from_url(redis_url) as client:

        def due_in_s():
            ((_, due_ms),) = client.zrange(QUEUE, 0, -1, withscores=True)
            return due_ms / 1000 - time.time()

        assert await queue.enqueue_learn("ana", delay_s=50) and 45 < due_in_s() < 51
        assert await queue.enqueue_learn("ana") and 95 < due_in_s() < 101
        assert await queue.enqueue_learn("ana", hurry=True) and due_in_s() < 1
        assert await queue.enqueue_learn("ana") and due_in_s() < 1
        assert await queue.depth() == 1 and await queue.cancel("ana") == 1 and client.keys("*") == []
    await queue.close()


async def test_what_is_said_while_a_job_runs_gets_a_job_of_its_own(settings, memory, model):
    """arq refuses the id of a running job; the end of the call must not get lost in it."""
    await say(memory, BISCUIT)
    settings = settings.model_copy(update={"learn_idle_s": 600})
    async with running(settings):
        with model.held():
            await memory.jobs.enqueue_learn("ana", hurry=True)
            await asyncio.to_thread(model.wait_asked)
            await say(memory, "I own a boat.")
            await memory.jobs.enqueue_learn("ana", hurry=True)
        await wait_until(lambda: both_learned(memory))


async def both_learned(memory):
    return (await learned(memory))[1] == ["learned"] * 2


async def test_a_hung_redis_costs_a_turn_a_fifth_of_a_second(redis_url):
    """The hint is lost and counted, the turn is not: the sweeper finds it."""
    queue = JobQueue(redis_url)
    assert await queue.enqueue_learn("ana")
    with writes_paused(redis_url):
        began = time.monotonic()
        assert not await queue.enqueue_learn("ana", hurry=True)
        assert time.monotonic() - began < 5 and queue.failed == 1  # it is paused for longer
    await queue.close()


async def test_a_hint_that_comes_after_the_end_opens_no_connection(redis_url):
    """A caller's last words may be stored while memory closes: the sweeper finds them."""
    queue = JobQueue(redis_url)
    assert await queue.enqueue_learn("ana")
    pool = queue._redis.connection_pool
    await queue.close()
    assert not await queue.enqueue_learn("ana") and not await queue.enqueue_graph("ana")
    assert not any(one.is_connected for one in (*pool._in_use_connections, *pool._available_connections))


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that the test may kill and start again."""
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.kill()


async def test_the_worker_comes_back_with_redis(settings, own_redis, quick_sweeps, memory):
    """Killed Redis: the worker stays and still learns what it finds; started again, it takes jobs again."""
    settings = settings.model_copy(
        update={"redis_url": type(settings.redis_url)(own_redis.url), "learn_idle_s": 1}
    )
    queue = JobQueue(own_redis.url)
    async with running(settings) as task:
        own_redis.kill()
        await say(memory, BISCUIT)
        assert not await queue.enqueue_learn("ana", hurry=True)
        await wait_until(lambda: all_learned(memory))
        await asyncio.to_thread(own_redis.start)
        await say(memory, "I own a boat.", user_id="bo")
        await wait_until(lambda: queue.enqueue_learn("bo", hurry=True))
        await wait_until(lambda: taken(queue))
        assert not task.done()
    await queue.close()


async def taken(queue):
    return await queue.depth() == 0
