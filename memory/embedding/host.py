"""One embedding server per user and host: where it listens, who may start it, and how it is ended when it
hangs.

Its folder holds `socket`, `lock` (held by the server for as long as it lives, with its process number
inside), `failed` (why the last one could not start) and `log`. The kernel gives the lock back however a
server ends, so there is never a second one, and whoever finds it free starts the next.
"""

import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import echoic
from echoic.memory.embedding.embedder import MODEL_SHA256
from echoic.memory.embedding.wire import VERSION
from echoic.memory.errors import ConfigInvalid

PRIVATE = 0o700
# a socket's whole path is limited to 104 bytes on macOS, 108 on Linux
SHORT_PATH = re.compile(r"[A-Za-z0-9/._+-]{1,60}")
START_S = 20.0  # it detaches within a second, and within tens of seconds on a machine that is busy tenfold
LOG_LIMIT_BYTES = 1_000_000
KEPT_ENVIRONMENT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONWARNINGS",
)
"""All that the server sees of its first client's environment: keys and database passwords must not live on in
it."""


@dataclass(frozen=True, slots=True)
class Host:
    """The embedding server of a folder."""

    folder: Path
    threads: int
    """Texts embedded at the same time; what the first client says holds until the server ends."""

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def server_pid(self) -> int | None:
        """Process number of the server that holds the lock; None when there is none."""
        with _opened(self.folder / "lock") as lock:
            if _is_free(lock):
                return None
            written = os.pread(lock.number, 20, 0)
        return int(written) if written.isdigit() else None

    def failure(self) -> str | None:
        """Why the last server could not start, as a sentence."""
        try:
            return (self.folder / "failed").read_text() or None
        except FileNotFoundError:
            return None

    def start_if_none(self) -> bool:
        """Start a server unless one runs or is being started; True if one was started.

        Blocks for about 0.1 s.

        Raises:
            ConfigInvalid: no process can be started here.
        """
        with _opened(self.folder / "lock") as lock:
            if not _is_free(lock):
                return False
            (self.folder / "failed").unlink(missing_ok=True)
            os.ftruncate(lock.number, 0)
            self._spawn(lock.number)
        return True

    def end(self, pid: int) -> None:
        """Kill the server if it still is the process `pid`: it hangs, and an orderly end is not to be
        expected of it."""
        if self.server_pid() == pid:
            os.kill(pid, signal.SIGKILL)

    def _spawn(self, lock: int) -> None:
        """The server detaches itself, so that no client is its parent: it outlives each of them and becomes
        nobody's zombie."""
        command = [
            sys.executable,
            "-P",
            "-m",
            "echoic.memory.embedding.server",
            str(self.folder),
            str(lock),
            str(self.threads),
        ]
        try:
            with _opened(self.folder / "log") as log:
                if os.fstat(log.number).st_size > LOG_LIMIT_BYTES:
                    os.ftruncate(log.number, 0)
                os.lseek(log.number, 0, os.SEEK_END)
                subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log.number,
                    stderr=log.number,
                    cwd="/",
                    env=_environment(),
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C in a client's terminal must not reach it
                    timeout=START_S,
                    check=True,
                )
        except (OSError, subprocess.SubprocessError) as exc:
            raise ConfigInvalid(
                f"The embedding server cannot be started ({type(exc).__name__}): see {self.folder / 'log'}."
            ) from exc


def open_host(threads: int, folder: Path | None = None) -> Host:
    """The host's server of this user; its folder is made, or refused.

    Args:
        threads: texts embedded at the same time, if this process is the one to start it.
        folder: instead of the one in the user's runtime or temporary folder.

    Raises:
        ConfigInvalid: the folder belongs to somebody else or cannot be made.
    """
    folder = folder or _runtime_dir() / f"echoic-{os.geteuid()}-embed-{MODEL_SHA256[:8]}-{VERSION}"
    try:
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        found = folder.lstat()  # a link that somebody else laid is not followed
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ConfigInvalid(
                f"{folder} was made by somebody else: remove it, or set XDG_RUNTIME_DIR to a folder of your "
                "own."
            )
        folder.chmod(PRIVATE)
    except OSError as exc:
        raise ConfigInvalid(
            f"{folder} cannot be used ({exc.strerror}): set XDG_RUNTIME_DIR to a folder of your own."
        ) from exc
    return Host(folder, threads)


class _opened:
    """A file of the folder, made if missing, open for the block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "_opened":
        self.number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def _is_free(lock: _opened) -> bool:
    """Take the lock if nobody has it; closing the file gives it back, unless a server was handed it
    meanwhile."""
    try:
        fcntl.flock(lock.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    source = str(Path(echoic.__path__[0]).resolve().parent)
    return kept | {
        "LC_ALL": "C",
        "PYTHONPATH": os.pathsep.join(filter(None, (source, kept.get("PYTHONPATH")))),
    }


def _runtime_dir() -> Path:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):
        if SHORT_PATH.fullmatch(candidate) and os.path.isdir(candidate):
            return Path(candidate)
    raise ConfigInvalid(
        "There is no temporary folder with a short path for a socket: set XDG_RUNTIME_DIR or TMPDIR."
    )
