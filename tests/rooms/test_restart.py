"""The LiveKit server dies in mid-call and comes back: nothing is lost, and the worker goes on."""

import asyncio
import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest

from echoic.local.dev.livekit_server import GROUP, open_livekit
from echoic.memory.config import MemorySettings
from echoic.memory.hosting.state import read_state
from echoic.memory.service import open_memory
from tests.fakes import ScriptedModel
from tests.processes import wait_until
from tests.rooms.harness import Caller
from tests.rooms.worker import REGISTERED, agent_worker, environment_of


def pid_of(folder: Path) -> int:
    state = read_state(folder / "run", GROUP)
    return state.pids["livekit"] if state is not None and "livekit" in state.pids else 0


@pytest.mark.timeout(240)
async def test_a_server_that_is_restarted_mid_call(
    program: Path, tmp_path: Path, memory_settings: MemorySettings
):
    """What was said is stored, the worker registers again, and who joins again is known and answered."""
    folder, user = tmp_path / "livekit", f"user-{uuid4().hex[:8]}"
    who = {"agent_name": "echoic", "job_metadata": f'{{"user_id": "{user}"}}', "microphone": False}
    with (
        open_livekit(folder, {}, program=program) as livekit,
        ScriptedModel(otherwise="I hear you.") as model,
    ):
        env = environment_of(memory_settings, llm_url=model.url, LIVEKIT_AGENT_NAME="echoic")
        with agent_worker(livekit, env, tmp_path / "worker.log") as worker:
            async with Caller(livekit, "before", "maya", **who) as caller:
                await caller.wait_agent(60)
                await caller.chat("My dog is called Biscuit.")
                await caller.wait_text("I hear you")
                registered = worker.output().count(REGISTERED)
                killed = pid_of(folder)
                os.kill(killed, signal.SIGKILL)
                await asyncio.to_thread(wait_until, lambda: pid_of(folder) not in (0, killed))
            await asyncio.to_thread(wait_until, lambda: worker.output().count(REGISTERED) > registered, 60.0)
            async with Caller(livekit, "after", "maya", **who) as caller:
                await caller.wait_agent(60)
                await caller.chat("What is the name of my dog?")
                await caller.wait_text("I hear you")
            assert "Biscuit" in model.asked()
    async with open_memory(memory_settings) as memory, asyncio.timeout(20):
        while len(await memory.turns.list(user)) < 4:
            await asyncio.sleep(0.1)
