"""A store that hangs or dies in the middle of a call: replies keep their budget, and turns are kept."""

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest

from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.errors import StoreUnavailable
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from tests.processes import state_of

BUDGET_MS = 150
HUNG_S = 5.0
"""Nobody who waits for a store that never answers would be done by then."""
SLACK_MS = 700
"""Shared machines stall: proved is that nobody waits for the hung store (a second), not the exact budget."""


@pytest.fixture(scope="module")
def own_stores(tmp_path_factory):
    """Stores of this module's own: they are stopped and killed here."""
    with open_stores(tmp_path_factory.mktemp("faults")) as stores:
        yield stores


@pytest.fixture
async def memory(own_stores):
    settings = load_settings(
        database_url=own_stores.database_url,
        redis_url=own_stores.redis_url,
        data_dir=own_stores.data_dir,
        store_timeout_ms=1_000,
    )
    async with open_memory(settings) as memory:
        yield memory


@pytest.fixture
def stop(own_stores):
    """Stops all processes of a store, as a suspended container would; they go on afterwards."""
    stopped: list[int] = []

    def stop(name):
        pid = state_of(own_stores.data_dir).pids[name]
        for one in (pid, *_children(pid)):
            os.kill(one, signal.SIGSTOP)
            stopped.append(one)

    def resume():
        while stopped:
            pid = stopped.pop()
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGCONT)

    stop.resume = resume
    yield stop
    resume()


def _children(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(child) for child in listed.split()]


async def call_of(memory, user_id):
    return await memory.open_call(Caller(user_id, "echoic", uuid4().hex))


async def test_hung_postgres_costs_three_budgets_and_no_turn(memory, stop):
    """Three late answers, then the tier is skipped; turns wait in the spool until it goes on."""
    user_id = uuid4().hex
    call = await call_of(memory, user_id)
    await call.record("before", "user", "My dog is called Biscuit.")
    other = await call_of(memory, user_id)
    memory.search.drop(other.caller)  # as if its memory were too large to be held
    stop("postgres")
    statuses = []
    for n in range(5):
        began = time.perf_counter()
        found = await other.recall(f"What is my dog called, attempt {n}?")
        assert (time.perf_counter() - began) * 1000 < BUDGET_MS + SLACK_MS
        assert "Biscuit" in found.block, "tier 1 knows the last call"
        statuses.append(found.tiers["facts"].status)
    assert statuses == ["late"] * 3 + ["skipped"] * 2
    for n in range(3):
        await other.record(f"during-{n}", "user", f"sentence {n} said while it hung")
    assert memory.spool.waiting == 3
    stop.resume()
    await asyncio.wait_for(memory.recorder._replaying, 20)
    texts = [turn.text for turn in await memory.turns.list(user_id)]
    assert texts == ["My dog is called Biscuit.", *(f"sentence {n} said while it hung" for n in range(3))]


async def test_what_is_held_answers_while_postgres_hangs(memory, stop):
    """A call whose memory was read before does not notice, and finds what is said as soon as it is said."""
    call, other = await two_calls(memory)
    stop("postgres")
    assert (await other.recall("What is my dog called?", budget_s=5)).tiers["facts"].status == "ok"
    await other.record("during", "user", "The alarm code is behind the zebra painting.")
    found = (await other.recall("Where is the alarm code?", budget_s=5)).tiers["facts"].items
    assert found[0].text.startswith("The alarm code")
    stop.resume()
    await asyncio.wait_for(memory.recorder._replaying, 20)
    assert len(await memory.turns.list(call.caller.user_id)) == 2


async def test_what_is_held_answers_while_postgres_is_gone(memory, own_stores):
    """Connections refused, notices unheard: every question is answered, none of them late."""
    _, other = await two_calls(memory)
    os.kill(state_of(own_stores.data_dir).pids["postgres"], signal.SIGKILL)
    for n in range(5):
        found = await other.recall(f"What is my dog called, attempt {n}?")
        assert found.tiers["facts"].status == "ok" and "Biscuit" in found.block
    await wait_answers(memory)


async def wait_answers(memory):
    """Return when Postgres is back."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await memory.db.ping()
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def two_calls(memory):
    """One in which the dog was named, and one of the same caller, held."""
    user_id = uuid4().hex
    call = await call_of(memory, user_id)
    await call.record("before", "user", "My dog is called Biscuit.")
    while memory.recorder._tasks:
        await asyncio.wait(memory.recorder._tasks)
    other = await call_of(memory, user_id)
    await memory.search.wait_held(other.caller.call_id)
    return call, other


async def test_killed_postgres_comes_back_and_nothing_is_lost(memory, own_stores):
    """kill -9 of the server: the daemon starts it again, spooled turns are replayed, recall works again."""
    user_id = uuid4().hex
    call = await call_of(memory, user_id)
    await call.record("before", "user", "My dog is called Biscuit.")
    os.kill(state_of(own_stores.data_dir).pids["postgres"], signal.SIGKILL)
    for n in range(3):
        await call.record(f"during-{n}", "user", f"sentence {n} said while it was dead")
    await asyncio.wait_for(memory.recorder._replaying or asyncio.sleep(0), 30)
    while memory.spool.waiting:
        await asyncio.sleep(0.05)
    assert len(await memory.turns.list(user_id)) == 4
    other = await call_of(memory, user_id)
    memory.recaller.breakers["facts"].succeeded()
    assert "Biscuit" in (await other.recall("What is my dog called?", budget_s=5)).block


async def test_a_call_may_begin_while_postgres_hangs(memory, stop):
    """It begins without tier 1 and says so; its turns are kept."""
    stop("postgres")
    call = await call_of(memory, uuid4().hex)
    assert not call.loaded
    await call.record("one", "user", "said in the dark")
    assert memory.spool.waiting == 1
    stop.resume()
    await asyncio.wait_for(memory.recorder._replaying, 20)


async def test_hung_redis_costs_a_call_nothing(memory, stop):
    """The queue is a hint: turns are recorded at once, the end of a call waits 0.2 s at most."""
    call = await call_of(memory, uuid4().hex)
    stop("redis")
    began = time.perf_counter()
    await call.record("one", "user", "said while Redis hung")
    assert time.perf_counter() - began < HUNG_S
    began = time.perf_counter()
    await call.end()
    assert time.perf_counter() - began < HUNG_S
    assert memory.jobs.failed >= 1


async def test_an_erasure_empties_a_live_call_of_another_process(memory, own_stores):
    """What another process holds of an erased person in its tier 1 goes within moments."""
    from echoic.memory.privacy.erase import erase_user

    user_id = uuid4().hex
    first = await call_of(memory, user_id)
    await first.record("one", "user", "My dog is called Biscuit.")
    live = await call_of(memory, user_id)
    assert live.recent.known
    async with open_memory(memory.settings) as elsewhere:
        await erase_user(elsewhere, user_id)
    while live.recent.known:
        await asyncio.sleep(0.01)
    assert "Biscuit" not in (await live.recall("What is my dog called?", budget_s=5)).block
