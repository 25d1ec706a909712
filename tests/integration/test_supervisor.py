"""Children of `echoic dev`: started in order of need, again when they die, stopped and never left behind."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from echoic.local.dev.supervisor import Child, Supervisor
from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from tests.processes import is_alive, wait_gone, wait_until

WORKS = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
print("up", flush=True)
while True:
    time.sleep(1)
"""


def child(folder: Path, script: str, name: str = "child", **options: object) -> Child:
    """One that is ready once it said a whole line: unbuffered, `print` writes a line in pieces."""
    command = [sys.executable, "-c", script]
    return Child(name, command, folder / f"{name}.log", lambda said: "\n" in said, **options)  # type: ignore[arg-type]


def pids(of: Child) -> list[int]:
    """The processes that it has been so far."""
    lines = of.log.read_text().splitlines(keepends=True)
    return [int(line.split()[1]) for line in lines if line.startswith("pid") and line.endswith("\n")]


def interrupt() -> None:
    """What Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


def later(work: object) -> None:
    threading.Thread(target=work, daemon=True).start()  # type: ignore[arg-type]


def test_it_runs_until_ctrl_c_and_leaves_nothing(tmp_path: Path):
    """All work before the person is told; they are gone, and so are the signal handlers, at return."""
    children = [child(tmp_path, WORKS, name) for name in ("one", "two")]
    said: list[str] = []
    before = signal.getsignal(signal.SIGINT)

    def on_ready() -> None:
        assert all(is_alive(pids(one)[0]) for one in children)
        said.append("ready")
        interrupt()

    Supervisor(children, {}, said.append).run(on_ready)
    wait_gone([pids(one)[0] for one in children])
    assert said == ["ready", "Stopping …"]
    assert signal.getsignal(signal.SIGINT) is before


def test_one_that_dies_is_started_again_with_a_line(tmp_path: Path):
    """The person at the terminal reads how it ended, and it works again."""
    one, said = child(tmp_path, WORKS), []

    def kill_once() -> None:
        os.kill(pids(one)[0], signal.SIGKILL)
        wait_until(lambda: len(pids(one)) == 2)
        interrupt()

    Supervisor([one], {}, said.append).run(lambda: later(kill_once))
    assert said[0].startswith("child ended with code -9; it is started again")
    wait_gone(pids(one))


def test_one_that_cannot_work_ends_all_with_its_own_sentence(tmp_path: Path):
    """A setting that is missing is no reason to start again and again."""
    good, bad = (
        child(tmp_path, WORKS, "good"),
        child(tmp_path, "raise SystemExit('Not set: SOME_KEY.')", "bad"),
    )
    with pytest.raises(ConfigInvalid, match=r"^Not set: SOME_KEY\.$"):
        Supervisor([good, Child("bad", bad.command, bad.log, lambda _: False)], {}, str).run(
            lambda: pytest.fail("not ready")
        )
    wait_gone(pids(good))


def test_one_that_never_works_ends_all(tmp_path: Path):
    """A child that does not come up within its time is an error with its name, and nobody is told "ready"."""
    slow = Child("slow", [sys.executable, "-c", WORKS], tmp_path / "slow.log", lambda _: False, ready_s=0.3)
    with pytest.raises(StoreUnavailable, match="slow did not come up"):
        Supervisor([slow], {}, str).run(lambda: pytest.fail("not ready"))


def test_ctrl_c_while_starting_is_heard(tmp_path: Path):
    """It ends what was started, without an error and without saying "ready" first."""
    never = Child("never", [sys.executable, "-c", WORKS], tmp_path / "never.log", lambda _: bool(interrupt()))
    Supervisor([never], {}, str).run(lambda: pytest.fail("not ready"))
    wait_gone(pids(never))


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path):
    """One that does not end in order has its time, unless the person is in a hurry; it is asked once."""
    stubborn = child(tmp_path, STUBBORN, stop_s=50.0)

    def twice() -> None:
        interrupt()
        wait_until(lambda: "asked" in stubborn.log.read_text())
        interrupt()

    begun = time.monotonic()
    Supervisor([stubborn], {}, str).run(lambda: later(twice))
    assert time.monotonic() - begun < 10.0
    assert stubborn.log.read_text().count("asked") == 1


def test_one_that_is_not_wanted_rests(tmp_path: Path):
    """It is stopped without a line, and started again when it is wanted."""
    wanted, said = threading.Event(), []
    wanted.set()
    one = child(tmp_path, WORKS, wanted=wanted.is_set)

    def rest() -> None:
        wanted.clear()
        wait_until(lambda: not is_alive(pids(one)[0]))
        wanted.set()
        wait_until(lambda: len(pids(one)) == 2)
        interrupt()

    Supervisor([one], {}, said.append).run(lambda: later(rest))
    assert said == ["Stopping …"]
