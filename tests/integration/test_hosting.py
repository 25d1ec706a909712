"""Servers that processes share: what clients see of a daemon that ends, fails, or outlives its starter."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.daemon_client import Member, join_servers
from echoic.memory.hosting.runner import last_line
from echoic.memory.hosting.state import State, read_state
from tests.processes import is_alive, wait_gone, wait_until

GROUP = "sleep"
MODULE = "tests.integration.test_hosting"


class Sleeper(Server):
    """Runs unless the folder says why not."""

    name = address = GROUP

    def __init__(self, folder: Path) -> None:
        reason = folder / "reason"
        script = (
            f"import pathlib, time; r = pathlib.Path({str(reason)!r}); r.exists() and exit(r.read_text())"
        )
        self.command = [sys.executable, "-c", f"{script}; print('up', flush=True); time.sleep(60)"]

    def is_ready(self, pid: int, output: str) -> bool:
        return "up" in output

    def explain(self, output: str) -> MemoryFault:
        return ConfigInvalid(last_line(output))


def servers(folder: str) -> list[Sleeper]:
    """For the daemon."""
    return [Sleeper(Path(folder))]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        yield Path(name)


def member(folder: Path, linger_s: float = 0.0) -> Member:
    return Member(folder, GROUP, [MODULE, str(folder)], linger_s)


def state(folder: Path) -> State:
    found = read_state(folder, GROUP)
    assert found is not None
    return found


def exists(pid: int) -> bool:
    """Whether anything is left of it, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_daemon_that_is_told_to_stop_is_started_again_for_its_users(folder: Path):
    """SIGTERM to the daemon, as at the end of a session, takes no server from who still uses it."""
    with join_servers(folder, GROUP, [MODULE, str(folder)]) as before:
        os.kill(before.daemon, signal.SIGTERM)
        wait_gone([before.daemon, *before.pids.values()])
        wait_until(lambda: (now := read_state(folder, GROUP)) is not None and now.status == "ready")
        assert state(folder).daemon != before.daemon


def test_all_clients_read_why_and_the_next_look_tries_again(folder: Path):
    """Whoever started the daemon and whoever came meanwhile; once it is mended, nobody need start anew."""
    (folder / "reason").write_text("It lacks a wheel.")
    both = [member(folder), member(folder)]
    for one in both:
        with pytest.raises(ConfigInvalid, match=r"^It lacks a wheel\.$"):
            one.wait_ready(20)
    (folder / "reason").unlink()
    assert [one.wait_ready(20).daemon for one in both] == [state(folder).daemon] * 2
    for one in both:
        one.leave()
    wait_until(lambda: read_state(folder, GROUP) is None)


def test_servers_linger_for_who_comes_soon_and_leave_no_zombie(folder: Path):
    """The next user finds the same ones; once they end, their starter has no dead child."""
    first = member(folder, linger_s=2.0)
    began = first.wait_ready(20)
    first.leave()
    second = member(folder, linger_s=2.0)
    assert second.wait_ready(20) == began
    time.sleep(3.0)  # it is used: nothing ends
    assert is_alive(began.daemon)
    second.leave()
    wait_until(lambda: not any(exists(pid) for pid in [began.daemon, *began.pids.values()]))


def test_what_another_version_left_behind_is_no_obstacle(folder: Path):
    """A state file that this version cannot read, of a daemon that was killed, is replaced."""
    (folder / f"{GROUP}.json").write_text('{"status": "ready", "keeper": 1}')
    with join_servers(folder, GROUP, [MODULE, str(folder)]) as now:
        assert is_alive(now.daemon)


def test_who_has_left_starts_nothing(folder: Path):
    """A look that comes late, from another thread, neither counts as a user nor starts a daemon."""
    late = member(folder)
    assert not late.leave() and late.look() is None
    assert list(folder.iterdir()) == []
