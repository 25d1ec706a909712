"""What the graph adds to a reply, and what it costs while it is slow, hung or down: `python -m evals.latency --graph`.

From the entry of `llm_node` to the model's first chunk, as in `evals.latency`, but with the budget and breakers that ship: what counts
is what a caller waits. Facts of the same callers, entered into a FalkorDB of its own as a worker does it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.assistant import MemoryAgent
from agent.config import AgentSettings
from agent.pauses import settle_collector
from evals.bench_data import caller, load
from evals.bench_variants import LLMNode, started
from evals.machine import commit, hardware
from evals.sample_words import questions
from local.graph_server import GraphServer
from local.paths import socket_folder
from local.stores import Stores
from memory import graph_ledger
from memory.config import MemorySettings, load_settings
from memory.service import Memory, open_memory
from workers.graph_ingest import open_ingester

CALLS = (1, 16)
WARM_UP = 8
SLOW_S, LATE_S = 0.1, 0.4
"""Within the budget, so that every reply waits for it; and beyond it."""
START_S = 30.0
STATES = ("off", "on", "slow", "late", "hung", "down")
IN_VAIN = ("graph late", "graph hung", "graph down")
WAITED = 0.9
"""Share of the budget from which a reply counts as having waited for a graph that did not answer."""


@dataclass(slots=True)
class Cell:
    """All replies of one state at so many calls."""

    ms: list[float] = field(default_factory=list)
    recall_ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How the graph fared."""
    waited: Counter[int] = field(default_factory=Counter)
    """By call: replies that spent the budget on a graph that did not answer."""


async def measure_graph(stores: Stores, *, seconds: float, calls: Sequence[int] = CALLS) -> dict[str, Any]:
    """Load the callers, enter their graphs, run every state, and return the report."""
    addresses = {"database_url": stores.database_url, "redis_url": stores.redis_url, "data_dir": stores.data_dir}
    off = load_settings(**addresses)
    rows: list[dict[str, Any]] = []
    with own_graph() as graph:
        on = load_settings(**addresses, graph="on", falkordb_url=graph.url)
        async with open_memory(off) as memory:
            await load(memory)
        async with open_memory(on) as memory:
            relations = await _enter(memory, max(calls))
        async with graph.between() as between:
            slowed = load_settings(**addresses, graph="on", falkordb_url=between.url)
            for state in STATES:
                settings = off if state == "off" else slowed if state in ("slow", "late") else on
                rows += [await _cell(settings, state, count, graph, between, seconds) for count in calls]
    return {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "budget_ms": off.recall_budget_ms,
        "relations_a_caller": relations,
        "rows": rows,
    }


async def _enter(memory: Memory, callers: int) -> int:
    """The callers' facts become graphs, as a worker makes them; returns how many relations the first caller has."""
    ingester = open_ingester(memory)
    assert ingester is not None and memory.graph is not None
    for number in range(callers):
        one = caller(number)
        await memory.db.transaction(lambda connection, one=one: graph_ledger.mark_due(connection, one.user_id, one.agent_id))  # type: ignore[misc]
        await ingester.ingest(one.user_id)
    await ingester.close()
    group = await memory.graph_groups.of(caller(0))
    return 0 if group is None else group.edges


async def _cell(settings: MemorySettings, state: str, count: int, graph: "OwnGraph", between: "Between", seconds: float) -> dict[str, Any]:
    """One state: everything is well while it warms up, then it begins."""
    cell, asked, shipped = Cell(), questions(), AgentSettings()
    async with open_memory(settings) as memory:
        calls = [await memory.open_call(caller(number)) for number in range(count)]
        for call in calls:
            await memory.search.wait_held(call.caller.call_id)
        agents = [MemoryAgent(instructions=shipped.instructions, context_tokens=shipped.context_tokens, call_memory=call) for call in calls]
        async with started(agents):
            settle_collector()
            node = LLMNode(state, agents)
            for number in range(count):  # one after the other: sixteen calls that begin at once on a cold server are another matter
                for _ in range(WARM_UP):
                    await node.ask(number, next(asked))
            with graph.made(state, between):
                until = time.perf_counter() + seconds
                await asyncio.gather(*(_ask(node, agents[number], number, asked, until, cell, settings) for number in range(count)))
        for call in calls:
            await call.end()
    return _row(state, count, cell)


async def _ask(
    node: LLMNode, agent: MemoryAgent, number: int, asked: Iterator[str], until: float, cell: Cell, settings: MemorySettings
) -> None:
    while time.perf_counter() < until:
        began = time.perf_counter()
        recall_ms = await node.ask(number, next(asked))
        cell.ms.append((time.perf_counter() - began) * 1000)
        cell.recall_ms.append(recall_ms)
        assert agent.last_recall is not None
        tier = agent.last_recall.tiers.get("graph")
        cell.outcomes[tier.status if tier else "off"] += 1
        cell.waited[number] += tier is not None and tier.status == "late" and recall_ms >= WAITED * settings.recall_budget_ms


