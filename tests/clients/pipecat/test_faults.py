"""Stores that hang or are not there: a reply waits for its budget at most, and no turn is lost."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from echoic.agent import process_memory
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.service import open_memory
from echoic.pipecat import EchoicMemory
from tests.clients.pipecat.pipeline import talking
from tests.embedders import WordEmbedder
from tests.inference_gateway import text_of
from tests.processes import state_of

BUDGET_MS = 150
SLACK_MS = 700
"""Shared machines stall: proved is that nobody waits for the hung store (a second), not the exact budget."""


@pytest.fixture(scope="module")
def own_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Of this module's own: they are stopped here."""
    with open_stores(tmp_path_factory.mktemp("faults")) as stores:
        yield stores


@pytest.fixture
def settings(own_stores):
    return load_settings(
        database_url=own_stores.database_url,
        redis_url=own_stores.redis_url,
        data_dir=own_stores.data_dir,
        store_timeout_ms=1_000,
        recall_budget_ms=BUDGET_MS,
    )


@pytest.fixture(autouse=True)
def words_only(monkeypatch):
    """No embedding server: what is found is not tested here."""
    monkeypatch.setattr(process_memory, "open_shared_embedder", lambda _: WordEmbedder())


@contextmanager
def stopped(stores: Stores, name: str) -> Iterator[None]:
    """All processes of a store stand still while the block runs, as in a suspended container."""
    pid = state_of(stores.data_dir).pids[name]
    listed = ["ps", "-o", "pid=", "--ppid", str(pid)]
    children = subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split()
    pids = [pid, *map(int, children)]
    for one in pids:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in pids:
            os.kill(one, signal.SIGCONT)


@contextmanager
def waits(memory: EchoicMemory) -> Iterator[list[float]]:
    """Milliseconds that each context spent in the processor."""
    waited: list[float] = []
    remember: Callable = memory._remember

    async def timed(frame):
        began = time.perf_counter()
        await remember(frame)
        waited.append((time.perf_counter() - began) * 1000)

    memory._remember = timed
    yield waited


async def test_a_hung_store_costs_the_budget_and_no_turn(settings, own_stores, gateway):
    """It stops in the middle of a call: replies go on; what was said waits on the disk until it is back."""
    memory = EchoicMemory("hung", settings=settings)
    with waits(memory) as waited:
        async with talking(memory, gateway) as talk:
            await talk.say("My dog is called Biscuit.")
            await memory.flush()
            with stopped(own_stores, "postgres"):
                for place in range(4):
                    await talk.say(f"And what about number {place}, please?")
                await memory.flush()
    assert len(waited) == 5 and max(waited) < BUDGET_MS + SLACK_MS, waited
    async with open_memory(settings, embedder=WordEmbedder()) as opened:
        turns = await opened.turns.list("hung")
    assert [turn.text for turn in turns if turn.role == "user"] == [
        "My dog is called Biscuit.",
        *(f"And what about number {place}, please?" for place in range(4)),
    ]
    assert len(turns) == 10


async def test_a_store_that_hangs_before_the_call_costs_no_reply(settings, own_stores, gateway):
    """Memory opens while the pipeline runs; its first words come before that, and are kept all the same."""
    memory = EchoicMemory("early", settings=settings)
    with waits(memory) as waited, stopped(own_stores, "postgres"):
        async with talking(memory, gateway) as talk:
            began = time.perf_counter()
            await talk.say("My dog is called Biscuit.")
            assert time.perf_counter() - began < 2.0  # when a store is given up
    assert max(waited) < BUDGET_MS + SLACK_MS, waited
    async with open_memory(settings, embedder=WordEmbedder()) as opened:
        assert [turn.role for turn in await opened.turns.list("early")] == ["user", "assistant"]


async def test_without_a_store_it_remembers_while_it_lasts(gateway, caplog):
    """No address is set: the handle says why nothing stays, and the conversation goes on."""
    memory = EchoicMemory("maya")
    async with talking(memory, gateway) as talk:
        await talk.say("My dog is called Biscuit.")
        assert "ECHOIC_DATABASE_URL" in memory.fault
    assert len(gateway.requests) == 1 and "Biscuit" in text_of(gateway.requests[0])


async def test_memory_that_cannot_be_opened_costs_nothing(gateway, monkeypatch, settings, caplog):
    """A defect of ours, say."""

    async def broken(*_):
        raise RuntimeError("words of the caller")

    monkeypatch.setattr("echoic.agent.pipecat.session.share_memory", broken)
    memory = EchoicMemory("maya", settings=settings)
    async with talking(memory, gateway) as talk:
        await talk.say("My dog is called Biscuit.")
        assert memory.fault == "Memory could not be opened (RuntimeError)."
    assert "words of the caller" not in caplog.text


async def test_the_end_is_bounded(stored, gateway, monkeypatch):
    """A store that takes nothing, and a disk that does not either, hold up no pipeline."""
    monkeypatch.setattr("echoic.agent.pipecat.processor.FLUSH_S", 0.3)
    never = asyncio.Event()
    monkeypatch.setattr(stored.recorder, "record", lambda _: never.wait())
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.say("My dog is called Biscuit.")
        began = time.perf_counter()
    assert time.perf_counter() - began < 3.0
