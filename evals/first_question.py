"""Is memory late for the first question of a call on a busy machine?

`python -m evals.first_question [--busy 8] [--n 50] [--json FILE]`

A process opens memory and asks, as soon as the call has begun, what one of 61 turns answers; beside it others
compute for nothing. Every second call waits for Postgres's answer alone: the baseline. Printed for both: the
share of calls for which memory was late within the usual budget, and the milliseconds until its answer.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Annotated
from unittest.mock import patch
from uuid import uuid4

import typer

from echoic.local.command_resources import progress_bar
from echoic.local.servers.stores import open_stores
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.recall.facts_tier import HybridSearch
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from evals.machine import commit, hardware

FORMS = ("whichever is first", "Postgres alone")


def main(
    busy: Annotated[int, typer.Option(min=0, help="Processes that compute beside it.")] = 8,
    n: Annotated[int, typer.Option("--n", min=2, help="Calls in each form.")] = 50,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Ask the first question of many calls."""
    with TemporaryDirectory(prefix="echoic-first-") as folder, open_stores(Path(folder) / "data") as stores:
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        forms = asyncio.run(_ask(settings, busy, n))
    for form, figures in forms.items():
        print(f"{form}: {figures}")
    if json_file is not None:
        date = datetime.now(UTC).isoformat(timespec="seconds")
        report = {"busy": busy, "calls": n, "forms": forms}
        report |= {"commit": commit(), "date": date, "hardware": hardware()}
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def _ask(settings: MemorySettings, busy: int, n: int) -> dict[str, dict[str, float]]:
    LocalEmbedder().embed_now(["all is loaded, once for this process"])
    async with open_memory(settings) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "before"))
        for text in (
            "My dog is called Biscuit.",
            *(f"Boat {number} is on the river." for number in range(60)),
        ):
            await call.record(uuid4().hex, "user", text)
        await call.end()
    late, took_ms = defaultdict[str, int](int), defaultdict[str, list[float]](list)
    with _computing(busy), progress_bar("Calls") as on_progress:
        for number in range(n):
            for form in FORMS:
                with _as(form):
                    async with open_memory(settings) as memory:
                        call = await memory.open_call(Caller("ana", "echoic", uuid4().hex))
                        began = time.perf_counter()
                        found = await call.recall("What is the name of my dog?")
                        took_ms[form].append((time.perf_counter() - began) * 1000)
                        late[form] += found.tiers["facts"].status != "ok"
                        await call.end()
            on_progress(number + 1, n)
    return {
        form: {
            "late": round(late[form] / n, 3),
            "p50_ms": round(median(took_ms[form]), 1),
            "p90_ms": round(quantiles(took_ms[form], n=10)[-1], 1),
        }
        for form in FORMS
    }


@contextmanager
def _as(form: str) -> Iterator[None]:
    """One form of the search: the baseline never looks at what is being read."""

    async def never(*_of: object) -> bool:
        return False

    if form == FORMS[0]:
        yield
        return
    with patch.object(HybridSearch, "_read_first", never):
        yield


@contextmanager
def _computing(processes: int) -> Iterator[None]:
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    typer.run(main)