def _row(state: str, calls: int, cell: Cell) -> dict[str, Any]:
    times = {f"p{share}_ms": round(float(np.percentile(cell.ms, share)), 3) for share in (50, 95, 99)}
    return {
        "variant": f"graph {state}",
        "load": "closed",
        "calls": calls,
        "n": len(cell.ms),
        **times,
        "max_ms": round(max(cell.ms), 3),
        "recall_max_ms": round(max(cell.recall_ms), 3),
        "waited_a_call": max(cell.waited.values(), default=0),
        "graph": dict(sorted(cell.outcomes.items())),
    }


class OwnGraph:
    """A FalkorDB of the bench's own, which may be stopped and killed."""

    def __init__(self, folder: Path) -> None:
        self._server = GraphServer(folder, socket_folder(folder))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._server.address
        self.socket = Path(socket_folder(folder)) / "graph.sock"
        self._folder = folder

    def start(self) -> None:
        """Return once it answers."""
        self._server.prepare()
        self._process = subprocess.Popen(self._server.command, cwd=self._server.folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_S
        while not self._server.is_ready(self._process.pid):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError("FalkorDB did not start.")
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def made(self, state: str, between: "Between") -> Iterator[None]:
        """Slow, hung or down until the block ends."""
        assert self._process is not None
        if state in ("slow", "late"):
            between.delay_s = SLOW_S if state == "slow" else LATE_S
        elif state == "hung":
            os.kill(self._process.pid, signal.SIGSTOP)
        elif state == "down":
            self.kill()
        try:
            yield
        finally:
            between.delay_s = 0.0
            if state == "hung":
                os.kill(self._process.pid, signal.SIGCONT)
            elif state == "down":
                self.start()

    @asynccontextmanager
    async def between(self) -> "AsyncIterator[Between]":
        """An address that passes everything on, answers after a delay."""
        between = Between(self.socket, self._folder / "between.sock")
        server = await asyncio.start_unix_server(between.serve, between.own)
        try:
            yield between
        finally:
            server.close()
            await between.close()


class Between:
    """Passes bytes on; those of the server after `delay_s`, in their order."""

    def __init__(self, server: Path, own: Path) -> None:
        self._server, self.own, self.delay_s = server, own, 0.0
        self.url = f"unix://{quote(str(own))}?db=0"
        self._ends: set[asyncio.StreamWriter] = set()
        self._serving = 0
        self._idle = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side hangs up."""
        ends = {writer}
        self._serving += 1
        self._idle.clear()
        try:
            answers, asks = await asyncio.open_unix_connection(self._server)
            ends.add(asks)
            self._ends |= ends
            await asyncio.gather(self._pass(reader, asks, slow=False), self._pass(answers, writer, slow=True))
        except OSError:
            pass  # it hung up in the middle of something
        finally:
            for end in ends:
                end.close()
            self._ends -= ends
            self._serving -= 1
            if not self._serving:
                self._idle.set()

    async def close(self) -> None:
        """Hang up on everybody."""
        for end in self._ends:
            end.close()
        if self._serving:
            await self._idle.wait()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, slow: bool) -> None:
        while data := await source.read(65_536):
            if slow and self.delay_s:
                await asyncio.sleep(self.delay_s)
            target.write(data)
            await target.drain()
        target.close()


@contextmanager
def own_graph() -> Iterator[OwnGraph]:
    """Started, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="echoic-graph-"))
    graph = OwnGraph(folder)
    try:
        graph.start()
        yield graph
    finally:
        graph.kill()
        with suppress(OSError):
            shutil.rmtree(folder)


def show_graph(report: dict[str, Any], console: Console) -> None:
    """The rows as a table, and the two aims."""
    table = Table(title="Milliseconds from llm_node to the model's first chunk", caption=f"{report['commit']} · {report['hardware']}")
    for column in ("variant", "calls", "n", "p50", "p95", "p99", "max", "recall max", "waited", "graph"):
        table.add_column(column, justify="left" if column in ("variant", "graph") else "right")
    for row in report["rows"]:
        times = [f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms", "recall_max_ms")]
        outcomes = ", ".join(f"{status} {count}" for status, count in row["graph"].items())
        table.add_row(row["variant"], str(row["calls"]), str(row["n"]), *times, str(row["waited_a_call"]), outcomes)
    console.print(table)
    most = max(row["recall_max_ms"] for row in report["rows"])
    console.print(f"Longest recall in any state: {most:.1f} ms (aim: the budget of {report['budget_ms']} ms, and how late the loop was)")
    waited = max((row["waited_a_call"] for row in report["rows"] if row["variant"] in IN_VAIN), default=0)
    console.print(f"Replies of one call that waited for a graph in vain: {waited} (aim: 3 at most)")
