"""The keeper: one detached process a group of servers, their parent; it restarts what dies and stops them
when nobody is left.

It waits without polling: one thread sleeps in the kernel until the last client has left (however it ended),
signals wake the rest.
"""

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from echoic.local.servers.daemon_client import State, forget_state, open_log, try_lock, write_state
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable

log = logging.getLogger("echoic.keeper")

STOP_S = 10.0  # then a server is killed; a healthy one needs some tenths of a second
# before the first, second, … restart of a server that keeps dying
BACK_OFF_S = (
    0.0,
    0.5,
    1.0,
    2.0,
    5.0,
    15.0,
)
HEALTHY_S = 60.0  # a server that ran this long starts again at once
POLL_S = 0.01
LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s server=%(server)s code=%(code)s"


class Server(ABC):
    """One server program: how to start it and how to know that it answers."""

    name: str
    address: str
    """Where clients reach it; the same after a restart."""
    command: list[str]
    folder: Path
    """Working folder; it exists once `prepare` returned."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks for a clean end that loses nothing."""
    ready_s: float = 30.0
    """Longest it may take to answer after its start."""
    never_root: str = ""
    """A folder that the program must not serve as root; empty: it may run as anybody."""

    @abstractmethod
    def prepare(self) -> None:
        """Make its folder fit, before every start.

        Raises:
            ConfigInvalid, StoreUnavailable: with a sentence for the user.
        """

    @abstractmethod
    def is_ready(self, pid: int) -> bool:
        """True once the process `pid` answers."""

    @abstractmethod
    def explain(self, output: str) -> MemoryFault:
        """Why it ended although nobody asked it to, from the last lines of its log."""


@dataclass
class _Running:
    server: Server
    process: subprocess.Popen[bytes]
    started_at: float
    log_start: int
    """Where this start's lines begin in its log."""


