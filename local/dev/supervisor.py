"""Children of a command that runs until it is stopped: started, watched, started again when they die, stopped
together."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import echoic
from echoic.local.servers.daemon import BACK_OFF_S, HEALTHY_S, tied_to_this_process
from echoic.local.servers.daemon_client import open_log
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable

POLL_S = 0.1
ROOT = Path(echoic.__path__[0]).resolve().parent
"""Where the packages lie: a source tree, or site-packages."""


@dataclass(frozen=True, slots=True)
class Child:
    """One program of ours that is to run as long as its parent does."""

    name: str
    command: Sequence[str]
    log: Path
    """Its standard output and error are added here."""
    is_ready: Callable[[str], bool]
    """Whether what it wrote since its start says that it works."""
    wanted: Callable[[], bool] = lambda: True
    """Asked often: while it says no, the child does not run."""
    ready_s: float = 90.0
    stop_s: float = 20.0
    """How long it may take to end in order once it is asked to (SIGTERM)."""


class Supervisor:
    """Runs children until Ctrl-C, SIGTERM or SIGHUP.

    A child that ends before it ever worked is a reason to stop, with what it said; one that dies later is
    started again. On Linux none of them outlives this process, however that ends.

    Args:
        env: what all children find in their environment, beside this process's own.
        say: takes one line for the person at the terminal.
    """

    def __init__(self, children: Sequence[Child], env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._env, self._say = dict(os.environ) | dict(env) | {"PYTHONPATH": _python_path()}, say
        self._watched = [_Watched(child) for child in children]
        self._asked, self._hurry = threading.Event(), threading.Event()

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start the children, call `on_ready` once all work, and return when they have ended, asked to by a
        signal.

        Raises:
            ConfigInvalid: a child cannot work as things are; its own sentence.
            StoreUnavailable: a child did not come up in time.
        """
        with tempfile.TemporaryDirectory(prefix="echoic-dev-") as locks, self._on_signals():
            try:
                self._start_all(Path(locks))
                if not self._asked.is_set():
                    on_ready()
                while not self._asked.wait(POLL_S):
                    self._look_after_all(Path(locks))
            finally:
                self._stop_all()

    def _start_all(self, locks: Path) -> None:
        wanted = [watched for watched in self._watched if watched.child.wanted()]
        for watched in wanted:
            watched.start(self._env, locks)
        for watched in wanted:
            while not (self._asked.is_set() or watched.works()):
                self._asked.wait(POLL_S)

    def _look_after_all(self, locks: Path) -> None:
        for watched in self._watched:
            if watched.process is None:
                if watched.child.wanted() and time.monotonic() >= watched.start_at:
                    watched.start(self._env, locks)
            elif watched.process.poll() is not None:
                self._say(
                    f"{watched.child.name} ended with code {watched.process.returncode}; it is started again "
                    f"({watched.child.log})."
                )
                watched.note_death()
            elif not watched.child.wanted():
                watched.stop(self._hurry)

    def _stop_all(self) -> None:
        if self._asked.is_set():
            self._say("Stopping …")
        for watched in self._watched:
            watched.ask_to_stop()
        for watched in self._watched:
            watched.stop(self._hurry)

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        """The first one ends everything in order, a second one at once."""

        def stop(*_: object) -> None:
            if self._asked.is_set():
                self._hurry.set()
            self._asked.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number in numbers:
                signal.signal(number, before[number])


class _Watched:
    """A child and its process, if it runs."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self._started_at, self._log_start, self._deaths = 0.0, 0, 0
        self._is_asked_to_stop = False

    def start(self, env: Mapping[str, str], locks: Path) -> None:
        """From the main thread only: the kernel takes its end for the end of the parent."""
        command = tied_to_this_process(locks / self.child.name, signal.SIGTERM, "", list(self.child.command))
        with open_log(self.child.log) as output:
            self._log_start = output.seek(0, os.SEEK_END)
            self._started_at, self._is_asked_to_stop = time.monotonic(), False
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                # Ctrl-C in the terminal is ours to hear: children are stopped in order
                start_new_session=True,
            )

    def works(self) -> bool:
        """Whether it has come up.

        Raises:
            ConfigInvalid: it ended instead; with what it said last.
            StoreUnavailable: it still has not, and its time is over.
        """
        assert self.process is not None
        if self.process.poll() is not None:
            raise self._why_it_ended()
        if time.monotonic() - self._started_at > self.child.ready_s:
            raise StoreUnavailable(
                f"{self.child.name} did not come up within {self.child.ready_s:g} s: see {self.child.log}."
            )
        return self.child.is_ready(self._output())

    def note_death(self) -> None:
        """It is started again at once, and ever later if it keeps dying."""
        self.process = None
        self._deaths = 1 if time.monotonic() - self._started_at > HEALTHY_S else self._deaths + 1
        self.start_at = time.monotonic() + BACK_OFF_S[min(self._deaths, len(BACK_OFF_S)) - 1]

    def ask_to_stop(self) -> None:
        """Once: LiveKit takes a second signal for an order to drop its calls."""
        if self.process is not None and self.process.poll() is None and not self._is_asked_to_stop:
            self._is_asked_to_stop = True
            self.process.terminate()

    def stop(self, hurry: threading.Event) -> None:
        """Return when it has ended: in order if it can within its time, and at once if there is a hurry."""
        if self.process is None:
            return
        self.ask_to_stop()
        deadline = time.monotonic() + self.child.stop_s
        while self.process.poll() is None:
            if hurry.is_set() or time.monotonic() > deadline:
                # it leads a session: what it started goes with it
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            hurry.wait(POLL_S)
        self.process = None

    def _output(self) -> str:
        with self.child.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def _why_it_ended(self) -> MemoryFault:
        lines = [line.strip() for line in self._output().splitlines() if line.strip()]
        return ConfigInvalid(
            lines[-1] if lines else f"{self.child.name} ended without a word: see {self.child.log}."
        )


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
