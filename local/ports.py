"""Ports of this machine's loopback address, and whether a server answers: for those that cannot listen on a
private socket."""

import http.client
import json
import secrets
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from echoic.memory.hosting.files import write_private

LOOPBACK = "127.0.0.1"
ANSWER_S = 0.5


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server of ours listens, and the key without which other users of this machine are turned away.

    Kept in a file: a server that is started again is found at the same place.
    """

    port: int
    udp_port: int
    key: str

    @classmethod
    def read(cls, file: Path) -> "Address":
        return cls(**json.loads(file.read_text()))

    @classmethod
    def keep(cls, file: Path) -> "Address":
        """The one in the file; a new one if another version wrote it, or if somebody else took its ports."""
        try:
            kept = cls.read(file)
            if are_free((kept.port, kept.udp_port)):
                return kept
        except (FileNotFoundError, RecursionError, TypeError, ValueError):
            pass
        port, udp_port = free_ports(2)
        new = cls(port, udp_port, secrets.token_urlsafe(32))
        write_private(file, asdict(new))
        return new


def free_ports(count: int) -> list[int]:
    """That many different ports, free for TCP and for UDP when this returns."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
            if _can_bind(port, socket.SOCK_DGRAM):
                ports.append(port)
        return ports


def are_free(ports: Sequence[int]) -> bool:
    """Whether nobody listens on any of them; what a server left behind when it ended does not count."""
    return all(_can_bind(port, kind) for port in ports for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))


def is_ok(port: int, path: str) -> bool:
    """Whether an HTTP server on this port answers `path` with 200 within half a second; False also if nobody
    listens yet."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _can_bind(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