class Daemon:
    """Keeps the servers of one group running for its clients."""

    def __init__(self, run_dir: Path, group: str, make_servers: Callable[[], Sequence[Server]]) -> None:
        self._run_dir, self._group, self._make_servers = run_dir, group, make_servers
        self._servers: Sequence[Server] = ()
        self._running: dict[str, _Running] = {}
        self._deaths: dict[str, int] = {}
        self._restart_at: dict[str, float] = {}
        self._wake_reader, self._wake_writer = os.pipe()
        self._nobody_left = threading.Event()
        self._asked_to_stop = False

    def run(self) -> None:
        """Start, keep and stop the servers; returns when nobody needs them any more, or after saying why it
        cannot."""
        self._listen_for_signals()
        threading.Thread(target=self._wait_nobody_left, name="users", daemon=True).start()
        try:
            self._servers = self._make_servers()
            self._say("starting")
            self._start_all()
            self._say("ready")
            while not (self._nobody_left.is_set() or self._asked_to_stop):
                self._wait_event()
                self._restart_dead()
            self._say("stopping")
            self._stop_all()
            forget_state(self._run_dir, self._group)
        except (MemoryFault, OSError) as exc:
            log.exception("keeper.failed")
            self._stop_all()
            kind = "ConfigInvalid" if isinstance(exc, ConfigInvalid) else "StoreUnavailable"
            self._say("failed", error=kind, message=str(exc))

    def _listen_for_signals(self) -> None:
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only wakes the loop
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._asked_to_stop = True

    def _wait_nobody_left(self) -> None:
        """The exclusive lock is kept until this process ends: who joins meanwhile waits, and then starts
        anew."""
        descriptor = os.open(
            self._run_dir / f"{self._group}.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._nobody_left.set()
        os.write(self._wake_writer, b"\0")

    def _start_all(self) -> None:
        for server in self._servers:
            self._launch(server)
        for server in self._servers:
            self._wait_ready(server)

    def _launch(self, server: Server) -> None:
        """From the main thread only: the kernel takes its end for the end of the parent."""
        self._wait_predecessor_gone(server)
        server.prepare()
        command = tied_to_this_process(
            self._lock_path(server), server.stop_signal, server.never_root, server.command
        )
        with open_log(self._log_path(server)) as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=server.folder
            )
            self._running[server.name] = _Running(
                server, process, time.monotonic(), output.seek(0, os.SEEK_END)
            )

    def _wait_predecessor_gone(self, server: Server) -> None:
        """A killed keeper may have left its server behind, a killed server its children: the lock says so,
        and who took it."""
        descriptor = os.open(self._lock_path(server), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        started, sent = time.monotonic(), 0
        try:
            while not try_lock(descriptor, fcntl.LOCK_EX):
                waited_s = time.monotonic() - started
                if waited_s > 2 * STOP_S:
                    raise StoreUnavailable(
                        f"An older {server.name} still runs on this folder and does not stop: end it, then "
                        "try again."
                    )
                number = server.stop_signal if waited_s < STOP_S else signal.SIGKILL
                holder = os.pread(descriptor, 20, 0)
                if number != sent and holder.isdigit():
                    sent = number
                    with suppress(ProcessLookupError):
                        os.kill(int(holder), number)
                time.sleep(POLL_S)
        finally:
            os.close(descriptor)

    def _wait_ready(self, server: Server) -> None:
        running = self._running[server.name]
        deadline = running.started_at + server.ready_s
        while not (self._is_taken_over(running) and server.is_ready(running.process.pid)):
            if running.process.poll() is not None:
                raise server.explain(_read_from(self._log_path(server), running.log_start))
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"The local {server.name} is silent after {server.ready_s:g} s; see "
                    f"{self._log_path(server)}."
                )
            if self._nobody_left.is_set() or self._asked_to_stop:
                return
            time.sleep(POLL_S)

    def _is_taken_over(self, running: _Running) -> bool:
        """True once it holds its lock: what answered before was its predecessor."""
        return self._lock_path(running.server).read_text() == str(running.process.pid)

    def _wait_event(self) -> None:
        """Sleep until a signal, the last client's end, or the next restart is due."""
        due = [at - time.monotonic() for at in self._restart_at.values()]
        if select.select([self._wake_reader], [], [], max(0.0, min(due)) if due else None)[0]:
            os.read(self._wake_reader, 4096)

    def _restart_dead(self) -> None:
        for server in self._servers:
            running = self._running.get(server.name)
            if running and running.process.poll() is not None:
                self._note_death(running)
            if server.name in self._restart_at and time.monotonic() >= self._restart_at[server.name]:
                self._restart(server)

    def _note_death(self, running: _Running) -> None:
        name, lived_s = running.server.name, time.monotonic() - running.started_at
        deaths = 1 if lived_s > HEALTHY_S else self._deaths.get(name, 0) + 1
        self._deaths[name] = deaths
        self._restart_at[name] = time.monotonic() + BACK_OFF_S[min(deaths, len(BACK_OFF_S)) - 1]
        del self._running[name]
        log.warning(
            "keeper.server_died", extra={"server": name, "code": running.process.returncode, "deaths": deaths}
        )

    def _restart(self, server: Server) -> None:
        del self._restart_at[server.name]
        try:
            self._launch(server)
            self._wait_ready(server)
            self._say("ready")
        except (MemoryFault, OSError):
            log.exception("keeper.restart_failed", extra={"server": server.name})
            if server.name not in self._running:  # else its end is noticed like any other
                self._restart_at[server.name] = time.monotonic() + BACK_OFF_S[-1]

    def _stop_all(self) -> None:
        """Ask all, then wait: the slowest decides how long it takes."""
        for running in self._running.values():
            _signal(running.process, running.server.stop_signal)
            _signal(running.process, signal.SIGCONT)  # one that was halted must hear it too
        deadline = time.monotonic() + STOP_S
        for running in self._running.values():
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("keeper.server_killed", extra={"server": running.server.name})
                running.process.kill()
                running.process.wait()

    def _say(self, status: str, *, error: str = "", message: str = "") -> None:
        addresses = {server.name: server.address for server in self._servers}
        pids = {name: running.process.pid for name, running in self._running.items()}
        write_state(self._run_dir, self._group, State(status, os.getpid(), addresses, pids, error, message))  # type: ignore[arg-type]

    def _log_path(self, server: Server) -> Path:
        return self._run_dir / f"{server.name}.log"

    def _lock_path(self, server: Server) -> Path:
        return self._run_dir / f"{server.name}.lock"


def tied_to_this_process(
    lock: Path, death_signal: signal.Signals, never_root: str, command: list[str]
) -> list[str]:
    """`command`, started so that it holds `lock` and ends with this process (see local/servers/launch.py)."""
    launcher = [sys.executable, "-S", "-P", "-m", "echoic.local.servers.launch"]
    return [*launcher, str(lock), str(os.getpid()), str(int(death_signal)), never_root, "--", *command]


def serve(run_dir: Path, group: str, make_servers: Callable[[], Sequence[Server]]) -> None:
    """What a keeper's `python -m` does: keep the servers until nobody needs them, and write to its log what
    goes wrong.

    Args:
        make_servers: called once; its ConfigInvalid reaches the client like any other reason not to start.
    """
    os.umask(0o077)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORMAT, defaults={"server": "-", "code": "-"}))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    Daemon(run_dir, group, make_servers).run()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _read_from(path: Path, start: int, limit: int = 8_000) -> str:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(limit).decode(errors="replace")
