"""A client's side of servers that several processes share: join them, see that their keeper lives, leave.

One group of servers has these files in the run folder:

    GROUP.users    every client holds it shared; the kernel gives it back, also after `kill -9`
    GROUP.keeper   the keeper holds it for as long as it lives
    GROUP.json     what the keeper says: starting, ready (addresses, process numbers), failed (a sentence) or
    stopping GROUP.log      what the keeper has to tell a developer
"""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

import echoic
from echoic.local.paths import write_private
from echoic.memory.errors import ConfigInvalid, StoreUnavailable

if sys.platform != "win32":
    import fcntl

log = logging.getLogger("echoic.local")

POLL_S = 0.01
WATCH_S = 0.2  # how soon a client sees that the keeper was killed
LEAVE_S = 12.0  # the last client waits this long for the servers to stop; the keeper kills them after 10 s
NOTICE_S = 1.0  # a keeper notices within milliseconds that nobody is left
RETRY_LIMIT_S = 30.0
LOG_LIMIT_BYTES = 1_000_000
KEPT_ENVIRONMENT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONWARNINGS",
)
"""All that a keeper sees of its first client's environment: keys and database passwords must not live on in
it."""


@dataclass(frozen=True)
class State:
    """What a keeper says about its servers."""

    status: Literal["starting", "ready", "failed", "stopping"]
    keeper: int
    """Process number of the keeper."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Server -> where it listens."""
    pids: dict[str, int] = field(default_factory=dict)
    """Server -> its process number."""
    error: str = ""
    """`ConfigInvalid` or `StoreUnavailable`."""
    message: str = ""


def read_state(run_dir: Path, group: str) -> State | None:
    """What the keeper said last (it may be dead since), or None."""
    try:
        return State(**json.loads((run_dir / f"{group}.json").read_text()))
    except FileNotFoundError:
        return None


def write_state(run_dir: Path, group: str, state: State) -> None:
    """Replace the group's file at once, readable by its owner only."""
    write_private(run_dir / f"{group}.json", asdict(state))


def open_log(path: Path) -> BinaryIO:
    """Append to a log of ours; one that grew beyond its limit starts anew."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > LOG_LIMIT_BYTES:
            path.unlink()
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")


def open_lock(path: Path) -> int:
    """Open a lock file, made if missing; the lock itself is taken by `try_lock`."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigInvalid(
            f"{path.parent} cannot be written ({exc.strerror}): choose another --data-dir or ECHOIC_DATA_DIR."
        ) from exc


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of an open file if it is free; it is given back when the last copy of the descriptor is
    closed."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        raise ConfigInvalid(
            f"The data folder's file system has no locks ({exc.strerror}): choose another --data-dir."
        ) from exc
    return True


def forget_state(run_dir: Path, group: str) -> None:
    """What a keeper said is over."""
    (run_dir / f"{group}.json").unlink(missing_ok=True)


@contextmanager
def join_servers(
    run_dir: Path, group: str, keeper: Sequence[str], *, start_s: float = 90.0
) -> Iterator[State]:
    """Share the servers of `group`, started if need be by the Python module and arguments `keeper`, until the
    block ends.

    They outlive this process if another one uses them, and are gone when the last one has left. If the keeper
    is killed, it is started again within a second, at the same addresses.

    Raises:
        ConfigInvalid, StoreUnavailable: the keeper's own sentence, or it did not answer within `start_s`
            seconds.
    """
    client = _Client(run_dir, group, keeper)
    with client.counted_as_user(start_s):
        state = client.wait_ready(start_s)
        with client.watching():
            yield state


@contextmanager
def locked_out(run_dir: Path, group: str) -> Iterator[None]:
    """No server of the group runs while the block does, and none can be started.

    Raises:
        ConfigInvalid: somebody uses them.
    """
    descriptor = open_lock(run_dir / f"{group}.keeper")
    try:
        if not try_lock(descriptor, fcntl.LOCK_EX):
            raise ConfigInvalid(f"{run_dir.parent} is in use by a running Echoic: stop it first.")
        yield
    finally:
        os.close(descriptor)


