"""How long a context of profile and events takes, beside a bare select: `python -m evals.context`.

One person with a thousand facts in slots and five hundred events, in a database of a hundred callers. No
model is asked; the time is that of the function, on an open connection.
"""

import asyncio
import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import typer

from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.profile.context import Shape, compile_context
from echoic.memory.profile.episodes import note_episode
from echoic.memory.profile.profile import Limits
from echoic.memory.service import Memory, open_memory
from echoic.memory.store.database import Connection
from echoic.memory.types import Caller, Fact, Turn
from evals.bench_data import AGENT, LOAD_LIMIT_S, load
from evals.machine import commit, hardware
from evals.sample_words import learned

FACTS, EVENTS, SLOTS, TOPICS, ASKED = 1_000, 500, 8, 12, 500
WHO = Caller("profiled", AGENT, "bench")
SHAPES = {
    "as it is by default": Shape(),
    "8,000 tokens": Shape(tokens=8_000),
    "three topics preferred": Shape(limits=Limits(prefer=("topic 3", "topic 7", "topic 1"))),
}


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure the compiled context, and print it."""
    with TemporaryDirectory(prefix="echoic-bench-") as folder, open_stores(Path(folder) / "data") as stores:
        report = asyncio.run(measure(stores))
    for name, row in report["context"].items():
        print(f"{name:24} p50 {row['p50']:6.2f}  p95 {row['p95']:6.2f}  p99 {row['p99']:6.2f} ms")
    print(f"{FACTS} facts, {EVENTS} events, {report['commit']}, {report['hardware']}")
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores) -> dict[str, Any]:
    """Load, ask, and return the report."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    async with open_memory(settings) as memory:
        await load(memory)
        await _fill(memory)
        bare = await _timed(lambda: memory.db.run(lambda one: one.fetchval("select 1")))
        rows = {"a bare select": bare}
        for name, shape in SHAPES.items():
            rows[name] = await _timed(partial(compile_context, memory, WHO, shape))
        found = await compile_context(memory, WHO, Shape())
    assert len(found.used) > 10, found.block
    return {"context": rows, "commit": commit(), "hardware": hardware()}


async def _fill(memory: Memory) -> None:
    chooser, texts = random.Random(7), learned(FACTS)
    vectors = np.random.default_rng(7).normal(size=(FACTS, memory.embedder.dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    async def fill(connection: Connection) -> None:
        for event in range(EVENTS):
            said_at = memory.now() - timedelta(hours=6 * (EVENTS - event))
            batch_id, share = uuid4(), slice(event * FACTS // EVENTS, (event + 1) * FACTS // EVENTS)
            turn = Turn(uuid4(), WHO.user_id, AGENT, f"call-{event}", 0, "user", "Hello.", said_at)
            facts = [_fact(text, chooser, turn) for text in texts[share]]
            await memory.facts.add(connection, facts, vectors[share], batch_id=batch_id)
            await note_episode(connection, WHO.user_id, batch_id, [turn], {})

    await memory.db.transaction(fill, timeout_s=LOAD_LIMIT_S)
    await memory.db.run(lambda one: one.execute("vacuum (analyze)"), timeout_s=LOAD_LIMIT_S)


def _fact(text: str, chooser: random.Random, turn: Turn) -> Fact:
    topic, slot = chooser.randrange(TOPICS), chooser.randrange(SLOTS)
    return Fact(
        *(uuid4(), WHO.user_id, text, f"topic {topic}", chooser.randint(1, 9) / 9),
        scope="user",
        agent_id=AGENT,
        said_at=turn.said_at,
        sub_topic=f"slot_{slot}",
    )


async def _timed(ask: Callable[[], Awaitable[object]]) -> dict[str, float]:
    for _ in range(20):
        await ask()
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 3), "p95": round(cuts[94], 3), "p99": round(cuts[98], 3)}


if __name__ == "__main__":
    typer.run(main)
