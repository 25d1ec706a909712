"""Where a question's vector should be made: `python -m evals.embedding [--json FILE]`.

1 to 16 call processes, each asking one question after the other, closed loop: with a model in each of them,
with the host's embedding server, and with LiveKit's inference process. The last is asked without the hop from
the call to its worker, so that its times are lower bounds. Beside the times: what all processes together keep
in memory that is theirs alone.
"""

import asyncio
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import psutil
import typer
from livekit.agents.inference_runner import _InferenceRunner
from livekit.agents.ipc.inference_proc_executor import InferenceProcExecutor
from rich.console import Console
from rich.table import Table

from echoic.memory.embedding.client import GROUP, SharedEmbedder
from echoic.memory.embedding.embedder import Embedder, LocalEmbedder
from echoic.memory.hosting.state import read_state
from evals.machine import commit, hardware
from evals.sample_words import questions

CALLS = (1, 4, 16)
SECONDS = 4.0
THREADS = 2
LIMIT_S = 120.0
MEGABYTE = 2**20
Samples = list[float]
_begin: Barrier


class Runner(_InferenceRunner):
    """The same model in LiveKit's inference process."""

    INFERENCE_METHOD: ClassVar[str] = "echoic_embed"

    def initialize(self) -> None:
        self._model = LocalEmbedder(workers=1)

    def run(self, data: bytes) -> bytes:
        return self._model.embed_question(data.decode()).tobytes()


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Measure one question's vector by where the model lives."""
    rows = [
        {"where": where, "calls": calls, **measure(calls)}
        for calls in CALLS
        for where, measure in WAYS.items()
    ]
    report = {
        "commit": commit(),
        "hardware": hardware(),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
    }
    _show(report)
    if json_file:
        json_file.write_text(json.dumps(report, indent=1) + "\n")


def in_each_process(calls: int) -> dict[str, float]:
    """A model of its own for every call."""
    return _in_processes(calls, _ask_own_model, "")


def by_server(calls: int) -> dict[str, float]:
    """One model for all, behind the socket."""
    with _host() as folder:
        return _in_processes(calls, _ask_server, str(folder), lambda: _servers(folder))


def by_livekit(calls: int) -> dict[str, float]:
    """One model for all, in LiveKit's process, which is asked one question at a time."""
    return asyncio.run(_ask_livekit(calls))


WAYS: dict[str, Callable[[int], dict[str, float]]] = {
    "each process": in_each_process,
    "embedding server": by_server,
    "LiveKit's process": by_livekit,
}


def _in_processes(
    calls: int,
    ask: Callable[[str], tuple[Samples, float]],
    argument: str,
    others: Callable[[], list[psutil.Process]] = list,
) -> dict[str, float]:
    """Every call is a process; all begin to ask at the same moment."""
    context = multiprocessing.get_context("forkserver")
    begin = context.Barrier(calls + 1)
    with ProcessPoolExecutor(
        calls, mp_context=context, initializer=_remember, initargs=(begin,)
    ) as processes:
        asked = [processes.submit(ask, argument) for _ in range(calls)]
        begin.wait(LIMIT_S)
        time.sleep(SECONDS / 2)
        shared_mb = sum(_own_mb(process) for process in others())
        answers = [one.result() for one in asked]
    return _figures(
        [ms for samples, _ in answers for ms in samples], sum(mb for _, mb in answers) + shared_mb
    )


def _remember(begin: Barrier) -> None:
    """In each call's process: the moment at which all begin."""
    global _begin
    _begin = begin


def _ask_own_model(_: str) -> tuple[Samples, float]:
    before = _own_mb(psutil.Process())
    return asyncio.run(_ask(lambda: LocalEmbedder(workers=THREADS))), _own_mb(psutil.Process()) - before


def _ask_server(folder: str) -> tuple[Samples, float]:
    before = _own_mb(psutil.Process())
    return asyncio.run(_ask(lambda: SharedEmbedder(Path(folder), THREADS))), _own_mb(
        psutil.Process()
    ) - before


async def _ask(opened: Callable[[], Embedder]) -> Samples:
    embedder = opened()
    if isinstance(embedder, SharedEmbedder):
        await embedder.wait_ready()
    await embedder.embed("warm")
    await asyncio.to_thread(_begin.wait, LIMIT_S)
    samples, until = [], time.perf_counter() + SECONDS
    for text in questions():
        if time.perf_counter() > until:
            break
        began = time.perf_counter()
        await embedder.embed(text)
        samples.append((time.perf_counter() - began) * 1000)
    await embedder.close()
    return samples


async def _ask_livekit(calls: int) -> dict[str, float]:
    executor = InferenceProcExecutor(
        runners={Runner.INFERENCE_METHOD: Runner},
        initialize_timeout=60,
        close_timeout=5,
        memory_warn_mb=0,
        memory_limit_mb=0,
        ping_interval=5,
        ping_timeout=60,
        high_ping_threshold=2.5,
        mp_ctx=multiprocessing.get_context("forkserver"),
        loop=asyncio.get_running_loop(),
        http_proxy=None,
    )
    await executor.start()
    await executor.initialize()
    samples: Samples = []

    async def call(until: float) -> None:
        for text in questions():
            if time.time() > until:
                return
            began = time.perf_counter()
            await executor.do_inference(Runner.INFERENCE_METHOD, text.encode())
            samples.append((time.perf_counter() - began) * 1000)

    await executor.do_inference(Runner.INFERENCE_METHOD, b"warm")
    await asyncio.gather(*(call(time.time() + SECONDS) for _ in range(calls)))
    process = psutil.Process(executor.pid)
    own_mb = _own_mb(process)
    await executor.aclose()
    return _figures(samples, own_mb)


@contextmanager
def _host() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="echoic-"))
    try:
        yield folder
    finally:
        while read_state(folder, GROUP):
            time.sleep(0.05)
        shutil.rmtree(folder)


def _servers(folder: Path) -> list[psutil.Process]:
    """The embedding server and its daemon."""
    state = read_state(folder, GROUP)
    assert state is not None
    return [psutil.Process(pid) for pid in (state.daemon, *state.pids.values())]


def _own_mb(process: psutil.Process) -> float:
    return process.memory_full_info().uss / MEGABYTE


def _figures(samples: Samples, own_mb: float) -> dict[str, float]:
    times = {
        f"{name}_ms": round(float(np.percentile(samples, share)), 2)
        for name, share in (("p50", 50), ("p95", 95), ("p99", 99))
    }
    return {**times, "n": len(samples), "per_s": round(len(samples) / SECONDS), "own_mb": round(own_mb)}


def _show(report: dict[str, Any]) -> None:
    table = Table(
        title="One question's vector, milliseconds", caption=f"{report['commit']} · {report['hardware']}"
    )
    for column in ("where", "calls", "p50", "p95", "p99", "a second", "own MB, all"):
        table.add_column(column, justify="left" if column == "where" else "right")
    for row in report["rows"]:
        times = [f"{row[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms")]
        table.add_row(row["where"], str(row["calls"]), *times, str(row["per_s"]), str(row["own_mb"]))
    Console().print(table)


if __name__ == "__main__":
    from evals.embedding import main as main_here  # by its name, under which the other processes find it too

    typer.run(main_here)
