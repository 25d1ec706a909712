"""One program that runs as long as its parent does: started, started again when it dies, stopped."""

import fcntl
import logging
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from echoic.memory.errors import MemoryFault, StoreUnavailable
from echoic.memory.hosting.files import open_lock, try_lock
from echoic.memory.hosting.processes import open_log, tied_to_this_process

log = logging.getLogger("echoic.hosting")

STOP_S = 10.0  # then a server is killed; a healthy one needs some tenths of a second
# before the first, second, … restart of a program that keeps dying
BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 15.0)
HEALTHY_S = 60.0  # a program that ran this long starts again at once
POLL_S = 0.01


class Program(ABC):
    """What to start, and how to know that it works."""

    name: str
    command: Sequence[str]
    folder: Path | None = None
    """Working folder; it exists once `prepare` returned. None: that of the parent."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks for a clean end that loses nothing."""
    ready_s: float = 30.0
    """Longest it may take to work after its start."""
    stop_s: float = STOP_S
    """Longest it may take to end once it is asked to."""

    def prepare(self) -> None:  # noqa: B027 (most have nothing to prepare)
        """Make its folder fit, before every start.

        Raises:
            ConfigInvalid, StoreUnavailable: with a sentence for the user.
        """

    def mend(self, output: str) -> bool:
        """It ended before it worked: whether what kept it from working was put out of its way, so that it is
        worth another start."""
        return False

    def clean_up(self) -> None:  # noqa: B027 (most tidy up themselves)
        """Remove what it leaves behind; called when it is stopped, and when it was not running."""

    @abstractmethod
    def is_ready(self, pid: int, output: str) -> bool:
        """True once the process `pid` works; `output` is what it wrote to its log since its start."""

    @abstractmethod
    def explain(self, output: str) -> MemoryFault:
        """Why it ended although nobody asked it to."""


def last_line(output: str) -> str:
    """What a program said last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


class Runner:
    """A program and its process, while it has one.

    Args:
        log: the program's output is appended to it.
        lock: held by the program and all that it starts, with its process number inside: a second one never
            serves the same folder, whatever is left of the first. None: nothing is shared.
        env: the program's environment; None: that of this process.
    """

    def __init__(
        self, program: Program, log: Path, lock: Path | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.program = program
        self._log, self._lock, self._env = log, lock, env
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start, self._deaths = 0, 0
        self._started_at = self._start_at = self._stop_by = 0.0

    @property
    def pid(self) -> int | None:
        """None when it has no process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """From the main thread only: the kernel takes its end for the end of the parent.

        Raises:
            ConfigInvalid, StoreUnavailable: it cannot run as things are.
        """
        lock = None if self._lock is None else _take_over(self._lock, self.program)
        try:
            self.program.prepare()
            with open_log(self._log) as output:
                self._log_start = output.seek(0, os.SEEK_END)
                self._started_at, self._stop_by = time.monotonic(), 0.0
                self._process = subprocess.Popen(
                    tied_to_this_process(self.program.command, self.program.stop_signal),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=self.program.folder,
                    env=self._env,
                    pass_fds=() if lock is None else (lock,),
                    start_new_session=True,  # Ctrl-C in a terminal is its parent's to hear
                )
            if lock is not None:
                os.pwrite(lock, str(self._process.pid).encode(), 0)
        finally:
            if lock is not None:
                os.close(lock)

    def wait_ready(self, is_over: Callable[[], bool]) -> None:
        """Return once it works, or as soon as `is_over` says that nobody needs it any more.

        Raises:
            MemoryFault: it ended instead, and this is its explanation.
            StoreUnavailable: its time is over.
        """
        mended = False
        while not is_over():
            assert self._process is not None
            if self._process.poll() is not None:
                if mended or not self.program.mend(self._output()):
                    raise self.program.explain(self._output())
                log.warning("hosting.mended", extra={"server": self.program.name})
                mended = True
                self.start()
            if self.program.is_ready(self._process.pid, self._output()):
                return
            if time.monotonic() > self._started_at + self.program.ready_s:
                raise StoreUnavailable(
                    f"{self.program.name} did not come up within {self.program.ready_s:g} s: see {self._log}."
                )
            time.sleep(POLL_S)

    def note_death(self) -> int | None:
        """Its exit code, once, if it has ended; it is due again at once, or later if it keeps dying."""
        if self._process is None or self._process.poll() is None:
            return None
        code, self._process = self._process.returncode, None
        self._deaths = 1 if time.monotonic() - self._started_at > HEALTHY_S else self._deaths + 1
        self._start_at = time.monotonic() + BACK_OFF_S[min(self._deaths, len(BACK_OFF_S)) - 1]
        return int(code)

    @property
    def due_in_s(self) -> float | None:
        """Seconds until it is to be started, 0 for now; None while it runs."""
        return None if self._process else max(0.0, self._start_at - time.monotonic())

    def postpone(self) -> None:
        """It could not even be started: it is due again after the longest pause."""
        self._start_at = time.monotonic() + BACK_OFF_S[-1]

    def ask_to_stop(self) -> None:
        """Once: some programs take a second signal for an order to drop what they are doing."""
        if self._process is not None and self._process.poll() is None and not self._stop_by:
            self._stop_by = time.monotonic() + self.program.stop_s
            self._process.send_signal(self.program.stop_signal)
            self._process.send_signal(signal.SIGCONT)  # one that was halted must hear it too

    def stop(self, at_once: threading.Event) -> None:
        """Return when it has ended: in order if it can within its time, killed if not or when `at_once` is
        set."""
        self.ask_to_stop()
        while self._process is not None and self._process.poll() is None:
            if at_once.is_set() or time.monotonic() > self._stop_by:
                log.error("hosting.program_killed", extra={"server": self.program.name})
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session: what it started goes too
                self._process.wait()
            at_once.wait(POLL_S)
        self._process = None
        self.program.clean_up()

    def _output(self) -> str:
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")


def stop_all(runners: Sequence[Runner], at_once: threading.Event) -> None:
    """Ask all, then wait: the slowest decides how long it takes."""
    for runner in runners:
        runner.ask_to_stop()
    for runner in runners:
        runner.stop(at_once)


def _take_over(path: Path, program: Program) -> int:
    """The program's lock, open and taken, once its predecessor is gone.

    A killed parent may have left its program behind, a killed program its children; the file names whom to
    ask.
    """
    lock = open_lock(path)
    started, sent = time.monotonic(), 0
    while not try_lock(lock, fcntl.LOCK_EX):
        waited_s = time.monotonic() - started
        if waited_s > 2 * STOP_S:
            os.close(lock)
            raise StoreUnavailable(
                f"An older {program.name} still runs on this folder and does not stop: end it and try again."
            )
        number = program.stop_signal if waited_s < STOP_S else signal.SIGKILL
        holder = os.pread(lock, 20, 0)
        if number != sent and holder.isdigit():
            sent = number
            with suppress(ProcessLookupError):
                os.kill(int(holder), number)
        time.sleep(POLL_S)
    os.ftruncate(lock, 0)
    return lock
