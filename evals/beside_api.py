"""First sound in a real room while the memory API is asked 100 times a second, beside the same without.

`python -m evals.beside_api [--turns N] [--json FILE]`

One caller, one agent with memory, scripted ears, model and voice (evals/voice.py); every other question is
asked while a process of its own sends the requests of evals/api.py to `echoic api` over the same stores. What
that process costs the machine is part of what is measured.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import httpx
import typer
from rich.progress import Progress

from echoic.local.command_resources import folder_of
from echoic.local.dev.livekit_program import find_program
from echoic.local.dev.livekit_server import LiveKitServer, open_livekit
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.service import open_memory
from evals.api import ROUTES, served
from evals.bench_data import load
from evals.machine import commit, hardware
from evals.sample_words import questions
from evals.voice import WARM_UP, WITH, Side, entry, percentiles, turn
from evals.voice_parts import ScriptedParts
from tests.rooms.harness import Caller as Person
from tests.rooms.harness import answering

A_SECOND = 100


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    turns: Annotated[int, typer.Option(min=2, help="Turns in all, half of them beside requests.")] = 60,
    load_address: Annotated[str, typer.Option("--load", hidden=True)] = "",
) -> None:
    """Measure how much later a caller hears the agent while the memory API is busy."""
    if load_address:
        asyncio.run(_send(load_address))
    logging.disable(logging.WARNING)
    program = None if os.environ.get("LIVEKIT_URL") else find_program(folder_of(None))
    with TemporaryDirectory(prefix="echoic-voice-") as folder, open_stores(Path(folder) / "data") as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        with open_livekit(Path(folder) / "livekit", dict(os.environ), program=program) as livekit:
            report = asyncio.run(measure(settings, livekit, turns))
    for name in ("alone", "beside_api"):
        print(f"{name:12} first sound p50 {report[name]['p50']} ms  p95 {report[name]['p95']} ms")
    print(f"{report['requests_a_second']} requests a second, {report['commit']}, {report['hardware']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(settings: MemorySettings, livekit: LiveKitServer, turns: int) -> dict[str, Any]:
    """Ask in turn with and without requests, and return the report."""
    async with open_memory(settings) as memory:
        await load(memory)
    embedder = LocalEmbedder(workers=settings.embedding_workers)
    parts = ScriptedParts()
    alone, beside = Side(parts), Side(parts)
    sent = 0.0
    async with AsyncExitStack() as opened:
        opened.push_async_callback(embedder.close)
        client = await opened.enter_async_context(served(settings))
        await opened.enter_async_context(answering(livekit, entry(settings, embedder, {WITH: alone})))
        person = await opened.enter_async_context(Person(livekit, WITH, "caller"))
        await person.wait_agent()
        asked = questions()
        progress = opened.enter_context(Progress())
        rounds = progress.add_task("Asking", total=turns + 2 * WARM_UP)
        for number in range(turns // 2 + WARM_UP):
            counts = number >= WARM_UP
            await turn(person, alone, next(asked), counts=counts)
            async with _requests(str(client.base_url)) as rate:
                await turn(person, beside, next(asked), counts=counts)
            sent += rate[0] if counts else 0
            progress.advance(rounds, 2)
    return {
        "alone": percentiles(alone.first_audio_ms),
        "beside_api": percentiles(beside.first_audio_ms),
        "requests_a_second": round(sent / (turns // 2), 1),
        "turns": turns,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware(),
    }


@asynccontextmanager
async def _requests(address: str) -> AsyncIterator[list[float]]:
    """While it is open a process sends requests; filled when it closes: how many a second were answered."""
    command = [sys.executable, "-m", "evals.beside_api", "--load", address]
    pipe = asyncio.subprocess.PIPE
    sender = await asyncio.create_subprocess_exec(*command, stdout=pipe, stdin=pipe)
    assert sender.stdin is not None and sender.stdout is not None
    await sender.stdout.readline()  # it has begun
    rate: list[float] = []
    try:
        yield rate
    finally:
        sender.stdin.close()
        rate.append(float(await sender.stdout.readline()))
        await sender.wait()


async def _send(address: str) -> None:
    """Send requests until standard input ends, each at its time; those that are late are sent at once."""
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    asks, running = list(ROUTES.values()), set[asyncio.Task[httpx.Response]]()
    async with httpx.AsyncClient(base_url=address, timeout=30) as client:
        await client.get("/livez")
        print("begun", flush=True)
        began = loop.time()
        for number in count():
            running.add(asyncio.ensure_future(asks[number % len(asks)](client, number)))
            await asyncio.sleep(max(0.0, began + (number + 1) / A_SECOND - loop.time()))
            if ended.done():
                break
        answers = await asyncio.gather(*running)
    answered = sum(answer.is_success for answer in answers)
    print(answered / (loop.time() - began), flush=True)
    raise SystemExit


if __name__ == "__main__":
    typer.run(main)
