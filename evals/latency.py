"""Time that memory adds to a reply, by number of calls at once.

`python -m evals.latency [--quick] [--graph] [--json FILE]`

From the entry of `llm_node` to the model's first chunk, with a model that answers at once; executor hop,
recall and rendering included, nothing prefetched, no question ever asked twice. Beside it in the same run: no
memory, the bare embedding of such words (by MiniLM as it is published, and by ours, which multiplies in 8
bits), and `mem0.AsyncMemory.search`. Nothing is cut short: the deadline is
lifted, and `late` counts what it would have cut. Words are embedded by the host's server, as in a call;
Mem0 and the published model compute in this process, as they do wherever they are used. Own embedded stores
in a temporary folder, so that nobody's data is touched.
"""

import asyncio
import json
import logging
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import psutil
import typer
from livekit.agents import ConversationItemAddedEvent, llm
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from echoic.agent.call.capture import Capture
from echoic.agent.worker.gc_tuning import freeze_gc
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.call import CallMemory
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.client import (
    embedding_folder,
    embedding_ready,
    open_shared_embedder,
    server_pid,
)
from echoic.memory.service import Memory, open_memory
from evals.bench_data import USERS, caller, load
from evals.bench_variants import Variant, open_variants
from evals.faults import measure_faults, show_faults
from evals.loop_lag import LoopLag, watched
from evals.machine import commit, hardware
from evals.sample_words import questions, said

CALLS = (1, 4, 16)
PAUSE_S = (0.5, 1.5)
"""Paced: each call asks again after such a pause."""
WARM_UP = 8
"""Questions of each call before timing starts: connections are opened, statements prepared."""
UNCUT = {"recall_budget_ms": 10_000, "breaker_failures": 1_000}
"""No answer is cut short by the deadline or skipped by a breaker: what is timed is all of the work."""
PUBLISHED, BARE, OURS, MEM0 = "published_minilm", "embedding", "echoic", "mem0_async_search"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long is measured. Rounds go over all variants in turn, so that a noisy minute meets all of them."""

    rounds: int
    closed_s: float
    paced_s: float
    captured: int
    graph_s: float
    """Each state of the graph; longer than a breaker's pause, so that it is tried again meanwhile."""


FULL = Plan(rounds=3, closed_s=5, paced_s=12, captured=400, graph_s=15)
QUICK = Plan(rounds=1, closed_s=0.5, paced_s=1.1, captured=50, graph_s=2)


@dataclass(slots=True)
class Cell:
    """All samples of one variant under one load."""

    ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    """What this process and the embedding server computed meanwhile; of the stores nothing."""
    late: int = 0
    """Questions whose recall took longer than the budget that ships; a call would not have waited."""
    lags: list[LoopLag] = field(default_factory=list)


Cells = dict[tuple[str, str, int], Cell]


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples: done within a minute.")] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Instead: with the graph off, on, slow, hung and down.")
    ] = False,
) -> None:
    """Measure how much time memory adds to a reply, next to what else could be done."""
    logging.getLogger("mem0").setLevel(logging.CRITICAL)
    console = Console()
    plan = QUICK if quick else FULL
    with TemporaryDirectory(prefix="echoic-bench-") as folder, open_stores(Path(folder) / "data") as stores:
        measuring = (
            measure_faults(stores, ["graph"], seconds=plan.graph_s, console=console)
            if graph
            else measure(stores, plan, console)
        )
        report = asyncio.run(measuring)
    (show_faults if graph else _show)(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores, plan: Plan, console: Console) -> dict[str, Any]:
    """Load the callers, run every cell of the plan, and return the report."""
    addresses = {
        "database_url": stores.database_url,
        "redis_url": stores.redis_url,
        "data_dir": stores.data_dir,
    }
    settings = load_settings(**addresses, **UNCUT)
    cells: Cells = defaultdict(Cell)
    # refreshed between cells only: a drawing thread would take the interpreter's lock while we measure
    with Progress(console=console, auto_refresh=False) as progress:
        async with (
            embedding_ready(settings),
            open_memory(settings, embedder=open_shared_embedder(settings)) as memory,
        ):
            loading = progress.add_task(f"Loading {USERS} callers", total=None)
            progress.refresh()
            await load(memory)
            progress.remove_task(loading)
            calls, load_ms = await _open_calls(memory)
            async with open_variants(memory, calls) as variants:
                freeze_gc()  # as the agent's process does before its first call
                await _run_all(variants, plan, cells, progress)
            captured_ms = await _capture(memory, plan.captured)
    return report_of(cells, load_ms, captured_ms)


