"""How long one question to the graph takes, and whether it finds the answer.

`python -m evals.graph [--json FILE] [--quick]`

Graphs of 100, 1,000 and 10,000 relations beside those of 200 other users, on the embedded FalkorDB and on a
real Neo4j 5.26 (Java 17 and Maven; or ECHOIC_NEO4J_URL), one question and eight at once; our form of the
search, and the library's own hybrid one, given the same vector. 52 relations are planted, each asked for in
other words, by a neighbour or by a name, with the embedder that ships.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from echoic.local.servers.graph_server import open_graph
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.embedder import Embedder, LocalEmbedder
from echoic.memory.embedding.spaces import SPACES
from echoic.memory.graph.backend import open_backend
from echoic.memory.graph.query_words import asked_words
from echoic.workers.graph.graphiti_env import load
from evals.graph_data import History, history
from evals.graph_load import OTHER_EDGES, OTHERS, loader
from evals.machine import commit, hardware

SIZES = (100, 1_000, 10_000)
CALLS = (1, 8)
ROUNDS, QUICK_ROUNDS = 4, 1
"""How often each question is asked for one cell."""
WARM_UP = 60
"""Questions of each form before timing starts: Java compiles what it runs often."""
BEST = 5
LIMIT_MS = 60_000
"""Nothing is cut short: what is timed is all of the work."""
Form = Literal["ours", "library"]
Ask = Callable[[int], Awaitable[list[UUID]]]
"""One planted question, by its number -> the relations found, best first."""


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Up to 1,000 relations, each question once.")
    ] = False,
    only: Annotated[str, typer.Option(help="`falkordb` or `neo4j` alone.")] = "",
) -> None:
    """Measure the graph's search."""
    console, rows = Console(), list[dict[str, Any]]()
    with ExitStack() as servers:
        folder = Path(servers.enter_context(TemporaryDirectory(prefix="echoic-graph-")))
        for backend, start in SERVERS.items():
            if only in ("", backend):
                settings = servers.enter_context(start(folder, console))
                rows += asyncio.run(
                    measure(
                        backend,
                        settings,
                        QUICK_ROUNDS if quick else ROUNDS,
                        SIZES[:2] if quick else SIZES,
                        console,
                    )
                )
    report = {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
    }
    _show(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(
    backend: str, settings: MemorySettings, rounds: int, sizes: tuple[int, ...], console: Console
) -> list[dict[str, Any]]:
    """Every cell of one server."""
    embedder, rows = LocalEmbedder(), list[dict[str, Any]]()
    try:
        async with _filled(settings, embedder, sizes, console) as histories:
            for edges, known in histories.items():
                for form, opened in FORMS.items():
                    async with opened(settings, _group(edges), known) as ask:
                        for number in range(WARM_UP):
                            await ask(number % len(known.planted))
                        for calls in CALLS:
                            row = await _cell(ask, known, calls, rounds)
                            rows.append(
                                {"backend": backend, "edges": edges, "calls": calls, "form": form, **row}
                            )
                            console.print(rows[-1])
    finally:
        await embedder.close()
    return rows


@asynccontextmanager
async def _filled(
    settings: MemorySettings, embedder: Embedder, sizes: tuple[int, ...], console: Console
) -> AsyncIterator[dict[int, History]]:
    """The server with all graphs in it."""
    histories = {}
    filling = loader(settings, embedder)
    try:
        for edges in sizes:
            console.print(f"Embedding and loading {edges} relations")
            histories[edges] = await history(embedder, edges)
            await filling.load(_group(edges), histories[edges].edges, histories[edges].vectors)
        first = histories[sizes[0]]
        await filling.load_others(first.edges[:OTHER_EDGES], first.vectors[:OTHER_EDGES])
        backend = open_backend(settings)
        assert backend is not None
        for edges in sizes:
            await backend.refresh(_group(edges))
        await backend.close()
        yield histories
    finally:
        await filling.close()


@asynccontextmanager
async def _ours(settings: MemorySettings, group: str, known: History) -> AsyncIterator[Ask]:
    backend = open_backend(settings)
    assert backend is not None
    await backend.ping()

    async def ask(number: int) -> list[UUID]:
        words = asked_words(known.planted[number].question)
        vector, edges = known.asked[number], len(known.edges)
        found = await backend.search(
            group, vector=vector, words=words, past=False, now=datetime.now(UTC), limit=BEST, edges=edges
        )
        return [relation.edge_id for relation in found]

    try:
        yield ask
    finally:
        await backend.close()


@asynccontextmanager
async def _library(settings: MemorySettings, group: str, known: History) -> AsyncIterator[Ask]:
    """Graphiti's hybrid search (full text and cosine, fused by ranks; live relations), given our vector.

    Its least cosine is for vectors of one space; a stored one of ours has a place in three.
    """
    store = load("echoic.workers.graph.graphiti_store", known.asked.shape[1]).GraphStore(
        settings, LocalEmbedder
    )
    driver = await store.open(group)
    searching = load("graphiti_core.search.search", known.asked.shape[1])
    recipes = load("graphiti_core.search.search_config_recipes", known.asked.shape[1])
    filters = load("graphiti_core.search.search_filters", known.asked.shape[1])
    types = load("graphiti_core.graphiti_types", known.asked.shape[1])
    is_null = filters.DateFilter(comparison_operator=filters.ComparisonOperator.is_null)
    live = filters.SearchFilters(invalid_at=[[is_null]])
    clients = types.GraphitiClients.model_construct(
        driver=driver, llm_client=None, embedder=None, cross_encoder=None
    )

    recipe = recipes.EDGE_HYBRID_SEARCH_RRF.model_copy(deep=True)
    recipe.edge_config.sim_min_score /= len(SPACES) ** 0.5  # a question stands in one of them

    async def ask(number: int) -> list[UUID]:
        asked = (clients, known.planted[number].question, [group], recipe, live)
        found = await searching.search(*asked, query_vector=known.asked[number].tolist(), driver=driver)
        return [UUID(edge.uuid) for edge in found.edges[:BEST]]

    try:
        yield ask
    finally:
        await store.close()


FORMS = {"ours": _ours, "library": _library}


async def _cell(ask: Ask, known: History, calls: int, rounds: int) -> dict[str, Any]:
    """All questions `rounds` times, by so many callers at once, each waiting for its answer."""
    ms, found = list[float](), list[bool]()
    questions = iter([number for _ in range(rounds) for number in range(len(known.planted))])

    async def caller() -> None:
        for number in questions:
            began = time.perf_counter()
            best = await ask(number)
            ms.append((time.perf_counter() - began) * 1000)
            found.append(known.planted[number].edge_id in best[:BEST])

    await asyncio.gather(*(caller() for _ in range(calls)))
    p50, p95 = (round(float(np.percentile(ms, share)), 1) for share in (50, 95))
    return {
        "n": len(ms),
        "p50_ms": p50,
        "p95_ms": p95,
        f"recall_at_{BEST}": round(sum(found) / len(found), 3),
    }


@contextmanager
def _falkordb(folder: Path, _: Console) -> Iterator[MemorySettings]:
    with open_graph(folder) as url:
        yield load_settings(graph="on", falkordb_url=url, neo4j_url="", store_timeout_ms=LIMIT_MS)


@contextmanager
def _neo4j(folder: Path, console: Console) -> Iterator[MemorySettings]:
    """The one that the environment names, which is filled and not emptied; else one of our own."""
    if os.environ.get("ECHOIC_NEO4J_URL"):
        yield load_settings(graph="on", falkordb_url="", store_timeout_ms=LIMIT_MS)
        return
    from tests.graph.neo4j_server import Neo4jServer, class_path

    console.print("Starting Neo4j")
    server = Neo4jServer(folder / "neo4j", class_path())
    server.start()
    try:
        yield load_settings(
            graph="on",
            falkordb_url="",
            neo4j_url=server.url,
            neo4j_password=server.password,
            store_timeout_ms=LIMIT_MS,
        )
    finally:
        server.stop()


SERVERS = {"falkordb": _falkordb, "neo4j": _neo4j}


def _group(edges: int) -> str:
    return f"bench{edges}"


def _show(report: dict[str, Any], console: Console) -> None:
    title = f"One question to the graph, milliseconds; {OTHERS} other users"
    table = Table(title=title, caption=f"{report['commit']} · {report['hardware']}")
    for column in ("server", "relations", "at once", "form", "n", "p50", "p95", "recall@5"):
        table.add_column(column, justify="left" if column in ("server", "form") else "right")
    for row in report["rows"]:
        figures = (f"{row['p50_ms']:.1f}", f"{row['p95_ms']:.1f}", f"{row['recall_at_5']:.2f}")
        table.add_row(
            row["backend"], str(row["edges"]), str(row["calls"]), row["form"], str(row["n"]), *figures
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
