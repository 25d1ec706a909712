"""How long an import takes, and what a call that is going on notices of it.

`python -m evals.backfill [--turns 10000]`

The command itself, in a process of its own: calls of 20 turns as JSON Lines, twice, and 1,000 facts as Mem0
answers them. Beside it a call asks and records once every 0.2 s; first without an import.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from echoic.local.dev.run_command import addresses
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import Caller
from evals.machine import commit, hardware
from evals.sample_words import answered, learned, said

CALL_TURNS, USERS, FACTS = 20, 100, 1_000
EVERY_S, ALONE_S = 0.2, 10.0
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
SENTENCES = 500
"""Distinct ones; templates have no ten thousand."""


def _numbered(texts: Sequence[str]) -> Iterator[str]:
    """None twice, without end."""
    return (f"{text} That is number {number}." for number, text in enumerate(cycle(texts)))


async def main(turns: int) -> None:
    print(f"{hardware()}, commit {commit()}")
    with (
        TemporaryDirectory(prefix="echoic-backfill-") as folder,
        open_stores(Path(folder) / "data") as stores,
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        variables = {**os.environ, **addresses(settings), "ECHOIC_DATA_DIR": str(stores.data_dir)}
        calls, facts = Path(folder) / "calls.jsonl", Path(folder) / "mem0.json"
        write_calls(calls, turns)
        write_facts(facts)
        async with open_memory(settings) as memory:
            with suppress(TimeoutError):
                await asyncio.wait_for(talk(memory, "a call, nothing else"), ALONE_S)
            for what, file in (("import", calls), ("the same again", calls), ("Mem0's facts", facts)):
                talking = asyncio.create_task(talk(memory, f"a call during {what}"))
                await bring_in(what, file, variables)
                talking.cancel()
                await asyncio.wait({talking})


async def bring_in(what: str, file: Path, variables: dict[str, str]) -> None:
    """Run the command, and print what it says with the time of the whole process."""
    began = time.perf_counter()
    command = (sys.executable, "-m", "echoic", "import", str(file))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=variables, stdout=pipe, stderr=pipe)
    told, fault = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(fault.decode())
    print(f"{what}: {told.decode().strip()} The process took {time.perf_counter() - began:.1f} s.")


async def talk(memory: Memory, what: str) -> None:
    """Ask and record until cancelled, and print how long that took."""
    call = await memory.open_call(Caller(f"live-{uuid4().hex}", memory.settings.agent_id, uuid4().hex))
    asked, recorded = [], []
    try:
        for number in range(100_000):
            asked.append(await timed(call.recall(f"What is my dog called? {number}", budget_s=10)))
            recorded.append(await timed(call.record(uuid4().hex, "user", f"My dog is ill, number {number}.")))
            await asyncio.sleep(EVERY_S)
    finally:
        told = ", ".join(
            f"{name} {figures(times)}" for name, times in (("asks", asked), ("records", recorded))
        )
        print(f"{what}: {told}")


async def timed(work: object) -> float:
    """Milliseconds that it took."""
    began = time.perf_counter()
    await work  # type: ignore[misc]
    return (time.perf_counter() - began) * 1000


def figures(times: list[float]) -> str:
    in_order = sorted(times)
    at = {name: in_order[int(share * (len(in_order) - 1))] for name, share in (("p50", 0.5), ("p95", 0.95))}
    return f"p50 {at['p50']:.1f} p95 {at['p95']:.1f} ms (n {len(times)})"


def write_calls(path: Path, turns: int) -> None:
    """A call a line, of a hundred people in turn."""
    spoken = {"user": _numbered(said(SENTENCES)), "assistant": _numbered(answered(SENTENCES))}
    with path.open("w") as file:
        for number in range(turns // CALL_TURNS):
            at, parts = BEGAN + timedelta(hours=number), []
            for place in range(CALL_TURNS):
                role, said_at = ("user", "assistant")[place % 2], at + timedelta(seconds=5 * place)
                parts.append({"role": role, "text": next(spoken[role]), "said_at": said_at.isoformat()})
            call = {"user_id": f"past-{number % USERS}", "call_id": f"call-{number}", "turns": parts}
            file.write(json.dumps(call) + "\n")


def write_facts(path: Path) -> None:
    """As `get_all` answers."""
    facts, at = [], BEGAN.isoformat()
    for number, text in enumerate(learned(FACTS)):
        whose = f"past-{number % USERS}"
        facts.append({"id": str(uuid4()), "memory": text, "user_id": whose, "created_at": at})
    path.write_text(json.dumps({"results": facts}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=10_000)
    asyncio.run(main(parser.parse_args().turns))