async def _open_calls(memory: Memory) -> tuple[list[CallMemory], list[float]]:
    """Every caller calls once, in turn: ms until all of their memory is held; the first ones stay."""
    stay, ms = [], []
    for number in range(USERS):
        began = time.perf_counter()
        call = await memory.open_call(caller(number))
        await memory.search.wait_held(call.caller.call_id)
        ms.append((time.perf_counter() - began) * 1000)
        if number < max(CALLS):
            stay.append(call)
        else:
            await call.end()
    return stay, ms


async def _run_all(variants: Sequence[Variant], plan: Plan, cells: Cells, progress: Progress) -> None:
    asked = questions()
    steps = [
        (pace, calls, variant)
        for _ in range(plan.rounds)
        for pace in ("closed", "paced")
        for calls in CALLS
        for variant in variants
    ]
    measuring = progress.add_task("Measuring", total=len(steps))
    for variant in variants:
        await asyncio.gather(*(_ask_in_a_row(variant, call, asked, WARM_UP) for call in range(max(CALLS))))
    for pace, calls, variant in steps:
        progress.update(measuring, description=f"{variant.name}, {pace}, {calls} at once", refresh=True)
        cell = cells[variant.name, pace, calls]
        # a session keeps an event of every reply: forty thousand of them in one process are no call's
        freeze_gc()
        until = time.perf_counter() + (plan.closed_s if pace == "closed" else plan.paced_s)
        began_cpu_s = _computed_s()
        with watched() as lag:
            await asyncio.gather(*(_call(variant, call, asked, pace, until, cell) for call in range(calls)))
        cell.cpu_s += _computed_s() - began_cpu_s
        cell.lags.append(lag)
        progress.advance(measuring)


def _computed_s() -> float:
    server = psutil.Process(server_pid(embedding_folder())).cpu_times()
    return time.process_time() + server.user + server.system


async def _ask_in_a_row(variant: Variant, call: int, asked: Iterator[str], count: int) -> None:
    for _ in range(count):
        await variant.ask(call, next(asked))
        await variant.end(call)


async def _call(
    variant: Variant, call: int, asked: Iterator[str], pace: str, until: float, cell: Cell
) -> None:
    """One caller: question after question, or with pauses, until the time is up."""
    pauses = random.Random(call)
    if pace == "paced":
        await asyncio.sleep(pauses.uniform(0, PAUSE_S[0]))
    while time.perf_counter() < until:
        text = next(asked)
        began = time.perf_counter()
        recall_ms = await variant.ask(call, text)
        cell.ms.append((time.perf_counter() - began) * 1000)
        cell.late += recall_ms > MemorySettings.model_fields["recall_budget_ms"].default
        await variant.end(call)
        if pace == "paced":
            await asyncio.sleep(pauses.uniform(*PAUSE_S))


async def _capture(memory: Memory, count: int) -> list[float]:
    """From the event of a committed conversation item to its durable row, one after the other."""
    ms: list[float] = []
    call = await memory.open_call(caller(USERS))
    async with Capture(call, on_stored=lambda _turn, elapsed_ms: ms.append(elapsed_ms)) as capture:
        for words in said(count, seed=99):
            item = llm.ChatMessage(role="user", content=[words], id=uuid4().hex)
            capture.on_item(ConversationItemAddedEvent(item=item))
            await capture.drained()
    await call.end()
    return ms


def report_of(cells: Cells, load_ms: list[float], captured_ms: list[float]) -> dict[str, Any]:
    """The figures as others read them (docs: `--json`)."""
    rows = [_row(*key, cell) for key, cell in cells.items()]
    return {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
        "loop_stall_ms": _stalls(cells, OURS) | {"bare": _stalls(cells, BARE)},
        "captured_ms": _percentiles(captured_ms, "p50", "p99"),
        "load_ms": _percentiles(load_ms, "p50", "p95", "p99"),
        "ratios": ratios(rows),
    }


