"""Children of a command that runs until it is stopped: started, watched, started again when they die, stopped
together."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.processes import python_path
from echoic.memory.hosting.runner import Program, Runner, last_line, stop_all

POLL_S = 0.1


@dataclass(frozen=True)
class Child(Program):
    """One program of ours that is to run as long as its parent does."""

    name: str
    command: Sequence[str]
    log: Path
    """Its standard output and error are added here."""
    says_ready: Callable[[str], bool]
    """Whether what it wrote since its start says that it works."""
    wanted: Callable[[], bool] = lambda: True
    """Asked often: while it says no, the child does not run."""
    ready_s: float = 90.0
    stop_s: float = 20.0

    def is_ready(self, pid: int, output: str) -> bool:
        return self.says_ready(output)

    def explain(self, output: str) -> MemoryFault:
        silent = f"{self.name} ended without a word: see {self.log}."
        return ConfigInvalid(last_line(output) if output.strip() else silent)


class Supervisor:
    """Runs children until Ctrl-C, SIGTERM or SIGHUP.

    A child that ends before it ever worked is a reason to stop, with what it said; one that dies later is
    started again. On Linux none of them outlives this process, however that ends.

    Args:
        env: what all children find in their environment, beside this process's own.
        say: takes one line for the person at the terminal.
    """

    def __init__(self, children: Sequence[Child], env: Mapping[str, str], say: Callable[[str], None]) -> None:
        given = dict(os.environ) | dict(env) | {"PYTHONPATH": python_path()}
        self._runners = {child.name: Runner(child, child.log, env=given) for child in children}
        self._children, self._say = children, say
        self._asked, self._at_once = threading.Event(), threading.Event()

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start the children, call `on_ready` once all work, and return when they have ended, asked to by a
        signal.

        Raises:
            ConfigInvalid: a child cannot work as things are; its own sentence.
            StoreUnavailable: a child did not come up in time.
        """
        with self._on_signals():
            try:
                self._start_wanted()
                if not self._asked.is_set():
                    on_ready()
                while not self._asked.wait(POLL_S):
                    for child in self._children:
                        self._tend(child, self._runners[child.name])
            finally:
                if self._asked.is_set():
                    self._say("Stopping …")
                stop_all(list(self._runners.values()), self._at_once)

    def _start_wanted(self) -> None:
        wanted = [self._runners[child.name] for child in self._children if child.wanted()]
        for runner in wanted:
            runner.start()
        for runner in wanted:
            runner.wait_ready(self._asked.is_set)

    def _tend(self, child: Child, runner: Runner) -> None:
        if (code := runner.note_death()) is not None:
            self._say(f"{child.name} ended with code {code}; it is started again ({child.log}).")
        elif not child.wanted():
            runner.stop(self._at_once)
        elif runner.due_in_s == 0:
            runner.start()

    @contextmanager
    def _on_signals(self) -> Iterator[None]:
        """The first one ends everything in order, a second one at once."""

        def stop(*_: object) -> None:
            if self._asked.is_set():
                self._at_once.set()
            self._asked.set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number in numbers:
                signal.signal(number, before[number])
