"""`/metrics`: one address for a process and its children.

Each process writes files of its own; whoever is scraped adds them up.
"""

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server, values
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from echoic.memory.errors import ConfigInvalid

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
ENDED = "ended"
"""Stands in a file's name where a pid would: what processes that have ended had counted."""


@contextmanager
def serve_metrics(host: str, port: int, *, children: bool = False) -> Iterator[None]:
    """Serve `/metrics` while the block runs, from a thread of its own; nothing happens at port 0.

    Args:
        children: the processes started in the block count as well, those that have ended included. What they
            set must be made after this: prometheus_client decides where a value is kept when it is made.

    Raises:
        ConfigInvalid: the port cannot be used.
    """
    if not port:
        yield
    elif children:
        with shared() as folder, _served(host, port, _registry_of(folder)):
            yield
    else:
        with _served(host, port, REGISTRY):
            yield


@contextmanager
def shared() -> Iterator[Path]:
    """A folder into which this process and its children write their values while the block runs."""
    before, kept_in = os.environ.get(VARIABLE), values.ValueClass
    with tempfile.TemporaryDirectory(prefix="echoic-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[VARIABLE] = folder  # children read it when they import prometheus_client
        # imported long ago here: `python -m livekit.agents` does so before any code of ours
        values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        try:
            yield Path(folder)
        finally:
            values.ValueClass = kept_in
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


class SharedFolder(Collector):
    """Adds up what the processes of a folder have written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._one_at_a_time = threading.Lock()  # each scrape is a thread

    def collect(self) -> Iterable[Metric]:
        with self._one_at_a_time:
            fold_ended(self._folder)
            return list(MultiProcessCollector(None, str(self._folder)).collect())  # type: ignore[no-untyped-call]


def fold_ended(folder: Path) -> None:
    """Add what ended processes have counted to one file a kind, and drop their gauges.

    A call is a process: without this a worker that runs for weeks reads thousands of files at each scrape,
    and counts calls that were killed as running.
    """
    ended = [path for path in folder.glob("*.db") if _has_ended(path)]
    for kind in ("counter", "histogram", "summary"):
        if files := [path for path in ended if path.name.startswith(f"{kind}_")]:
            _fold(folder / f"{kind}_{ENDED}.db", files)
    for path in ended:
        path.unlink()


@contextmanager
def _served(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as exc:
        raise ConfigInvalid(
            f"Metrics cannot be served at {host}:{port} ({os.strerror(exc.errno or 0)}): choose another port."
        ) from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry_of(folder: Path) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SharedFolder(folder))
    return registry


def _has_ended(path: Path) -> bool:
    pid = path.stem.rpartition("_")[2]
    if not pid.isdecimal():
        return False  # what was folded already
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _fold(into: Path, files: list[Path]) -> None:
    names = [str(path) for path in ([into] if into.exists() else []) + files]
    written = into.with_suffix(".new")
    written.unlink(missing_ok=True)
    sums = MmapedDict(str(written))  # type: ignore[no-untyped-call]
    for metric in MultiProcessCollector.merge(names, accumulate=False):  # type: ignore[no-untyped-call]
        for sample in metric.samples:
            key = mmap_key(
                metric.name,
                sample.name,
                list(sample.labels),
                list(sample.labels.values()),
                metric.documentation,
            )
            sums.write_value(key, sample.value, 0.0)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]
    written.replace(into)
