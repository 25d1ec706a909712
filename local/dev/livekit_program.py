"""The program `livekit-server`: found on the PATH, or built once from pinned source in the data folder."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.files import opened_lock, private_folder, wait_lock

VERSION = "1.13.5"
SOURCE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
HOW_TO_GET_ONE = (
    "No LiveKit server was found. Put `livekit-server` on the PATH "
    "(https://docs.livekit.io/home/self-hosting/local/), or install Go"
    " 1.26 and Echoic builds one, or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET to use one that "
    "runs elsewhere."
)
TOLD_LINES = 5  # the last ones of a build that failed


def find_program(data_dir: Path, env: Mapping[str, str] = os.environ) -> Path:
    """The program to start; builds it (two minutes on two cores, 75 MB) if it is missing and Go is there.

    Raises:
        ConfigInvalid: there is none, and none can be built.
    """
    if found := shutil.which("livekit-server", path=env.get("PATH")):
        return Path(found).absolute()
    built = data_dir / "bin" / f"livekit-server-{VERSION}"
    if not built.exists():
        go = shutil.which("go", path=env.get("PATH"))
        if go is None:
            raise ConfigInvalid(HOW_TO_GET_ONE)
        _build_once(go, built, env)
    return built


def _build_once(go: str, built: Path, env: Mapping[str, str]) -> None:
    """One process builds, another that came meanwhile waits for it."""
    with opened_lock(private_folder(built.parent) / "build.lock") as lock:
        wait_lock(lock)
        if not built.exists():
            _build(go, built, env)


def _build(go: str, built: Path, env: Mapping[str, str]) -> None:
    unfinished = private_folder(built.parent / "unfinished")
    command = [go, "install", "-v", SOURCE]
    told: list[str] = []
    with (
        _counter(f"Building LiveKit server {VERSION}, once; about two minutes") as count,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**env, "GOBIN": str(unfinished)},
            cwd=unfinished,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            # a line for each module that is fetched and each package that is compiled
            for line in process.stderr:
                told = [*told, line.strip()][-TOLD_LINES:]
                count()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise ConfigInvalid(
            f"LiveKit server {VERSION} could not be built: {' / '.join(told) or 'Go said nothing'}. "
            f"{HOW_TO_GET_ONE}"
        )
    (unfinished / "server").replace(built)


@contextmanager
def _counter(what: str) -> Iterator[Callable[[], None]]:
    """Says on standard error that something long runs; on a terminal also how far it is."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console, columns = (
        Console(stderr=True),
        (SpinnerColumn(), TextColumn("{task.description}: {task.completed} parts"), TimeElapsedColumn()),
    )
    if not console.is_terminal:
        console.print(f"{what} …", highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)
