"""`echoic flush`: what it does, and what it says of who learns.

Only the model is scripted.
"""

import asyncio
import threading

import pytest
import redis.asyncio as redis
from arq.constants import in_progress_key_prefix

from echoic.local.admin.doctor import examine
from echoic.memory.service import open_memory
from echoic.memory.store.jobs import learn_job_id
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.flush import flush_user, queue_user
from echoic.workers.learn.learner import Learner
from echoic.workers.main import run_worker
from tests.fakes import ScriptedModel, facts
from tests.remembered import say

BISCUIT = "My dog is called Biscuit."


@pytest.fixture
def model():
    with ScriptedModel(otherwise=facts("Dog is called Biscuit")) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(update={"llm_url": model.url, "llm_model": "scripted"})


@pytest.fixture
async def memory(settings, embedder):
    async with open_memory(settings, embedder=embedder) as memory:
        yield memory


async def test_who_only_queues_asks_no_model(settings, embedder, model):
    """A trial of a local one takes minutes, for nothing; and that nobody takes the job is said."""
    ungraded = settings.model_copy(update={"llm_grade": ""})
    async with open_memory(ungraded, embedder=embedder) as memory:
        await say(memory, BISCUIT)
        assert "start `echoic worker`" in await queue_user(memory, "ana")
    assert model.requests == []


async def test_where_nothing_is_learned_nothing_is_promised(settings, embedder):
    """No worker will learn it."""
    off = settings.model_copy(update={"extractor": "off"})
    async with open_memory(off, embedder=embedder) as memory:
        assert "ECHOIC_EXTRACTOR is off" in await queue_user(memory, "ana")


async def test_a_worker_that_takes_jobs_is_told(settings, memory):
    """It says every half minute that it is there."""
    working = asyncio.create_task(run_worker(settings))
    try:
        async with asyncio.timeout(30):
            while not await memory.jobs.are_taken():
                await asyncio.sleep(0.05)
            await say(memory, BISCUIT)
            assert await queue_user(memory, "ana") == "Queued: a worker learns it next."
            while [turn.state for turn in await memory.turns.list("ana")] != ["learned"]:
                await asyncio.sleep(0.05)
            # cut off while arq notes the end of the job, its pipeline would be left to the garbage collector
            async with redis.from_url(settings.redis_url.get_secret_value()) as queue:
                while await queue.exists(in_progress_key_prefix + learn_job_id("ana")):
                    await asyncio.sleep(0.05)
    finally:
        working.cancel()
        await asyncio.wait({working})


async def test_what_another_worker_learned_meanwhile_is_told(settings, memory, model):
    """It was waited for: "learned 0 facts from 0 turns" would be half of it."""
    asked, go_on = threading.Event(), threading.Event()

    def slowly(_request):
        asked.set()
        go_on.wait(20)
        return facts("Dog is called Biscuit")

    model.otherwise = slowly
    await say(memory, BISCUIT)
    extractor, _ = make_extractor(settings)
    other = asyncio.create_task(Learner(memory, extractor).learn("ana"))
    await asyncio.to_thread(asked.wait, 20)
    ours = asyncio.create_task(flush_user(memory, "ana"))
    done, _ = await asyncio.wait({ours}, timeout=1)
    go_on.set()
    assert not done and (await other).facts == 1
    assert await ours == "Learned 0 facts from 0 turns. Another worker took 1 turns."
    await extractor.close()


async def test_doctor_says_that_nobody_learns(settings, memory):
    """Turns that wait look the same with a worker and without one."""
    assert (await learning(settings)).state == "ok"
    await say(memory, BISCUIT)
    found = await learning(settings)
    assert found.state == "note" and "no worker takes jobs" in found.says and "echoic worker" in found.advice


async def learning(settings):
    async for finding in examine(settings, "none", ""):
        if finding.part == "Learning":
            return finding
    raise AssertionError("doctor says nothing of learning")
