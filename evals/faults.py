"""What a caller waits while a part of memory is slow, hung or down.

`python -m evals.faults [--only PART] [--quick] [--json FILE]`

From the entry of `llm_node` to the model's first chunk, as in `evals.latency`, but with the budget and
breakers that ship: what counts is what a caller waits. Postgres and the graph are real servers behind an
address that may stand still, or are halted and killed themselves; the embedding endpoint is the model of this
machine behind HTTP. Own stores in a temporary folder.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from echoic.agent.assistant import MemoryAgent
from echoic.agent.config import AgentSettings
from echoic.agent.worker.gc_tuning import freeze_gc
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.call import CallMemory
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.service import Memory, open_memory
from echoic.workers.graph.ingest import open_ingester
from evals.bench_data import caller, load
from evals.bench_variants import LLMNode, started
from evals.fault_between import Between, between
from evals.fault_embedding import embedding_endpoint
from evals.fault_graph import OwnGraph, own_graph
from evals.machine import commit, hardware
from evals.sample_words import questions

CALLS = (1, 16)
WARM_UP = 8
SLOW_S, LATE_S = 0.1, 0.4
"""Within the budget, so that every reply waits for it; and beyond it."""
WAITED = 0.75
"""Share of the budget from which a reply counts as having waited in vain; an embedding may take .8 of it."""
SOCKET = ".s.PGSQL.5432"
Part = Literal["postgres", "embedding", "graph"]
State = Literal["off", "well", "slow", "late", "hung", "down"]
IN_VAIN: tuple[State, ...] = ("late", "hung", "down")
Fault = Callable[[State], AbstractAsyncContextManager[None]]


class Fallible(Protocol):
    """What answers late, not at all, or hangs up, until it is mended."""

    delay_s: float

    def halt(self) -> None: ...

    def cut(self) -> None: ...

    def mend(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Case:
    """One part of memory in one state."""

    part: Part
    state: State
    settings: MemorySettings
    fault: Fault
    new_calls: bool = False
    """The fault is there before the calls begin: they hold nothing of their callers."""

    @property
    def tier(self) -> str:
        return "graph" if self.part == "graph" else "facts"

    @property
    def name(self) -> str:
        return f"{self.part} {self.state}" + (", calls begin then" if self.new_calls else "")


@dataclass(slots=True)
class Cell:
    """All replies of one case at so many calls."""

    ms: list[float] = field(default_factory=list)
    recall_ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How the tier fared."""
    used: list[int] = field(default_factory=list)
    """Lines of each block."""
    waited: Counter[int] = field(default_factory=Counter)
    """By call: replies that spent the budget in vain."""


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer samples: done within two minutes.")] = False,
    only: Annotated[str, typer.Option(metavar="PART", help="`postgres`, `embedding` or `graph`.")] = "",
) -> None:
    """Measure what a caller waits while a part of memory is slow, hung or down."""
    parts: tuple[Part, ...] = ("postgres", "embedding", "graph")
    if only and only not in parts:
        raise typer.BadParameter(f"It is one of {', '.join(parts)}.", param_hint="--only")
    console = Console()
    with TemporaryDirectory(prefix="echoic-bench-") as folder, open_stores(Path(folder) / "data") as stores:
        chosen = tuple(part for part in parts if only in ("", part))
        report = asyncio.run(measure_faults(stores, chosen, seconds=2 if quick else 15, console=console))
    show_faults(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure_faults(
    stores: Stores, parts: Sequence[Part], *, seconds: float, console: Console
) -> dict[str, Any]:
    """Load the callers, run every case, and return the report.

    Args:
        seconds: of each case; longer than a breaker's pause, and what failed is tried again meanwhile.
    """
    addresses = {
        "database_url": stores.database_url,
        "redis_url": stores.redis_url,
        "data_dir": stores.data_dir,
    }
    plain = load_settings(**addresses)
    async with open_memory(plain) as memory:
        await load(memory)
    rows, about = [], dict[str, Any]()
    async with AsyncExitStack() as stack:
        cases: list[Case] = []
        if "postgres" in parts:
            cases += await stack.enter_async_context(_postgres(plain))
        if "embedding" in parts:
            cases += await stack.enter_async_context(_embedding(plain))
        if "graph" in parts:
            about["relations_a_caller"], found = await stack.enter_async_context(_graph(plain))
            cases += found
        # a drawing thread would take the interpreter's lock
        with Progress(console=console, auto_refresh=False) as progress:
            measuring = progress.add_task("Measuring", total=len(cases) * len(CALLS))
            for case in cases:
                for count in CALLS:
                    progress.update(measuring, description=f"{case.name}, {count} at once", refresh=True)
                    rows.append(_row(case, count, await _cell(case, count, seconds)))
                    progress.advance(measuring)
    ran = {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return ran | about | {"budget_ms": plain.recall_budget_ms, "rows": rows}


@asynccontextmanager
async def _postgres(plain: MemorySettings) -> AsyncIterator[list[Case]]:
    """Behind an address that stands still: halting its first process would leave those that serve."""
    address = plain.database_url.get_secret_value()
    with TemporaryDirectory(prefix="echoic-between-") as own:
        server = Path(parse_qs(urlsplit(address).query)["host"][0]) / SOCKET
        async with between(server, Path(own) / SOCKET) as passing:
            settings = load_settings(
                database_url=f"{address.partition('?')[0]}?host={quote(own)}&port=5432",
                redis_url=plain.redis_url.get_secret_value(),
                data_dir=plain.data_dir,
            )
            fault = partial(_failing, passing)
            states: tuple[State, ...] = ("well", "slow", "late", "hung", "down")
            yield [
                *(Case("postgres", state, settings, fault) for state in states),
                *(Case("postgres", state, settings, fault, new_calls=True) for state in states[1:]),
            ]


@asynccontextmanager
async def _embedding(plain: MemorySettings) -> AsyncIterator[list[Case]]:
    async with embedding_endpoint() as endpoint:
        settings = plain.model_copy(update={"embedding_url": endpoint.url})
        fault = partial(_failing, endpoint)
        yield [
            Case("embedding", state, settings, fault) for state in ("well", "slow", "late", "hung", "down")
        ]


@asynccontextmanager
async def _graph(plain: MemorySettings) -> AsyncIterator[tuple[int, list[Case]]]:
    """The same callers with the graph: how many relations the first one has, and the cases."""
    with own_graph() as graph, TemporaryDirectory(prefix="echoic-between-") as own:
        socket = Path(own) / "graph.sock"
        async with between(graph.socket, socket) as passing:
            on = load_settings(
                database_url=plain.database_url.get_secret_value(),
                redis_url=plain.redis_url.get_secret_value(),
                data_dir=plain.data_dir,
                graph="on",
                falkordb_url=f"unix://{quote(str(socket))}?db=0",
            )
            async with open_memory(on) as memory:
                relations = await _enter(memory, max(CALLS))
            fault = partial(_failing_graph, graph, passing)
            states: tuple[State, ...] = ("off", "well", "slow", "late", "hung", "down")
            yield (
                relations,
                [Case("graph", state, plain if state == "off" else on, fault) for state in states],
            )


@asynccontextmanager
async def _failing(part: Fallible, state: State) -> AsyncIterator[None]:
    part.delay_s = {"slow": SLOW_S, "late": LATE_S}.get(state, 0.0)
    if state == "hung":
        part.halt()
    elif state == "down":
        part.cut()
    try:
        yield
    finally:
        part.mend()


@asynccontextmanager
async def _failing_graph(graph: OwnGraph, passing: Between, state: State) -> AsyncIterator[None]:
    """A server that stands still, or is gone; only slowness stands between."""
    if state == "hung":
        with graph.halted():
            yield
    elif state == "down":
        with graph.killed():
            yield
    else:
        async with _failing(passing, state):
            yield


async def _enter(memory: Memory, callers: int) -> int:
    """The callers' facts become graphs, as by a worker; returns how many relations the first caller has."""
    ingester = open_ingester(memory)
    assert ingester is not None
    for number in range(callers):
        one = caller(number)
        await memory.db.transaction(
            lambda connection, one=one: graph_ledger.mark_due(connection, one.user_id, one.agent_id)  # type: ignore[misc]
        )
        await ingester.ingest(one.user_id)
    await ingester.close()
    (group,) = await memory.graph_groups.of(caller(0))
    return 0 if group is None else group.edges


async def _cell(case: Case, count: int, seconds: float) -> Cell:
    """One case: the fault begins after a warm-up when all is well, or is there when the calls begin."""
    async with open_memory(case.settings) as memory, AsyncExitStack() as stack:
        if case.new_calls:
            await stack.enter_async_context(case.fault(case.state))
        calls = [memory.start_call(caller(number)) for number in range(count)]
        if not case.new_calls:
            for call in calls:
                await call.wait_loaded()
                await memory.search.wait_held(call.caller.call_id)
        cell = Cell()
        async with _node(case.name, calls) as node:
            asked = questions()
            if not case.new_calls:
                # one after the other: sixteen calls that begin at once on a cold server are another matter
                for number in range(count):
                    for _ in range(WARM_UP):
                        await node.ask(number, next(asked))
                        await node.end(number)
                await stack.enter_async_context(case.fault(case.state))
            until = time.perf_counter() + seconds
            await asyncio.gather(*(_ask(case, node, number, asked, until, cell) for number in range(count)))
        await stack.aclose()  # well again before the calls end: what is stored then is not measured here
        for call in calls:
            await call.end()
    return cell


@asynccontextmanager
async def _node(name: str, calls: Sequence[CallMemory]) -> AsyncIterator[LLMNode]:
    shipped = AgentSettings()
    agents = [
        MemoryAgent(instructions=shipped.instructions, context_tokens=shipped.context_tokens) for _ in calls
    ]
    async with started(agents, calls):
        freeze_gc()
        yield LLMNode(name, agents)


async def _ask(
    case: Case, node: LLMNode, number: int, asked: Iterator[str], until: float, cell: Cell
) -> None:
    while time.perf_counter() < until:
        began = time.perf_counter()
        recall_ms = await node.ask(number, next(asked))
        cell.ms.append((time.perf_counter() - began) * 1000)
        cell.recall_ms.append(recall_ms)
        recall = node.last_recall(number)
        tier = recall.tiers.get(case.tier)
        cell.outcomes[tier.status if tier else "off"] += 1
        cell.used.append(len(recall.used))
        cell.waited[number] += case.state in IN_VAIN and recall_ms >= WAITED * case.settings.recall_budget_ms
        await node.end(number)


def _row(case: Case, calls: int, cell: Cell) -> dict[str, Any]:
    times = {f"p{share}_ms": round(float(np.percentile(cell.ms, share)), 3) for share in (50, 95, 99)}
    return {
        "variant": case.name,
        "load": "closed",
        "calls": calls,
        "n": len(cell.ms),
        **times,
        "max_ms": round(max(cell.ms), 3),
        "recall_max_ms": round(max(cell.recall_ms), 3),
        "waited_a_call": max(cell.waited.values(), default=0),
        case.tier: dict(sorted(cell.outcomes.items())),
        "lines": round(float(np.mean(cell.used)), 2),
    }


def show_faults(report: dict[str, Any], console: Console) -> None:
    """The rows as a table, and what they come to."""
    table = Table(
        title="Milliseconds from llm_node to the model's first chunk",
        caption=f"{report['commit']} · {report['hardware']}",
    )
    for column in (
        "variant",
        "calls",
        "n",
        "p50",
        "p95",
        "p99",
        "max",
        "recall max",
        "waited",
        "the tier",
        "lines",
    ):
        table.add_column(column, justify="left" if column in ("variant", "the tier") else "right")
    for row in report["rows"]:
        times = [f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms", "recall_max_ms")]
        fared = row.get("graph") or row.get("facts") or {}
        outcomes = ", ".join(f"{status} {count}" for status, count in fared.items())
        cells = [str(row["n"]), *times, str(row["waited_a_call"]), outcomes, f"{row['lines']:.1f}"]
        table.add_row(row["variant"], str(row["calls"]), *cells)
    console.print(table)
    most = max(row["recall_max_ms"] for row in report["rows"])
    console.print(
        f"Longest recall in any state: {most:.1f} ms (aim: the budget of {report['budget_ms']} ms, and how "
        "late the loop was)"
    )
    waited = max(
        (row["waited_a_call"] for row in report["rows"] if row["variant"].startswith("graph ")), default=0
    )
    if any("graph" in row for row in report["rows"]):
        console.print(f"Replies of one call that waited for a graph in vain: {waited} (aim: 3 at most)")


if __name__ == "__main__":
    typer.run(main)
