"""Other processes for tests: clients of a data folder's stores, unprivileged users, whether one is gone."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from echoic.memory.hosting.files import try_lock
from echoic.memory.hosting.state import State, read_state

ROOT = Path(__file__).resolve().parent.parent
CLIENT = """
import json, sys
from pathlib import Path
from echoic.local.servers.stores import open_stores
from echoic.memory.errors import MemoryFault
try:
    with open_stores(Path(sys.argv[1])) as stores:
        print(json.dumps({"database_url": stores.database_url, "redis_url": stores.redis_url}), flush=True)
        sys.stdin.read()
except MemoryFault as exc:
    print(json.dumps({"error": type(exc).__name__, "message": str(exc)}), flush=True)
"""
IN_NAMESPACE = """
import os, sys
from echoic.local.servers import rootless
rootless._enter_namespace(rootless._account())
os.execv(sys.argv[1], sys.argv[1:])
"""


WITHOUT_NAMESPACES = """
import ctypes, os, sys
inside_ready, say_ready = os.pipe()
mapped, say_mapped = os.pipe()
child = os.fork()
if child == 0:
    ctypes.CDLL(None).unshare(0x10000000)
    os.write(say_ready, b"x")
    os.read(mapped, 1)
    os.setgid(0)
    os.setuid(0)
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
    os.execv(sys.argv[1], sys.argv[1:])
os.read(inside_ready, 1)
for name in ("uid_map", "gid_map"):
    open(f"/proc/{child}/{name}", "w").write("0 0 65536")
os.write(say_mapped, b"x")
sys.exit(os.waitpid(child, 0)[1] >> 8)
"""


class Client:
    """A process that shares the stores of a folder until it is told to leave."""

    def __init__(
        self, folder: Path, *, prefix: Sequence[str] = (), env: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        command = [*prefix, sys.executable, "-c", CLIENT, str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(env)
        )
        self._answer: dict[str, str] | None = None

    @property
    def answer(self) -> dict[str, str]:
        """Its addresses, or its error; waits for them."""
        if self._answer is None:
            assert self._process.stdout
            self._answer = json.loads(self._process.stdout.readline())
        return self._answer

    def leave(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def kill(self) -> None:
        self._process.kill()
        self.leave()


@contextmanager
def clients() -> Iterator[Callable[..., Client]]:
    """Starts clients; those that are still there at the end are killed."""
    started: list[Client] = []

    def start(folder: Path, **options: object) -> Client:
        started.append(Client(folder, **options))  # type: ignore[arg-type]
        return started[-1]

    try:
        yield start
    finally:
        for client in started:
            client.kill()
        for folder in {client.folder for client in started}:
            wait_until(lambda: not has_daemon(folder), limit_s=20)  # noqa: B023 (used at once)


PATIENT = {"ECHOIC_RECALL_BUDGET_MS": "10000", "ECHOIC_STORE_TIMEOUT_MS": "10000"}
"""For processes that are asked what they remember. With the 150 ms and 2 s that users have, one talk in six
beside ten busy processes was told `late` or `failed`, as it should be."""


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | PATIENT | (more or {})


def ordinary_user() -> list[str]:
    """What to put before a command to run it without root's privileges; skips the test if there is no way."""
    if os.geteuid() != 0:
        return []
    return _tried([sys.executable, "-c", IN_NAMESPACE])


def root_without_namespaces() -> list[str]:
    """What to put before a command to run it as Docker does: as root, further user namespaces refused."""
    return _tried([sys.executable, "-c", WITHOUT_NAMESPACES])


def _tried(prefix: list[str]) -> list[str]:
    if subprocess.run([*prefix, "/bin/true"], capture_output=True, env=environment()).returncode != 0:
        pytest.skip("user namespaces are not allowed here, so this test cannot make one")
    return prefix


def state_of(folder: Path) -> State:
    state = read_state(folder / "run", "stores")
    assert state is not None
    return state


def has_daemon(folder: Path) -> bool:
    """Whether servers may still be running on a folder."""
    if not (folder / "run" / "stores.daemon").exists():
        return False
    with (folder / "run" / "stores.daemon").open() as file:
        return not try_lock(file.fileno(), fcntl.LOCK_SH)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not _is_zombie(pid)


def wait_until(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Returns as soon as it is true; fails the test at the limit."""
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline, f"not within {limit_s} s"
        time.sleep(0.01)


def command_of(process: psutil.Process) -> list[str]:
    """Its words; none of one that has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_gone(pids: Sequence[int], limit_s: float = 10.0) -> None:
    wait_until(lambda: not any(is_alive(pid) for pid in pids), limit_s)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
