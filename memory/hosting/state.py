"""What is known of a group of servers: the file in which their daemon says how they are, and its locks.

A group has these files in its folder:

    GROUP.users    every client holds it shared; the kernel gives it back, also after `kill -9`
    GROUP.daemon   the daemon holds it for as long as it lives
    GROUP.json     what the daemon says: starting, ready (addresses, process numbers), failed (a sentence) or
                   stopping
    GROUP.log      what the daemon has to tell a developer
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from echoic.memory.errors import ConfigInvalid, StoreUnavailable
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


def read_state(folder: Path, group: str) -> State | None:
    """What the daemon said last (it may be dead since); None also for what another version wrote."""
    try:
        return State(**json.loads((folder / f"{group}.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_state(folder: Path, group: str, state: State) -> None:
    """Replace the group's file at once, readable by its owner only."""
    write_private(folder / f"{group}.json", asdict(state))


def forget_state(folder: Path, group: str) -> None:
    """What a daemon said is over."""
    (folder / f"{group}.json").unlink(missing_ok=True)
