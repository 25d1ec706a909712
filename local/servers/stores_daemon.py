"""The servers of a data folder's stores, as their daemon starts them (joined by local/servers/stores.py)."""

from collections.abc import Sequence
from pathlib import Path

from echoic.local.paths import run_folder, socket_folder
from echoic.local.servers.postgres import PostgresServer
from echoic.local.servers.redis_server import RedisServer
from echoic.memory.hosting.daemon import Server


def servers(data_dir: str) -> Sequence[Server]:
    """Postgres and Redis."""
    folder, run_dir = Path(data_dir), run_folder(Path(data_dir))
    sockets = socket_folder(run_dir)
    return PostgresServer(folder, run_dir, sockets), RedisServer(folder, sockets)
