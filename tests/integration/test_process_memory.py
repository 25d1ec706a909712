"""The memory that all sessions of a process share (agent/process_memory.py)."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.agent import process_memory
from echoic.agent.process_memory import share_memory
from echoic.memory.config import MemorySettings


@pytest.fixture
def own_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No embedding server of another process is found."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.mark.usefixtures("own_host")
async def test_first_question_finds_the_embedding_server_running(
    memory_settings: MemorySettings, caplog: pytest.LogCaptureFixture
) -> None:
    """It is started as memory opens and waited for in the background: a question does not pay for that."""
    caplog.set_level("INFO", "echoic")
    shared = await share_memory(memory_settings)
    try:
        (opened,) = process_memory._open.values()
        assert opened.warming is not None
        await opened.warming
        assert (await shared.memory.embedder.embed("What is my dog called?")).shape == (1280,)
        assert "not_warm" not in caplog.text
    finally:
        await shared.close()


async def test_sessions_with_the_same_settings_share_and_the_last_closes(
    memory_settings: MemorySettings, tmp_path: Path
) -> None:
    """Two sessions open one memory; other settings open another; nothing is open when all have left."""
    other = memory_settings.model_copy(update={"data_dir": tmp_path})
    first, second, third = [await share_memory(one) for one in (memory_settings, memory_settings, other)]
    assert first.memory is second.memory and third.memory is not first.memory
    for shared in (first, first, second, third):
        await shared.close()
    assert not process_memory._open


async def test_a_process_that_is_forked_while_memory_opens_opens_its_own(
    memory_settings: MemorySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop that was opening it is gone there: a server that loads the program before it forks."""
    begun, may_open, opened = asyncio.Event(), asyncio.Event(), process_memory._opened

    async def slowly(settings: MemorySettings) -> process_memory._Open:
        begun.set()
        await may_open.wait()
        return await opened(settings)

    async def at_once() -> None:
        async with asyncio.timeout(20):
            await (await share_memory(memory_settings)).close()

    monkeypatch.setattr(process_memory, "_opened", slowly)
    opening = asyncio.create_task(share_memory(memory_settings))
    await begun.wait()
    monkeypatch.setattr(process_memory, "_opened", opened)
    await asyncio.to_thread(asyncio.run, at_once())  # as there: another loop
    may_open.set()
    await (await opening).close()
    assert not process_memory._open
