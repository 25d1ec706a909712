"""Python programs that listen on a Unix socket each, as servers of a group: those that hold a model."""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.files import remove_socket
from echoic.memory.hosting.runner import last_line

LOAD_S = 90.0  # models load within 5 s; a cold disk and busy cores take ten times as long
ANSWER_S = 0.5


def socket_servers(sockets: Path, title: str, programs: Mapping[str, Sequence[str]]) -> list[str]:
    """What to join (`join_servers`) for a group of such programs.

    Args:
        sockets: the folder in which each listens on `socket_path`.
        title: what it is that does not run, if one does not.
        programs: name -> module, and its arguments after the socket.
    """
    return ["echoic.memory.hosting.socket_servers", str(sockets), title, json.dumps(programs)]


def servers(sockets: str, title: str, programs: str) -> "list[SocketServer]":
    """The same, in the daemon."""
    return [SocketServer(Path(sockets), title, name, *given) for name, given in json.loads(programs).items()]


def socket_path(sockets: Path, name: str) -> Path:
    """Where the program of that name listens."""
    return sockets / f"{name}.sock"


class SocketServer(Server):
    """One of the programs."""

    ready_s = LOAD_S

    def __init__(self, sockets: Path, title: str, name: str, module: str, *arguments: str) -> None:
        self._title, self._socket = title, socket_path(sockets, name)
        self.name, self.address = name, str(self._socket)
        self.command = [sys.executable, "-P", "-m", module, self.address, *arguments]

    def prepare(self) -> None:
        # else nothing tells a server that is loading from one that was killed
        self._socket.unlink(missing_ok=True)

    def is_ready(self, pid: int, output: str) -> bool:
        """It listens once its model is loaded."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(ANSWER_S)
            client.connect(self.address)
            return True
        return False

    def explain(self, output: str) -> MemoryFault:
        return ConfigInvalid(f"{self._title} ({self.name}) does not run here: {last_line(output)}")

    def clean_up(self) -> None:
        remove_socket(self._socket)