class _Client:
    def __init__(self, run_dir: Path, group: str, keeper: Sequence[str]) -> None:
        self._run_dir, self._group, self._keeper = run_dir, group, list(keeper)
        self._child: subprocess.Popen[bytes] | None = None

    @contextmanager
    def counted_as_user(self, limit_s: float) -> Iterator[None]:
        descriptor = open_lock(self._path("users"))
        try:
            # taken exclusively while a keeper is stopping the servers
            _wait_lock(descriptor, fcntl.LOCK_SH, limit_s)
            yield
        finally:
            self._leave(descriptor)

    def wait_ready(self, limit_s: float) -> State:
        deadline = time.monotonic() + limit_s
        while True:
            if self._child is None:  # one of ours that ended has said why, or its log does
                self._start_keeper_if_none()
            state = read_state(self._run_dir, self._group)
            if state and state.status == "failed":
                raise (ConfigInvalid if state.error == "ConfigInvalid" else StoreUnavailable)(state.message)
            if state and state.status == "ready" and _is_alive(state.keeper):
                return state
            if not state and self._child and self._child.poll() is not None:
                raise StoreUnavailable(f"The local servers did not start; {self._path('log')} says why.")
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"The local servers did not start within {limit_s:g} s; {self._path('log')} says why."
                )
            time.sleep(POLL_S)

    @contextmanager
    def watching(self) -> Iterator[None]:
        left = threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(left,), name=f"echoic-watch-{self._group}", daemon=True
        )
        watcher.start()
        try:
            yield
        finally:
            left.set()
            watcher.join()

    def _watch(self, left: threading.Event) -> None:
        pause_s = WATCH_S
        while not left.wait(pause_s):
            try:
                if self._start_keeper_if_none():
                    log.warning("local.keeper_restarted", extra={"group": self._group})
                    self.wait_ready(RETRY_LIMIT_S)
                pause_s = WATCH_S
            except (ConfigInvalid, StoreUnavailable, OSError) as exc:
                pause_s = min(2 * pause_s, RETRY_LIMIT_S)
                log.warning(
                    "local.keeper_failed",
                    extra={"group": self._group, "error": type(exc).__name__, "again_in_s": pause_s},
                )

    def _start_keeper_if_none(self) -> bool:
        """The keeper's lock is taken here and handed to it, so that there is never a second one and never a
        gap."""
        descriptor = open_lock(self._path("keeper"))
        try:
            if not try_lock(descriptor, fcntl.LOCK_EX):
                return False
            forget_state(self._run_dir, self._group)
            if self._child:
                self._child.wait()  # without its lock it is ending
            self._child = self._spawn(descriptor)
            return True
        finally:
            os.close(descriptor)

    def _spawn(self, lock: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", *self._keeper]
        with open_log(self._path("log")) as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_keeper_environment(),
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C in the client's terminal must not reach it
            )

    def _leave(self, descriptor: int) -> None:
        """Give up the users' lock; the last one also waits until the servers are gone."""
        os.close(descriptor)
        if self._was_last():
            self._wait_keeper_gone()
        if self._child and not self._has_ended(self._child):
            self._child.returncode = 0  # it lives on for the others: Popen must not warn of it

    def _has_ended(self, child: subprocess.Popen[bytes]) -> bool:
        with suppress(subprocess.TimeoutExpired):
            child.wait(POLL_S)  # it may have given its lock back a moment before
        return child.returncode is not None

    def _was_last(self) -> bool:
        """Others hold the lock shared; a keeper that found nobody holds it exclusively."""
        descriptor = open_lock(self._path("users"))
        try:
            return try_lock(descriptor, fcntl.LOCK_EX) or not try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _wait_keeper_gone(self) -> None:
        started = time.monotonic()
        descriptor = open_lock(self._path("keeper"))
        try:
            while not try_lock(descriptor, fcntl.LOCK_SH):
                waited_s = time.monotonic() - started
                state = read_state(self._run_dir, self._group)
                if waited_s > LEAVE_S or (waited_s > NOTICE_S and state and state.status != "stopping"):
                    return  # somebody else joined at the last moment, or it hangs; its keeper will end it
                time.sleep(POLL_S)
        finally:
            os.close(descriptor)

    def _path(self, kind: str) -> Path:
        return self._run_dir / f"{self._group}.{kind}"


def _wait_lock(descriptor: int, kind: int, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not try_lock(descriptor, kind):
        if time.monotonic() > deadline:
            raise StoreUnavailable(
                f"The local servers of another process are still stopping after {limit_s:g} s; try again."
            )
        time.sleep(POLL_S)


def _keeper_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    source = str(Path(echoic.__path__[0]).resolve().parent)
    return kept | {
        "LC_ALL": "C",
        "PYTHONPATH": os.pathsep.join(filter(None, (source, kept.get("PYTHONPATH")))),
    }


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
