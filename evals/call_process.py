"""A worker whose call processes start as the agent's do, and say what that took.

`python -m evals.call_process plain|remembering CALLS` prints one line of JSON once that many calls are up,
and ends. The processes are LiveKit's own, each with a session. What memory adds is what the agent's
entrypoint adds: its imports, the host's embedding server, Postgres, tier 1; then one question is asked and
one turn stored, so that nothing is measured before its first use.
"""

import asyncio
import json
import logging
import math
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess
from livekit.protocol import models

LIMIT_S = 120.0
POLL_S = 0.02
SETTLE_S = 1.0
MEGABYTE = 2**20
PRELOADED = ["echoic.agent.worker.server"]
"""Imported once, in the process that all call processes are forked from; as in agent/worker/server.py."""


def prewarm_plain(_process: JobProcess) -> None:
    """What any agent with a hosted language model imports."""
    import livekit.plugins.openai  # noqa: F401


def prewarm_remembering(process: JobProcess) -> None:
    """The agent's own modules beside it."""
    prewarm_plain(process)
    import echoic.agent.worker.server  # noqa: F401
    from echoic.memory.config import load_settings
    from echoic.memory.embedding.client import open_shared_embedder

    process.userdata["embedder"] = open_shared_embedder(load_settings())


async def talk_plain(job: JobContext) -> None:
    """A session without memory."""
    await job.connect()
    await _session().start(Agent(instructions="Be brief."))
    _report(job, "started")
    _report(job, "used")


async def talk_remembering(job: JobContext) -> None:
    """The same with memory; the caller asks something and says something."""
    from echoic.memory.config import load_settings
    from echoic.memory.service import open_memory
    from echoic.memory.types import Caller

    opened = AsyncExitStack()
    job.add_shutdown_callback(opened.aclose)
    memory = await opened.enter_async_context(
        open_memory(load_settings(), embedder=job.proc.userdata["embedder"], need_stores=False)
    )
    await job.connect()
    call = await memory.open_call(Caller(job.job.room.name, "echoic", job.job.room.sid, "UTC"))
    await _session().start(Agent(instructions="Be brief."))
    _report(job, "started")
    await call.record("item-1", "user", "My dog is called Biscuit, and he eats my socks.")
    found = await call.recall("What is my dog called?", budget_s=10)
    if found.tiers["facts"].status != "ok":
        raise RuntimeError(f"memory did not answer: {found.tiers['facts'].status}")
    _report(job, "used")


async def measure(kind: str, calls: int) -> dict[str, Any]:
    """Bring up that many calls, one after the other; resident sizes are read once all of them are there."""
    remembering = kind == "remembering"
    server = AgentServer(
        host="127.0.0.1",
        port=0,
        num_idle_processes=0,
        load_fnc=lambda: 0.0,
        load_threshold=math.inf,
        initialize_process_timeout=LIMIT_S,
        setup_fnc=prewarm_remembering if remembering else prewarm_plain,
        preload_modules=PRELOADED if remembering else [],
    )
    server.rtc_session(talk_remembering if remembering else talk_plain)
    started = asyncio.Event()
    server.on("worker_started", started.set)
    running = asyncio.create_task(server.run(devmode=True, unregistered=True))
    await started.wait()
    try:
        with tempfile.TemporaryDirectory(prefix="echoic-calls-") as folder:
            # the first starts the process that the others are forked from
            await _launch(server, Path(folder), "warm")
            launched = {
                name: await _launch(server, Path(folder), name)
                for name in [f"call-{n}" for n in range(calls)]
            }
        await asyncio.sleep(SETTLE_S)
        return _figures(launched)
    finally:
        await server.aclose()
        await running


async def _launch(server: AgentServer, folder: Path, name: str) -> dict[str, float]:
    began = time.monotonic()
    room = models.Room(name=name, sid=f"RM_{name}", metadata=str(folder))
    await server.simulate_job(name, fake_job=True, agent_identity="agent", room_info=room)
    while not (folder / f"{name}.used").exists():
        if time.monotonic() - began > LIMIT_S:
            raise TimeoutError(f"{name} is not up after {LIMIT_S:g} s")
        await asyncio.sleep(POLL_S)
    report = json.loads((folder / f"{name}.started").read_text())
    return {"pid": report["pid"], "start_s": report["at"] - began}


def _figures(launched: dict[str, dict[str, float]]) -> dict[str, Any]:
    sizes = [psutil.Process(int(one["pid"])).memory_full_info() for one in launched.values()]
    return {
        "rss_mb": round(statistics.mean(size.rss for size in sizes) / MEGABYTE, 1),
        "uss_mb": round(statistics.mean(size.uss for size in sizes) / MEGABYTE, 1),
        "start_s": round(statistics.median(one["start_s"] for one in launched.values()), 3),
    }


def _session() -> AgentSession[Any]:
    from livekit.plugins import openai

    return AgentSession(
        llm=openai.LLM(model="none", base_url="http://127.0.0.1:9/v1", api_key="none"),
        vad=None,
        turn_handling={"turn_detection": None},
    )


def _report(job: JobContext, what: str) -> None:
    """One file a step, complete as soon as it is there."""
    done = Path(job.job.room.metadata) / f"{job.job.room.name}.{what}"
    new = done.with_suffix(f".{what}.new")
    new.write_text(json.dumps({"pid": psutil.Process().pid, "at": time.monotonic()}))
    new.replace(done)


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    # by its name, under which the call processes find it too
    from evals.call_process import measure as measure_here

    print(json.dumps(asyncio.run(measure_here(sys.argv[1], int(sys.argv[2])))), flush=True)
