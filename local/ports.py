"""Free ports of this machine's loopback address, for servers that cannot listen on a private socket."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


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


def _can_bind(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
