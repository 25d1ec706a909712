"""A client's side of servers that several processes share: join them, see that their daemon lives, leave."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from echoic.memory.hosting.files import open_lock, opened_lock, try_lock
from echoic.memory.hosting.processes import start_detached
from echoic.memory.hosting.state import State, forget_state, last_words, read_state

if sys.platform != "win32":
    import fcntl

log = logging.getLogger("echoic.hosting")

POLL_S = 0.01
WATCH_S = 0.2  # how soon a client sees that the daemon was killed
LEAVE_S = 12.0  # the last client waits this long for the servers to stop; the daemon kills them after 10 s
NOTICE_S = 1.0  # a daemon notices within milliseconds that nobody is left
RETRY_LIMIT_S = 30.0


@contextmanager
def join_servers(
    folder: Path, group: str, servers: Sequence[str], *, start_s: float = 90.0
) -> Iterator[State]:
    """Share the servers of `group`, started if need be, until the block ends.

    They outlive this process if another one uses them, and are gone when the last one has left. If the daemon
    is killed, it is started again within a second, at the same addresses.

    Args:
        servers: a module, and arguments for its function `servers`, which returns the group's servers.

    Raises:
        ConfigInvalid, StoreUnavailable: the daemon's own sentence, or it did not answer within `start_s`
            seconds.
    """
    member = Member(folder, group, servers)
    try:
        state = member.wait_ready(start_s)
        with _watched(member):
            yield state
    finally:
        if member.leave():
            _wait_gone(folder, group)


@contextmanager
def locked_out(folder: Path, group: str) -> Iterator[None]:
    """No server of the group runs while the block does, and none can be started.

    Raises:
        ConfigInvalid: somebody uses them.
    """
    with opened_lock(folder / f"{group}.daemon") as lock:
        if not try_lock(lock, fcntl.LOCK_EX):
            raise ConfigInvalid(f"{folder.parent} is in use by a running Echoic: stop it first.")
        yield


class Member:
    """One process's share in a group of servers, from its first look until it leaves.

    `look` and `leave` may be called from different threads.

    Args:
        servers: as for `join_servers`.
        linger_s: how long the servers outlive their last user, for one who comes soon.
    """

    def __init__(self, folder: Path, group: str, servers: Sequence[str], linger_s: float = 0.0) -> None:
        self.group = group
        self._folder, self._daemon = folder, (str(folder), group, str(linger_s), *servers)
        self._users: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._last_words: State | None = None
        """Why a daemon of this process has failed."""
        self._guard = threading.Lock()
        self._has_left = False

    def look(self) -> State | None:
        """The servers' state once they answer; None until then, so look again. Starts a daemon if there is
        none, and takes some milliseconds.

        Raises:
            ConfigInvalid, StoreUnavailable: the servers cannot run, and why; the next look starts them anew.
        """
        with self._guard:
            if not self._is_joined() or self._start_if_none():
                return None
            state = read_state(self._folder, self.group)
            if state and state.status == "failed":
                self._child_code()
                raise state.fault()
            return state if state and state.status == "ready" and _is_alive(state.daemon) else None

    def wait_ready(self, limit_s: float) -> State:
        """The servers' state once they answer.

        Raises:
            ConfigInvalid, StoreUnavailable: as for `look`, or they do not answer within the limit.
        """
        deadline = time.monotonic() + limit_s
        while (state := self.look()) is None:
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"The local servers did not start within {limit_s:g} s; {self._path('log')} says why."
                )
            time.sleep(POLL_S)
        return state

    def leave(self) -> bool:
        """Count as a user no more; whether this was one."""
        with self._guard:
            self._has_left = True
            if self._users is None:
                return False
            os.close(self._users)
            self._users = None
            if self._child:  # it may live on for the others: whenever it ends, nothing is left of it
                threading.Thread(target=_reap, args=(self._child,), name="echoic-reap", daemon=True).start()
            return True

    def _is_joined(self) -> bool:
        """The lock is taken exclusively while a daemon is stopping the servers: then it is tried again."""
        if self._users is None and not self._has_left:
            users = open_lock(self._path("users"))
            if try_lock(users, fcntl.LOCK_SH):
                self._users = users
            else:
                os.close(users)
        return self._users is not None

    def _start_if_none(self) -> bool:
        """The daemon's lock is taken here and handed to it, so that there is never a second one and never a
        gap."""
        with opened_lock(self._path("daemon")) as lock:
            if not try_lock(lock, fcntl.LOCK_EX):
                return False
            code = self._child_code()
            state = self._last_words or read_state(self._folder, self.group)
            self._last_words = None
            if code is not None and state and state.status == "failed":
                raise state.fault()
            if code and not state:
                raise StoreUnavailable(f"The local servers did not start; {self._path('log')} says why.")
            forget_state(self._folder, self.group)
            self._child = start_detached("echoic.memory.hosting", self._daemon, self._path("log"), lock)
            return True

    def _child_code(self) -> int | None:
        """How a daemon of this process ended that has failed or lost its lock; None if there was none."""
        child, self._child = self._child, None
        if child is None:
            return None
        with child:  # closes its pipe
            code = child.wait()
            self._last_words = last_words(child.stdout.read()) if child.stdout else None
        return code

    def _path(self, kind: str) -> Path:
        return self._folder / f"{self.group}.{kind}"


@contextmanager
def _watched(member: Member) -> Iterator[None]:
    left = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(member, left), name=f"echoic-watch-{member.group}", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()


def _watch(member: Member, left: threading.Event) -> None:
    pause_s = WATCH_S
    while not left.wait(pause_s):
        try:
            if member.look() is None:
                log.warning("hosting.daemon_restarted", extra={"group": member.group})
                member.wait_ready(RETRY_LIMIT_S)
            pause_s = WATCH_S
        except (ConfigInvalid, StoreUnavailable, OSError) as exc:
            pause_s = min(2 * pause_s, RETRY_LIMIT_S)
            log.warning(
                "hosting.daemon_failed",
                extra={"group": member.group, "error": type(exc).__name__, "again_in_s": pause_s},
            )


def _wait_gone(folder: Path, group: str) -> None:
    """The last one to leave waits until the servers are gone; whoever is not the last does not wait."""
    started = time.monotonic()
    with opened_lock(folder / f"{group}.daemon") as daemon, opened_lock(folder / f"{group}.users") as users:
        if not try_lock(users, fcntl.LOCK_EX) and try_lock(users, fcntl.LOCK_SH):
            return  # others share it; a daemon that found nobody holds it alone
        fcntl.flock(users, fcntl.LOCK_UN)
        while not try_lock(daemon, fcntl.LOCK_SH):
            waited_s = time.monotonic() - started
            if waited_s > LEAVE_S or (waited_s > NOTICE_S and try_lock(users, fcntl.LOCK_SH)):
                return  # it hangs, or somebody else joined at the last moment
            time.sleep(POLL_S)


def _reap(child: "subprocess.Popen[bytes]") -> None:
    with child:
        child.wait()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
