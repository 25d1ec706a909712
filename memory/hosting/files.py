"""Folders, files and locks of one user: nobody else can read them, and the kernel gives a lock back however
its holder ends."""

import errno
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from echoic.memory.disk.files import PRIVATE, open_own
from echoic.memory.errors import ConfigInvalid

if sys.platform != "win32":
    import fcntl

# a socket's whole path is limited to 104 bytes on macOS, 108 on Linux; its folder and name add 52 at most
SHORT_PATH = re.compile(r"[A-Za-z0-9/._+-]{1,50}")
OTHER_FOLDER = "choose another folder with --data-dir or ECHOIC_DATA_DIR"


def private_folder(folder: Path) -> Path:
    """Create `folder` (or take over our own) with mode 0700 and return it.

    Raises:
        ConfigInvalid: it cannot be created, is a link or no folder, or belongs to somebody else.
    """
    create_folder(folder)
    with _opened(folder) as handle:
        if stat.S_IMODE(os.fstat(handle).st_mode) != PRIVATE:
            os.fchmod(handle, PRIVATE)
    return folder


def unshared_folder(folder: Path) -> Path:
    """A `private_folder` where others may write too.

    Raises:
        ConfigInvalid: it is a link, or somebody else's, or cannot be created.
    """
    create_folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigInvalid(
            f"{folder} was made by somebody else: remove it, or set XDG_RUNTIME_DIR to a folder of your own."
        )
    return private_folder(folder)


def runtime_folder(name: str) -> Path:
    """A private folder of this user and name, with a path short enough for sockets: in the runtime folder or
    the temporary one.

    Raises:
        ConfigInvalid: there is no such place, or somebody else was there first.
    """
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):
        if SHORT_PATH.fullmatch(base) and os.path.isdir(base):
            return unshared_folder(Path(base) / f"echoic-{os.geteuid()}-{name}")
    raise ConfigInvalid(
        "There is no temporary folder with a short path for sockets: set XDG_RUNTIME_DIR or TMPDIR."
    )


def remove_socket(path: Path) -> None:
    """Remove a socket, and its folder when it was the last thing in it."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def create_folder(folder: Path) -> None:
    """Also missing folders above get mode 0700, as the XDG rules ask for; those that are there stay as they
    are."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        for path in reversed(missing):
            path.mkdir(mode=PRIVATE, exist_ok=True)
    except OSError as exc:
        raise ConfigInvalid(cannot_use(folder, exc)) from exc


def check_owner(folder: Path) -> None:
    """Raises ConfigInvalid unless it is a folder of this user, and no link."""
    with _opened(folder):
        return


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """The folder itself, whatever is done to its name meanwhile: who can write above it may lay a link."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise ConfigInvalid(_no_folder(folder, exc)) from exc
    try:
        if (owner := os.fstat(handle).st_uid) != os.geteuid():
            raise ConfigInvalid(
                f"{folder} belongs to user number {owner}, you are {os.geteuid()}: run Echoic as that "
                f"user, or {OTHER_FOLDER}."
            )
        yield handle
    except OSError as exc:
        raise ConfigInvalid(cannot_use(folder, exc)) from exc
    finally:
        os.close(handle)


def _no_folder(folder: Path, exc: OSError) -> str:
    if folder.is_symlink():
        return f"{folder} is a link, and Echoic follows none here: remove it, or {OTHER_FOLDER}."
    if exc.errno == errno.ENOTDIR:
        return f"{folder} is not a folder: {OTHER_FOLDER}."
    return cannot_use(folder, exc)


def cannot_use(folder: Path, exc: OSError) -> str:
    """The sentence for a folder that the system refuses."""
    return f"The folder {folder} cannot be used ({exc.strerror}): {OTHER_FOLDER}."


def write_private(file: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file at once, for its owner only: a reader sees the old or the new one, whole."""
    new = file.with_name(f"{file.name}.new")
    with open_own(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as opened:
        opened.write(json.dumps(content).encode())
    new.replace(file)


def open_lock(path: Path) -> int:
    """Open a lock file, made if missing; the lock itself is taken by `try_lock` or `wait_lock`."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as exc:
        raise ConfigInvalid(cannot_use(path.parent, exc)) from exc


@contextmanager
def opened_lock(path: Path) -> Iterator[int]:
    """`open_lock` for a block; a process that was handed the descriptor meanwhile keeps the lock."""
    lock = open_lock(path)
    try:
        yield lock
    finally:
        os.close(lock)


def wait_lock(descriptor: int) -> None:
    """Take the lock of an open file alone, as soon as nobody has it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of an open file if it is free; it is given back when the last copy of the descriptor is
    closed."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as exc:
        raise ConfigInvalid(
            f"The file system of the data folder has no locks ({exc.strerror}): {OTHER_FOLDER}."
        ) from exc
    return True


def lock_holder(path: Path) -> int | None:
    """Process number that whoever holds a lock wrote into its file; None if nobody holds it."""
    with opened_lock(path) as lock:
        written = b"" if try_lock(lock, fcntl.LOCK_SH) else os.pread(lock, 20, 0)
    return int(written) if written.isdigit() else None
