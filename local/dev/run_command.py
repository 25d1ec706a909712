"""`echoic run -- COMMAND`: stores and learning around any command, which finds them in its environment."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from echoic.local.command_resources import opened_model, opened_stores
from echoic.local.dev.background_worker import learner_beside
from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid, MemoryFault


def run_command(command: Sequence[str], data_dir: Path | None, say: Callable[[str], None]) -> int:
    """Run `command` beside the stores of the data folder, and return its exit code.

    Ctrl-C and SIGTERM are the command's to answer; the stores stop after it. Without a model that can learn,
    or with one that cannot be reached, the command runs all the same, and a line says so.

    Raises:
        ConfigInvalid: the command does not exist, or the stores cannot run here.
        StoreUnavailable, SchemaMismatch: the stores did not start.
    """
    with ExitStack() as opened:
        settings = opened.enter_context(opened_stores(data_dir, "run"))
        say(_learning(opened, settings))
        return _exit_code(command, dict(os.environ) | addresses(settings))


def addresses(settings: MemorySettings) -> dict[str, str]:
    """What a process needs in its environment to find these stores."""
    return {
        "ECHOIC_DATABASE_URL": settings.database_url.get_secret_value(),
        "ECHOIC_REDIS_URL": settings.redis_url.get_secret_value(),
        "ECHOIC_FALKORDB_URL": settings.falkordb_url.get_secret_value(),
        "ECHOIC_DATA_DIR": str(settings.data_dir),
    }


def _learning(opened: ExitStack, settings: MemorySettings) -> str:
    try:
        choice = opened.enter_context(opened_model(settings))
        return opened.enter_context(learner_beside(settings, choice))
    except MemoryFault as exc:
        return f"Everything said is remembered word for word; facts are not learned: {exc}"


def _exit_code(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as exc:
        raise ConfigInvalid(f"{command[0]} cannot be run ({exc.strerror}).") from exc
    # the terminal sends Ctrl-C to both: the command decides what it means, and we wait for it
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    ended = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, ended)
    return code if code >= 0 else 128 - code
