"""Files of ours on the disk: opened without following links, written so that they outlive the machine.

Whatever else lies in our folders (a folder, a pipe, a link, another person's file) is left alone.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PRIVATE = 0o700


@contextmanager
def open_own(path: Path, flags: int) -> Iterator[IO[bytes]]:
    """`own_file` for a block."""
    with own_file(path, flags) as file:
        yield file


def own_file(path: Path, flags: int) -> IO[bytes]:
    """Open a file of ours, unbuffered; made private if `flags` make it.

    Raises:
        OSError: it is none (a link, a pipe, a folder), or the system refuses.
    """
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    mode = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}[flags & os.O_ACCMODE]
    return open(handle, mode, buffering=0)


def regular_files(folder: Path, ending: str) -> list[Path]:
    """The files of a folder with this ending, by name; none when there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            found = [
                entry.name
                for entry in entries
                if entry.name.endswith(ending) and entry.is_file(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(found)]


def make_folder(folder: Path) -> None:
    """Make a private folder of ours if it is missing.

    Raises:
        OSError: a link stands in its place, or the system refuses.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if found.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to somebody else", str(folder))
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(handle, PRIVATE)
    finally:
        os.close(handle)


def write_durably(file: IO[bytes], content: bytes) -> None:
    """Write all of it, to the disk.

    Raises:
        OSError: the disk is full.
    """
    if file.write(content) != len(content):  # an unbuffered file writes as much as fits, and does not raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """What was made or renamed in it is on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
