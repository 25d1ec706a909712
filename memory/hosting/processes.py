"""Processes that this one starts: what they see of its environment, where they write, what ends them."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import echoic
from echoic.memory.disk.files import own_file

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
"""All that a detached process sees of the environment: keys and database passwords must not live on in it."""
ARITHMETIC = ("OPENBLAS_", "MKL_", "OMP_", "VECLIB_", "NPY_")
"""And what begins with these: how numpy computes. With other instructions a vector is rounded otherwise, and
on some processors it computes well with some only."""


def python_path() -> str:
    """`PYTHONPATH` with the place of our packages first: a source tree, or site-packages."""
    packages = str(Path(echoic.__path__[0]).resolve().parent)
    return os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))


def detached_environment() -> dict[str, str]:
    """What a process that outlives this one is given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_ENVIRONMENT or name.startswith(ARITHMETIC)
    }
    return kept | {"LC_ALL": "C", "PYTHONPATH": python_path()}


def open_log(path: Path) -> IO[bytes]:
    """Append to a log of ours; one that grew beyond its limit starts anew."""
    with suppress(FileNotFoundError):
        if path.lstat().st_size > LOG_LIMIT_BYTES:
            path.unlink()
    return own_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def start_detached(module: str, arguments: Sequence[str], log: Path, lock: int) -> "subprocess.Popen[bytes]":
    """Start a Python module as a process that outlives this one, and hand it an open lock.

    What it has to tell this process it writes to its standard output, a pipe.
    """
    with open_log(log) as output:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd="/",
            env=detached_environment(),
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C in this process's terminal must not reach it
        )


def tied_to_this_process(command: Sequence[str], death_signal: signal.Signals) -> list[str]:
    """`command`, to be started so that on Linux the kernel sends it this signal as soon as this process dies.

    From the main thread only: the kernel takes its end for the end of the process.
    """
    if sys.platform != "linux":
        return list(command)  # whoever serves the folder next ends it
    launcher = str(Path(__file__).with_name("launch.py"))  # by its path: nothing else need be importable
    return [sys.executable, "-S", "-P", launcher, str(os.getpid()), str(int(death_signal)), *command]
