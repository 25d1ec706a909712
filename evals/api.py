"""How long the memory API takes over HTTP, beside its own `/livez`: `python -m evals.api [--json FILE]`.

A hundred thousand facts: the bench's callers, and others with the same facts again. The API is a process of
its own; one client asks it in a row, which is how a page asks.
"""

import asyncio
import json
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import httpx
import typer

from echoic.local.dev.run_command import addresses
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.database import Connection
from echoic.memory.types import Turn
from evals.bench_data import AGENT, FACTS, LOAD_LIMIT_S, USERS, load
from evals.machine import commit, hardware

ALL_FACTS, ASKED, EVENTS = 100_000, 200, 100
MORE = """
    insert into facts (id, vector, payload, words)
    select gen_random_uuid(), vector, payload || jsonb_build_object('user_id', 'more-' || $1::int), words
    from facts where user_id = 'caller-000'"""
USER = "/v1/users/caller-007"
ADDRESS = re.compile(r"http://\S+:\d+")
QUESTIONS = (
    "What is my dog called?",
    "Where do I work?",
    "When is my appointment?",
    "What am I allergic to?",
)
Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]

ROUTES: dict[str, Ask] = {
    "nothing (/livez)": lambda client, n: client.get("/livez"),
    "50 users by id": lambda client, n: client.get("/v1/users"),
    "50 users, heard of last": lambda client, n: client.get("/v1/users?order=-latest"),
    "50 facts of one user": lambda client, n: client.get(f"{USER}/facts"),
    "facts of one user with a word": lambda client, n: client.get(f"{USER}/facts?q=dog"),
    "statistics of one user": lambda client, n: client.get(f"{USER}/statistics"),
    "search": lambda client, n: client.post(
        f"{USER}/search", json={"text": f"{QUESTIONS[n % len(QUESTIONS)]} {n}"}
    ),
    "a fact made": lambda client, n: client.post(f"{USER}/facts", json={"text": f"Owns boat {n}."}),
}


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure the memory API, and print it."""
    with TemporaryDirectory(prefix="echoic-bench-") as folder, open_stores(Path(folder) / "data") as stores:
        report = asyncio.run(measure(stores))
    for name, row in report["routes"].items():
        print(
            f"{name:32} p50 {row['p50']:7.1f}  p95 {row['p95']:7.1f}  p99 {row['p99']:7.1f} ms  n {row['n']}"
        )
    print(f"{report['facts']} facts, {report['commit']}, {report['hardware']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores) -> dict[str, Any]:
    """Load, serve, ask, and return the report."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    async with open_memory(settings) as memory:
        await load(memory)
        await memory.db.transaction(_more, timeout_s=LOAD_LIMIT_S)
        await memory.db.run(_tidy, timeout_s=LOAD_LIMIT_S)
        async with served(settings) as client:
            routes = {name: await _asked(client, ask) for name, ask in ROUTES.items()}
            routes["an event after its cause"] = await _events(client, memory)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "routes": routes,
        "facts": ALL_FACTS,
        "measured_at": when,
        "commit": commit(),
        "hardware": hardware(),
    }


async def _more(connection: Connection) -> None:
    for number in range(ALL_FACTS // FACTS - USERS):
        await connection.execute(MORE, number)


async def _tidy(connection: Connection) -> None:
    await connection.execute("vacuum (analyze)")


@asynccontextmanager
async def served(settings: MemorySettings) -> AsyncIterator[httpx.AsyncClient]:
    command = [sys.executable, "-m", "echoic", "api", "--dev", "--port", "0"]
    variables = os.environ | addresses(settings) | {"ECHOIC_API_RATE_PER_MINUTE": "1000000"}
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(*command, env=variables, stderr=pipe)
    try:
        assert running.stderr is not None
        said = (await running.stderr.readline()).decode()
        found = ADDRESS.search(said)
        assert found, said
        async with httpx.AsyncClient(base_url=found[0], timeout=30) as client:
            yield client
    finally:
        running.terminate()
        await running.wait()


async def _asked(client: httpx.AsyncClient, ask: Ask) -> dict[str, float]:
    took: list[float] = []
    for number in range(ASKED + 10):
        began = time.perf_counter()
        (await ask(client, number)).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
    return _percentiles(took[10:])  # the first ones open connections and load the model


async def _events(client: httpx.AsyncClient, memory: Memory) -> dict[str, float]:
    """From the moment at which a turn begins to be stored to the line at the client."""
    took: list[float] = []
    async with client.stream("GET", "/v1/events") as answer:
        lines = answer.aiter_lines()
        await anext(lines)
        for number in range(EVENTS):
            turn = Turn(uuid4(), "caller-007", AGENT, "told", number, "user", "Hello.", datetime.now(UTC))
            began = time.perf_counter()
            await memory.turns.record(turn)
            async for line in lines:
                if str(turn.turn_id) in line:
                    break
            took.append((time.perf_counter() - began) * 1000)
    return _percentiles(took)


def _percentiles(ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(ms, n=100)
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "p99": round(cuts[98], 2), "n": len(ms)}


if __name__ == "__main__":
    typer.run(main)
