"""What was set in the database counts in every process that starts after: agent, worker, one's own code."""

import asyncio
import contextlib
import socket
import time

import pytest
from livekit.agents.testing import fake_job_context
from pydantic import SecretStr

import echoic
from echoic.agent import process_memory
from echoic.agent.call import room_call
from echoic.agent.worker import server
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.service import open_memory
from echoic.memory.settings import overrides
from echoic.memory.settings.overrides import CALL_S, with_stored
from echoic.memory.settings.system import change_system, read_system
from echoic.memory.store.database import Database
from echoic.memory.store.queries import query
from echoic.workers import main as worker
from echoic.workers.main import run_worker
from tests.agents import ScriptedLLM, text_session
from tests.integration.test_agent_main import somebody


@pytest.fixture
async def chosen(memory_settings: MemorySettings) -> MemorySettings:
    """Settings that name no model, beside a database in which one is set."""
    settings = memory_settings.model_copy(update={"llm_model": ""})
    async with open_memory(settings) as memory:
        version = (await read_system(memory.db, load_settings())).version
        await change_system(memory.db, load_settings(), {"llm_model": "quote"}, version=version)
    return settings


async def test_a_call_uses_it(chosen, monkeypatch):
    """The agent's environment names no model at all."""
    used = []

    def session(memory, settings, speech):
        used.append(memory.settings.llm_model)
        return text_session(ScriptedLLM("Hello."))

    monkeypatch.setattr(server, "load_settings", lambda: chosen)
    monkeypatch.setattr(server, "open_speech", lambda *_: contextlib.nullcontext(object()))
    monkeypatch.setattr(room_call, "speaking_session", session)
    with fake_job_context() as job:
        server.prewarm(job.proc)
        monkeypatch.setattr(job, "wait_for_participant", somebody)
        await server.entrypoint(job)
        await server.hang_up(job)
        await job.primary_session.aclose()
        for callback in job._shutdown_callbacks:
            await callback("ended")
        job._tempdir.cleanup()
    assert used == ["quote"]


async def test_a_worker_uses_it(chosen, monkeypatch):
    """From its start on."""
    used = []

    async def run(settings, *, changed):
        changed.close()
        used.append(settings.llm_model)
        return False

    monkeypatch.setattr(worker, "run_worker", run)
    await worker._until_signal(chosen)
    assert used == ["quote"]


async def test_a_worker_begins_anew_when_something_else_is_set(chosen, monkeypatch):
    """What is set while it works counts for what it learns next; the same set again is no reason."""
    monkeypatch.setattr(overrides, "EVERY_S", 0.02)
    used = []

    async def set_model(name):
        async with open_memory(chosen) as memory:
            version = (await read_system(memory.db, load_settings())).version
            await change_system(memory.db, load_settings(), {"llm_model": name}, version=version)

    async def run(settings, *, changed):
        used.append(settings.llm_model)
        if len(used) == 2:
            changed.close()
            return False
        watch = asyncio.ensure_future(changed)
        await set_model("quote")
        assert not (await asyncio.wait({watch}, timeout=0.5))[0]
        await set_model("another")
        return await run_worker(settings, changed=watch)

    monkeypatch.setattr(worker, "run_worker", run)
    await asyncio.wait_for(worker._until_signal(chosen), 30)
    assert used == ["quote", "another"]


async def test_code_of_ones_own_uses_it(chosen, monkeypatch):
    """`echoic.open` without settings; with settings, those alone."""
    monkeypatch.setenv("ECHOIC_DATABASE_URL", chosen.database_url.get_secret_value())
    monkeypatch.setenv("ECHOIC_REDIS_URL", chosen.redis_url.get_secret_value())
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(chosen.data_dir))
    async with echoic.open() as memory:
        assert memory._memory.settings.llm_model == "quote"
    async with echoic.open(chosen) as memory:
        assert memory._memory.settings.llm_model == ""


async def test_sessions_of_one_process_read_it_once(chosen, monkeypatch):
    """When their memory is opened, and no session waits for it again; with settings, those alone."""
    monkeypatch.setenv("ECHOIC_DATABASE_URL", chosen.database_url.get_secret_value())
    monkeypatch.setenv("ECHOIC_REDIS_URL", chosen.redis_url.get_secret_value())
    monkeypatch.setenv("ECHOIC_DATA_DIR", str(chosen.data_dir))
    waited = []

    async def read(settings, *, limit_s):
        waited.append(limit_s)
        return await with_stored(settings, limit_s=limit_s)

    monkeypatch.setattr(process_memory, "with_stored", read)
    first, second, third = [await process_memory.share_memory(one) for one in (None, None, chosen)]
    try:
        assert first.memory is second.memory and waited == [CALL_S]
        assert [one.memory.settings.llm_model for one in (first, third)] == ["quote", ""]
    finally:
        for shared in (first, second, third):
            await shared.close()


async def test_a_database_that_hangs_holds_no_call_up(chosen):
    """It is waited for half a second, beside taking the lease; then the environment counts."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = SecretStr(f"postgresql://127.0.0.1:{silent.getsockname()[1]}/echoic")
        hangs = chosen.model_copy(update={"database_url": url})
        began = time.monotonic()
        assert await with_stored(hangs, limit_s=CALL_S) == hangs
        assert time.monotonic() - began < 4 * CALL_S


async def test_reading_it_counts_as_nobody_who_is_connected(chosen):
    """`echoic reembed` refuses to run beside others: whoever has just read the settings is none."""
    await with_stored(chosen)
    db = Database(chosen.database_url.get_secret_value())
    try:
        assert await db.run(lambda connection: connection.fetchval(query("others_connected"))) == 0
    finally:
        await db.close()
