"""Ctrl-C at any moment of a command: it ends without a traceback, and leaves nothing running."""

import signal
import subprocess
import sys
import time

import pytest

from tests.processes import environment

INTERRUPTED = {130, -signal.SIGINT}  # a shell says 130 of both

COMMAND = """
import signal, sys
import echoic.__main__ as door
signal.signal(signal.SIGINT, door._leave)  # first thing in main: what comes before is the interpreter's
print("begun", flush=True)
sys.argv = ["echoic", *sys.argv[1:]]
door.main()
"""


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.15, 0.3, 0.6, 1.0, 2.0])
def test_ctrl_c_in_the_first_moments_ends_it_without_a_traceback(after_s, tmp_path):
    """While it imports, while the stores are made, while they are asked; and nothing is left running."""
    command = [sys.executable, "-c", COMMAND, "jobs", "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    time.sleep(after_s)  # which moment it is does not matter
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=40)
    assert "Traceback" not in errors and process.returncode in (0, 1, *INTERRUPTED), errors
    assert errors.count("\n") <= 2


AT_EACH_LINE = """
import os, signal, sys
import echoic.cli, echoic.__main__ as door

def interrupted_at(step):
    steps = iter(range(step, -1, -1))
    def trace(frame, event, arg):
        if frame.f_code.co_name != "main" or "echoic" not in frame.f_code.co_filename:
            return None
        if event != "call" and next(steps, None) == 0:
            signal.raise_signal(signal.SIGINT)
        return trace
    sys.settrace(trace)
    door.main()

sys.argv = ["echoic", "jobs", "--help"]
for step in range(1, 1_000):  # 0 is the line that takes the signal
    if (pid := os.fork()) == 0:
        interrupted_at(step)
    print(ended := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=sys.stderr)
    if ended == 0:
        break
"""


def test_ctrl_c_at_each_line_between_python_and_a_command_ends_it_without_a_traceback():
    """Also where nothing is there yet that would end in order, and where all has ended."""
    ended = subprocess.run(
        [sys.executable, "-c", AT_EACH_LINE],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        timeout=60,
    )
    *codes, last = map(int, ended.stderr.split())
    assert last == 0 and len(codes) > 20 and set(codes) <= INTERRUPTED


DROPPED = """
import signal, sys, time, weakref
import echoic.cli, echoic.__main__ as door

class Lock: pass

def work():
    lock = Lock()
    ref = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGINT))
    del lock  # as an import does with its module locks
    time.sleep(20)

echoic.cli.app = work
door.main()
"""


def test_ctrl_c_in_a_callback_where_python_drops_it_ends_it_all_the_same():
    """An import has such callbacks, for its locks: it was a traceback, and the command went on."""
    ended = subprocess.run(
        [sys.executable, "-c", DROPPED], capture_output=True, text=True, env=environment(), timeout=40
    )
    assert (ended.returncode, ended.stderr) == (130, "")
