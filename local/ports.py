"""Free ports of this machine's loopback address, and whether a server answers: for those that cannot listen
on a private socket."""

import http.client
import socket
from collections.abc import Sequence
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
ANSWER_S = 0.5


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
