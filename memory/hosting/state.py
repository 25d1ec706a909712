"""What is known of a group of servers: the file in which their daemon says how they are, and its locks.

A group has these files in its folder:

    GROUP.users    every client holds it shared; the kernel gives it back, also after `kill -9`
    GROUP.daemon   the daemon holds it for as long as it lives
    GROUP.json     what the daemon says: starting, ready (addresses, process numbers), failed (a sentence) or
                   stopping
    GROUP.log      what the daemon has to tell a developer
"""

import errno
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.hosting.files import write_private


@dataclass(frozen=True)
class State:
    """What a daemon says about its servers."""

    status: Literal["starting", "ready", "failed", "stopping"]
    daemon: int
    """Process number of the daemon."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Server -> where it listens."""
    pids: dict[str, int] = field(default_factory=dict)
    """Server -> its process number."""
    error: str = ""
    """`ConfigInvalid` or `StoreUnavailable`."""
    message: str = ""

    def fault(self) -> ConfigInvalid | StoreUnavailable:
        """Why the servers cannot run, if the status is `failed`."""
        return (ConfigInvalid if self.error == "ConfigInvalid" else StoreUnavailable)(self.message)


def tell_failure(folder: Path, group: str, exc: Exception) -> None:
    """A daemon says why it cannot go on: to who started it through its standard output, which needs no disk,
    and to the others in the group's file, if that can be written."""
    kind = "ConfigInvalid" if isinstance(exc, ConfigInvalid) else "StoreUnavailable"
    state = State("failed", os.getpid(), error=kind, message=_sentence(exc, folder / f"{group}.log"))
    with suppress(OSError):
        print(json.dumps(asdict(state)), flush=True)
    with suppress(OSError):
        write_state(folder, group, state)


def last_words(output: bytes) -> State | None:
    """What a daemon told who started it; None if it ended without a word."""
    try:
        return State(**json.loads(output))
    except (RecursionError, TypeError, ValueError):
        return None


def _sentence(exc: Exception, log: Path) -> str:
    if isinstance(exc, MemoryFault):
        return str(exc)
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The local servers did not start: the disk that holds {log.parent} is full. Free some space."
    what = (
        f"{exc.strerror}: {exc.filename}" if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
    )
    return f"The local servers did not start; {log} says why ({what})."


def read_state(folder: Path, group: str) -> State | None:
    """What the daemon said last (it may be dead since); None also for what another version wrote."""
    try:
        return State(**json.loads((folder / f"{group}.json").read_text()))
    except (OSError, RecursionError, TypeError, ValueError):
        return None


def write_state(folder: Path, group: str, state: State) -> None:
    """Replace the group's file at once, readable by its owner only."""
    write_private(folder / f"{group}.json", asdict(state))


def forget_state(folder: Path, group: str) -> None:
    """What a daemon said is over."""
    (folder / f"{group}.json").unlink(missing_ok=True)
