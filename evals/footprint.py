"""What memory costs a call process: `python -m evals.footprint [--quick] [--json FILE]`.

Resident size and start time of LiveKit's call processes, 1 to 16 at once, with and without memory, in turn;
and what the host pays once: the embedding server. Own embedded stores in a temporary folder, so that nobody's
data is touched.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.embedding.client import embedding_folder, embedding_ready, server_pid
from evals.machine import ROOT, commit, hardware

CALLS = (1, 2, 4, 8, 16)
QUICK_CALLS = (1, 4)
AIM_MB = 40
LIMIT_S = 600.0
MEGABYTE = 2**20
KINDS = ("plain", "remembering")
FEW_CALLS = 4
ROUNDS = 3
"""How often up to 4 calls are measured; the median counts. More calls have samples enough."""


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="1 and 4 calls only.")] = False,
) -> None:
    """Measure what memory adds to the size and the start of a call process."""
    console = Console()
    with (
        TemporaryDirectory(prefix="echoic-footprint-") as folder,
        open_stores(Path(folder) / "data") as stores,
    ):
        report = asyncio.run(measure(stores, QUICK_CALLS if quick else CALLS, console))
    _show(report, console)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


async def measure(stores: Stores, numbers: tuple[int, ...], console: Console) -> dict[str, Any]:
    """Every number of calls without and with memory; the embedding server runs already, as in a worker."""
    settings = load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )
    environment = _environment(stores)
    measured: dict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
    async with embedding_ready(settings):
        for calls, kind in _steps(numbers):
            console.print(f"{calls} calls, {kind}")
            measured[kind, calls].append(await asyncio.to_thread(_run, kind, calls, environment))
        server = psutil.Process(server_pid(embedding_folder()))
        once = {"embedding_server_rss_mb": round(server.memory_info().rss / MEGABYTE, 1)}
    rows = [{"kind": kind, "calls": calls, **_median(figures)} for (kind, calls), figures in measured.items()]
    return report_of(rows, once)


def _steps(numbers: tuple[int, ...]) -> Iterator[tuple[int, str]]:
    for calls in numbers:
        for _ in range(ROUNDS if calls <= FEW_CALLS else 1):
            yield from ((calls, kind) for kind in KINDS)


def _median(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in measured), 3) for name in measured[0]}


def report_of(rows: list[dict[str, Any]], once: dict[str, float]) -> dict[str, Any]:
    """The figures as others read them (docs: `--json`)."""
    at = {(row["kind"], row["calls"]): row for row in rows}
    numbers = sorted({row["calls"] for row in rows})

    def added(figure: str, digits: int) -> dict[str, float]:
        return {
            str(calls): round(at["remembering", calls][figure] - at["plain", calls][figure], digits)
            for calls in numbers
        }

    return {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rss_added_mb": added("rss_mb", 1),
        "uss_added_mb": added("uss_mb", 1),
        "start_added_s": added("start_s", 3),
        "once_a_host": once,
        "rows": rows,
    }


def _run(kind: str, calls: int, environment: dict[str, str]) -> dict[str, float]:
    """In a process of its own, so that no arm inherits what another has imported."""
    command = [sys.executable, "-m", "evals.call_process", kind, str(calls)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=LIMIT_S, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _environment(stores: Stores) -> dict[str, str]:
    addresses = {
        "ECHOIC_DATABASE_URL": stores.database_url,
        "ECHOIC_REDIS_URL": stores.redis_url,
        "ECHOIC_DATA_DIR": str(stores.data_dir),
        "ECHOIC_DATABASE_POOL_SIZE": "4",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECHOIC_", "LIVEKIT_"))}
    return kept | addresses


def _show(report: dict[str, Any], console: Console) -> None:
    table = Table(
        title="One call process, without and with memory",
        caption=f"{report['commit']} · {report['hardware']}",
    )
    for column in ("calls", "memory", "resident MB", "own MB", "start s"):
        table.add_column(column, justify="right")
    for row in report["rows"]:
        memory = "yes" if row["kind"] == "remembering" else "no"
        table.add_row(
            str(row["calls"]), memory, f"{row['rss_mb']:.1f}", f"{row['uss_mb']:.1f}", f"{row['start_s']:.2f}"
        )
    console.print(table)
    most = max(report["rss_added_mb"].values())
    console.print(f"Memory adds at most {most} MB to a call process (aim: {AIM_MB} or less)")
    console.print(f"Once a host: the embedding server, {report['once_a_host']['embedding_server_rss_mb']} MB")


if __name__ == "__main__":
    typer.run(main)
