"""One `echoic dev` for a test, as a person runs it: a child process that Ctrl-C ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from echoic.memory.embedding.client import embedding_folder
from tests.processes import command_of, wait_until

START_S = 100.0
STOP_S = 30.0


class Dev:
    """One running `echoic dev`."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        self.process, self._said = process, said

    def said(self) -> str:
        return self._said.read_text()

    def page(self) -> str:
        """The address to join by; waits for it."""
        wait_until(lambda: "Join" in self.said() or self.process.poll() is not None, START_S)
        found = re.search(r"http://127\.0\.0\.1:\d+/#talk", self.said())
        assert found, self.said()
        return found[0]

    def everything(self) -> list[psutil.Process]:
        """All processes that it started, daemons and servers included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def its_own(self) -> list[psutil.Process]:
        """The same but for the embedding server: all programs of this user share the one that was first."""
        shared = str(embedding_folder())
        return [one for one in self.everything() if shared not in " ".join(command_of(one))]

    def api(self) -> psutil.Process:
        """The process that serves the page; waits for it."""
        children = psutil.Process(self.process.pid).children
        wait_until(lambda: any("api" in process.cmdline() for process in children()), START_S)
        return next(process for process in children() if "api" in process.cmdline())

    def agents(self) -> list[psutil.Process]:
        """The agent worker; none while it is being started."""
        children = psutil.Process(self.process.pid).children()
        return [process for process in children if "livekit.agents" in process.cmdline()]


@contextmanager
def dev(folder: Path, program: Path, **env: str) -> Iterator[Dev]:
    """`echoic dev` on a data folder, ended by Ctrl-C if it still runs."""
    path = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
    (folder.parent / "bin").mkdir()
    (folder.parent / "bin" / "livekit-server").symlink_to(program)
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    said = folder.parent / f"{folder.name}.said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "echoic", "dev", "--data-dir", str(folder)],
            env={**kept, "PATH": path, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder.parent,
        )
    running = Dev(process, said)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(STOP_S)
