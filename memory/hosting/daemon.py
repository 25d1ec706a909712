"""The daemon: one detached process per group of servers, and their parent; it restarts what dies and stops
them when nobody is left.

It waits without polling: one thread sleeps in the kernel until the last client has left (however it ended),
signals wake the rest.
"""

import fcntl
import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from echoic.memory.hosting.files import open_lock, try_lock, wait_lock
from echoic.memory.hosting.runner import Program, Runner, stop_all
from echoic.memory.hosting.state import State, forget_state, tell_failure, write_state

log = logging.getLogger("echoic.daemon")


class Server(Program):
    """A program with an address."""

    address: str
    """Where clients reach it; the same after a restart."""


class Daemon:
    """Keeps the servers of one group running for its clients.

    Args:
        make_servers: called once; its ConfigInvalid reaches the client like any other reason not to start.
        linger_s: how long the servers outlive their last user, for one who comes soon.
    """

    def __init__(
        self, folder: Path, group: str, make_servers: Callable[[], Sequence[Server]], linger_s: float
    ) -> None:
        self._folder, self._group, self._make_servers = folder, group, make_servers
        self._linger_s = linger_s
        self._servers: Sequence[Server] = ()
        self._runners: list[Runner] = []
        self._wake_reader, self._wake_writer = os.pipe()
        self._nobody_left, self._at_once = threading.Event(), threading.Event()
        self._asked_to_stop = False

    def run(self) -> None:
        """Start, keep and stop the servers; returns when nobody needs them any more, or after saying why it
        cannot."""
        self._listen_for_signals()
        threading.Thread(target=self._wait_nobody_left, name="users", daemon=True).start()
        try:
            self._start_all()
            while not self._is_over():
                self._wait_event()
                self._restart_dead()
            self._say("stopping")
            stop_all(self._runners, self._at_once)
            forget_state(self._folder, self._group)
        except Exception as exc:  # whatever it is, the clients are told
            log.exception("daemon.failed")
            stop_all(self._runners, self._at_once)
            tell_failure(self._folder, self._group, exc)

    def _listen_for_signals(self) -> None:
        os.set_blocking(self._wake_writer, False)
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only wakes the loop
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._asked_to_stop = True

    def _is_over(self) -> bool:
        return self._asked_to_stop or self._nobody_left.is_set()

    def _wait_nobody_left(self) -> None:
        """The exclusive lock is kept until this process ends: who joins meanwhile waits, and then starts
        anew."""
        users = open_lock(self._folder / f"{self._group}.users")
        wait_lock(users)
        while self._linger_s:  # the next one may come at once
            fcntl.flock(users, fcntl.LOCK_UN)
            time.sleep(self._linger_s)
            if try_lock(users, fcntl.LOCK_EX):
                break
            wait_lock(users)
        self._nobody_left.set()
        os.write(self._wake_writer, b"\0")

    def _start_all(self) -> None:
        self._servers = self._make_servers()
        self._runners = [
            Runner(server, self._folder / f"{server.name}.log", self._folder / f"{server.name}.lock")
            for server in self._servers
        ]
        self._say("starting")
        for runner in self._runners:
            runner.start()
        for runner in self._runners:
            runner.wait_ready(self._is_over)
        self._say("ready")

    def _wait_event(self) -> None:
        """Sleep until a signal, the last client's end, or the next restart is due."""
        due = [due_s for runner in self._runners if (due_s := runner.due_in_s) is not None]
        if select.select([self._wake_reader], [], [], min(due, default=None))[0]:
            os.read(self._wake_reader, 4096)

    def _restart_dead(self) -> None:
        for runner in self._runners:
            if (code := runner.note_death()) is not None:
                log.warning("daemon.server_died", extra={"server": runner.program.name, "code": code})
            if runner.due_in_s == 0:
                self._restart(runner)

    def _restart(self, runner: Runner) -> None:
        try:
            runner.start()
            runner.wait_ready(self._is_over)
            self._say("ready")
        except Exception:
            log.exception("daemon.restart_failed", extra={"server": runner.program.name})
            runner.postpone()  # unless it has a process, whose end is noticed like any other

    def _say(self, status: str) -> None:
        addresses = {server.name: server.address for server in self._servers}
        pids = {runner.program.name: runner.pid for runner in self._runners if runner.pid}
        state = State(status, os.getpid(), addresses, pids)  # type: ignore[arg-type]
        write_state(self._folder, self._group, state)
