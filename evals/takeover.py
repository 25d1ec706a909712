"""How long a caller hears nothing when the agent's process is killed.

`python -m evals.takeover [--kills N] [--json FILE]`

A real LiveKit server, a real worker with real call processes, and a caller who writes and listens. The model
and the voice are scripted: what is measured is Echoic's and LiveKit's part, to the first sound of the next
agent. Each kill is a call of its own.
"""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console

from echoic.local.command_resources import folder_of
from echoic.local.dev.livekit_program import find_program
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from evals.machine import commit, hardware
from tests.rooms.harness import Caller
from tests.rooms.worker import AgentWorker, agent_worker, environment_of

ENTRY = "tests/rooms/takeover_worker.py"
NAME = "takeover"
AIM_S = 3.0
FADES_S = 0.5  # what was sent before the kill is heard for so long
READY, TAKEN = '"process initialized"', '"received job request"'


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    kills: Annotated[int, typer.Option(min=1, help="How many calls lose their agent.")] = 20,
) -> None:
    """Kill agents in the middle of calls, and measure the silence."""
    console = Console()
    with (
        TemporaryDirectory(prefix="echoic-takeover-") as folder,
        open_stores(Path(folder) / "data") as stores,
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        env = environment_of(settings, LIVEKIT_AGENT_NAME=NAME)
        with (
            open_livekit(Path(folder) / "livekit", program=find_program(folder_of(None))) as livekit,
            agent_worker(livekit, env, Path(folder) / "worker.log", entry=ENTRY, dev=False) as worker,
        ):
            silences = asyncio.run(measure(livekit, worker, kills, console))
    report = _report(silences)
    silence = report["silence_s"]
    console.print(
        f"silence p50 {silence['p50']} s, max {silence['max']} s, n {report['n']} (aim {AIM_S:g} s)"
    )
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(livekit: LiveKitServer, worker: AgentWorker, kills: int, console: Console) -> list[float]:
    """Seconds of silence, one call after the other."""
    silences = []
    for number in range(kills):
        silences.append(await _one(livekit, worker, f"takeover-{number}"))
        console.print(f"{number + 1:3} of {kills}: {silences[-1]:.2f} s")
    return silences


async def _one(livekit: LiveKitServer, worker: AgentWorker, room: str) -> float:
    async with Caller(livekit, room, "caller", agent_name=NAME) as caller:
        old = await caller.wait_agent()
        begun = time.monotonic()
        await caller.chat("hello")
        await caller.wait_quiet(begun)
        await _wait_warm(worker)
        killed = time.monotonic()
        _process_in_call(worker).kill()
        heard = await caller.wait_heard(killed + FADES_S)
        agent = await caller.wait_agent()
        if agent.identity == old.identity:
            raise RuntimeError("the agent that was killed is heard")
        await caller.wait_text("I am back", after=killed)
        await caller.wait_quiet(heard - FADES_S)
    return heard - killed


def _process_in_call(worker: AgentWorker) -> psutil.Process:
    """The one call process with a room open: media goes over UDP."""
    (found,) = [process for process in worker.descendants() if process.net_connections("udp")]
    return found


async def _wait_warm(worker: AgentWorker) -> None:
    """As in production: a process waits for the next call."""
    while worker.output().count(READY) <= worker.output().count(TAKEN):
        await asyncio.sleep(0.05)


def _report(silences: list[float]) -> dict[str, Any]:
    figures = {"p50": round(statistics.median(silences), 2), "max": round(max(silences), 2)}
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "silence_s": figures,
        "n": len(silences),
        "commit": commit(),
        "date": date,
        "hardware": hardware(),
    }


if __name__ == "__main__":
    typer.run(main)
