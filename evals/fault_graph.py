"""A FalkorDB of the bench's own, which may be stopped and killed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from echoic.local.paths import socket_folder
from echoic.local.servers.graph_server import GraphServer

START_S = 30.0


class OwnGraph:
    """One server, one process."""

    def __init__(self, folder: Path) -> None:
        self._server = GraphServer(folder, socket_folder(folder))
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._server.address
        self.socket = Path(socket_folder(folder)) / "graph.sock"

    def start(self) -> None:
        """Return once it answers."""
        self._server.prepare()
        self._process = subprocess.Popen(
            self._server.command, cwd=self._server.folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        until = time.monotonic() + START_S
        while not self._server.is_ready(self._process.pid, ""):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError("FalkorDB did not start.")
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextmanager
    def halted(self) -> Iterator[None]:
        """It stands still until the block ends."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    @contextmanager
    def killed(self) -> Iterator[None]:
        """It is gone until the block ends; then there is an empty one."""
        self.kill()
        try:
            yield
        finally:
            self.start()


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
