"""Python programs that listen on a Unix socket each, as a group of servers: those that hold a model.

`python -m echoic.memory.hosting.socket_servers GROUP` is their daemon; it gets the group as JSON.
"""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.daemon import Server, serve

LOAD_S = 90.0  # models load within 5 s; a cold disk and busy cores take ten times as long
ANSWER_S = 0.5


@dataclass(frozen=True, slots=True)
class SocketServers:
    """All that is to know about such a group."""

    folder: Path
    """Where the group's files are."""
    group: str
    sockets: Path
    """The folder of the sockets, each named after its program."""
    title: str
    """What it is that cannot run, if it cannot."""
    programs: Mapping[str, Sequence[str]]
    """Name -> module, and its arguments after the socket."""
    linger_s: float = 0.0

    @property
    def daemon(self) -> list[str]:
        """Module and argument of the daemon."""
        return ["echoic.memory.hosting.socket_servers", json.dumps(asdict(self), default=str)]

    def socket(self, name: str) -> Path:
        """Where the program of that name listens."""
        return self.sockets / f"{name}.sock"

    def servers(self) -> "list[SocketServer]":
        return [
            SocketServer(name, self.socket(name), self.title, program)
            for name, program in self.programs.items()
        ]


class SocketServer(Server):
    """One of the programs."""

    ready_s = LOAD_S

    def __init__(self, name: str, path: Path, title: str, program: Sequence[str]) -> None:
        module, *arguments = program
        self.name, self.address = name, str(path)
        self.command = [sys.executable, "-P", "-m", module, str(path), *arguments]
        self._title = title

    def prepare(self) -> None:
        self.clean_up()  # else nothing tells a server that is loading from one that was killed

    def clean_up(self) -> None:
        Path(self.address).unlink(missing_ok=True)

    def is_ready(self, pid: int, output: str) -> bool:
        """It listens once its model is loaded."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(ANSWER_S)
            client.connect(self.address)
            return True
        return False

    def explain(self, output: str) -> MemoryFault:
        lines = [line for line in output.splitlines() if line.strip()]
        return ConfigInvalid(
            f"{self._title} ({self.name}) does not run here: {lines[-1] if lines else 'it said nothing'}"
        )


def main(text: str) -> None:
    """Keep the programs of a group running until nobody uses them."""
    given = json.loads(text)
    group = SocketServers(**given | {name: Path(given[name]) for name in ("folder", "sockets")})
    serve(group.folder, group.group, group.servers, linger_s=group.linger_s)
    with suppress(OSError):  # one in the temporary folder is removed when it is empty; others hold more
        group.sockets.rmdir()


if __name__ == "__main__":
    main(sys.argv[1])