def _row(variant: str, load: str, calls: int, cell: Cell) -> dict[str, Any]:
    times = {f"{name}_ms": value for name, value in _percentiles(cell.ms, "p50", "p95", "p99").items()}
    cpu_ms = round(cell.cpu_s * 1000 / len(cell.ms), 3)
    asked = {"variant": variant, "load": load, "calls": calls, "n": len(cell.ms)}
    return {**asked, **times, "cpu_ms": cpu_ms, "late": cell.late}


def _percentiles(ms: Sequence[float], *names: str) -> dict[str, float]:
    return {name: round(float(np.percentile(ms, float(name[1:]))), 3) for name in names}


def _stalls(cells: Cells, variant: str) -> dict[str, Any]:
    """Over every load: how late timers fired, and the slowest single callback of the process."""
    lags = [lag for (name, _, _), cell in cells.items() if name == variant for lag in cell.lags]
    all_ms = [ms for lag in lags for ms in lag.stalls_ms]
    worst = max(lags, key=lambda lag: lag.slowest_ms)
    callback = {
        "ms": round(worst.slowest_ms, 3),
        "cpu_ms": round(worst.slowest_cpu_ms, 3),
        "name": worst.slowest_name,
    }
    return {**_percentiles(all_ms, "p99"), "max": round(max(all_ms), 3), "slowest_callback": callback}


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Closed loop: one call against the bare embedding, ours and the published one, most calls beyond ours
    against Mem0's."""
    at = {(row["variant"], row["calls"]): row for row in rows if row["load"] == "closed"}
    most = max(CALLS)
    beyond = {name: at[name, most]["p95_ms"] - at[BARE, most]["p95_ms"] for name in (OURS, MEM0)}
    ours, embedding, published = (at[name, 1]["p50_ms"] for name in (OURS, BARE, PUBLISHED))
    return {
        "echoic_to_embedding_p50_1_call": round(ours / embedding, 2),
        "echoic_to_published_minilm_p50_1_call": round(ours / published, 2),
        f"beyond_embedding_to_mem0_p95_{most}_calls": round(beyond[OURS] / beyond[MEM0], 2),
    }


def _show(report: dict[str, Any], console: Console) -> None:
    console.print(_table(report))
    one, published, many = report["ratios"].values()
    console.print(f"Against bare MiniLM, p50 at one call: {published} (aim: 1.0 at most)")
    console.print(f"Against the bare embedding in use: {one} (aim: 1.5 at most)")
    console.print(
        f"Beyond the embedding against Mem0's, p95 at {max(CALLS)} calls: {many} (aim: 0.25 at most)"
    )
    for name, stalls in (
        ("with memory", report["loop_stall_ms"]),
        ("bare embedding", report["loop_stall_ms"]["bare"]),
    ):
        slowest = stalls["slowest_callback"]
        console.print(f"Event loop, {name}: late by p99 {stalls['p99']} ms, max {stalls['max']} ms")
        console.print(
            f"  slowest callback {slowest['ms']} ms, "
            f"{slowest['cpu_ms']} ms of it computing: {slowest['name']}"
        )
    for name, key in (
        ("A turn is durable after", "captured_ms"),
        ("A caller's memory is loaded in", "load_ms"),
    ):
        console.print(f"{name}: " + ", ".join(f"{p} {value} ms" for p, value in report[key].items()))


def _table(report: dict[str, Any]) -> Table:
    table = Table(
        title="Milliseconds from llm_node to the model's first chunk, and of processor time a question",
        caption=f"{report['commit']} · {report['hardware']}",
    )
    for column in ("variant", "load", "calls", "n", "p50", "p95", "p99", "CPU", "late"):
        table.add_column(column, justify="left" if column in ("variant", "load") else "right")
    for row in sorted(report["rows"], key=lambda row: (row["load"], row["calls"])):
        times = [f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "cpu_ms")]
        table.add_row(row["variant"], row["load"], str(row["calls"]), str(row["n"]), *times, str(row["late"]))
    return table


if __name__ == "__main__":
    typer.run(main)
