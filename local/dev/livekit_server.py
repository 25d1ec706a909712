"""A LiveKit server for calls on this machine: the one that is named, or one of our own that never leaves the
loopback interface.

Ours has a daemon, as the stores have one: shared by the processes of a data folder, restarted at the same
address when it dies, gone when the last of them has left.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echoic.local.dev.livekit_program import find_program
from echoic.local.paths import run_folder
from echoic.local.ports import LOOPBACK, Address, is_ok
from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.hosting.daemon import Server
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.files import write_private
from echoic.memory.hosting.runner import last_line

GROUP = "livekit"
API_KEY = "echoic"
NOWHERE = f"{LOOPBACK}:9"  # an empty list of STUN servers means Google's and Twilio's
ANY_LOAD = (
    2  # load is the share of busy CPU: at the default 0.7 a busy laptop gets no agent, and nobody is told
)
LOOPBACK_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
KEY_VARIABLES = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


@dataclass(frozen=True, slots=True)
class LiveKitServer:
    """Where a LiveKit server listens, and the key by which tokens for it are signed."""

    url: str
    api_key: str
    api_secret: str = field(repr=False)
    is_ours: bool = True
    """False for one that `LIVEKIT_URL` names."""

    @property
    def environment(self) -> dict[str, str]:
        """What LiveKit's own programs read."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
        }


@contextmanager
def open_livekit(
    data_dir: Path, env: Mapping[str, str] = os.environ, *, program: Path | None = None
) -> Iterator[LiveKitServer]:
    """A LiveKit server that answers while the block runs: `LIVEKIT_URL`, else one on this machine shared by
    users of the data folder.

    Args:
        program: the server to start; None: `livekit-server` on the PATH, or one that is built once (minutes,
            with progress) by Go.

    Raises:
        ConfigInvalid: `LIVEKIT_URL` without its keys, or no program and no way to build one; the sentence
            says how to get it. StoreUnavailable: it did not start.
    """
    if env.get("LIVEKIT_URL"):
        yield _named(env)
        return
    run_dir = run_folder(data_dir)
    program = program or find_program(data_dir, env)
    servers = ["echoic.local.dev.livekit_server", str(run_dir), str(program)]
    with join_servers(run_dir, GROUP, servers) as state:
        address = Address.read(Path(state.addresses[GROUP]))
        yield LiveKitServer(f"ws://{LOOPBACK}:{address.port}", API_KEY, address.key)


def _named(env: Mapping[str, str]) -> LiveKitServer:
    if missing := [name for name in KEY_VARIABLES if not env.get(name)]:
        raise ConfigInvalid(
            f"LIVEKIT_URL is set, but not {' and '.join(missing)}: set them too, or none of the three."
        )
    return LiveKitServer(env["LIVEKIT_URL"], env["LIVEKIT_API_KEY"], env["LIVEKIT_API_SECRET"], is_ours=False)


class OwnLiveKit(Server):
    """LiveKit on the loopback interface; it contacts no address outside, and neither do its clients on its
    behalf."""

    name = GROUP
    # it keeps nothing; asked more kindly it waits for every call to end by itself
    stop_signal = signal.SIGKILL

    def __init__(self, run_dir: Path, program: Path) -> None:
        self.folder = run_dir
        self._address_file, self._config_file = run_dir / "livekit.address", run_dir / "livekit.config"
        self.address = str(self._address_file)
        self.command = [str(program), "--config", str(self._config_file)]

    def prepare(self) -> None:
        write_private(self._config_file, config(Address.keep(self._address_file)))

    def is_ready(self, pid: int, output: str) -> bool:
        """It says OK once it takes calls."""
        return is_ok(Address.read(self._address_file).port, "/")

    def explain(self, output: str) -> MemoryFault:
        return StoreUnavailable(f"The LiveKit server stopped: {last_line(output)[:300]}")


def config(address: Address) -> dict[str, Any]:
    """The server's configuration; it reads YAML, of which JSON is a part."""
    return {
        "port": address.port,
        "bind_addresses": [LOOPBACK],
        "keys": {API_KEY: address.key},
        "logging": {"level": "warn"},  # at `info` it writes who joins, and what their token says of them
        "rtc": {
            # none: it would listen on every interface, and UDP always works within one machine
            "tcp_port": 0,
            "udp_port": address.udp_port,
            "use_external_ip": False,
            "node_ip": LOOPBACK,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": [LOOPBACK_INTERFACE]},
            "stun_servers": [NOWHERE],
        },
        "agents": {"target_load": ANY_LOAD},
    }


def servers(run_dir: str, program: str) -> list[OwnLiveKit]:
    """The server, for its daemon."""
    return [OwnLiveKit(Path(run_dir), Path(program))]
