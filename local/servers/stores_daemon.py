"""`python -m echoic.local.servers.stores_daemon DATA_DIR`: the daemon of a data folder's Postgres and
Redis; started by local/servers/stores.py."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from echoic.local.paths import run_folder, socket_folder
from echoic.local.servers.postgres import PostgresServer
from echoic.local.servers.redis_server import RedisServer
from echoic.memory.hosting.daemon import Server, serve

GROUP = "stores"


def main(data_dir: Path) -> None:
    """Keep both servers until nobody uses them."""
    run_dir = run_folder(data_dir)

    def servers() -> Sequence[Server]:
        sockets = socket_folder(run_dir)
        return PostgresServer(data_dir, run_dir, sockets), RedisServer(data_dir, sockets)

    serve(run_dir, GROUP, servers)
    with suppress(OSError):  # the one in the temporary folder is removed when it is empty; ours is not
        socket_folder(run_dir).rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
