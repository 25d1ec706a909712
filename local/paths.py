"""Where a laptop's data lives, and where the sockets of its servers are."""

import hashlib
import os
import re
import sys
from pathlib import Path

import platformdirs

from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.files import (
    OTHER_FOLDER,
    cannot_use,
    check_owner,
    create_folder,
    private_folder,
    runtime_folder,
)
from echoic.memory.text.words import clean

SOCKET_FOLDER_BYTES = (
    80  # a socket's path is limited to 104 bytes on macOS, 108 on Linux; the longest name in it has 16
)
OURS = frozenset(
    {"bin", "graph", "logs", "models", "postgres", "postgres.new", "redis", "restore.new", "run", "spool"}
)
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # stands in a URL and in a Postgres setting as it is


def data_dir(chosen: Path | None) -> Path:
    """The absolute data folder: the chosen one, or the user's data directory. Creates nothing.

    Raises:
        ConfigInvalid: its name is none that servers can be told.
    """
    try:
        folder = (
            platformdirs.user_data_path("echoic", appauthor=False) if chosen is None else chosen.expanduser()
        )
    except RuntimeError as exc:  # ~somebody who is not known
        raise ConfigInvalid(f"There is no home folder for {chosen}: {OTHER_FOLDER}.") from exc
    if clean(str(folder)) != str(folder):
        raise ConfigInvalid(f"The name of the data folder is not UTF-8, or holds NUL: {OTHER_FOLDER}.")
    return Path(os.path.abspath(folder))


def open_data_dir(folder: Path) -> Path:
    """Create the data folder, readable by its owner only, and return it.

    A folder that holds something else too keeps its mode: what we put into it is private by itself. It may be
    a link that this user has made; one that somebody else has laid is refused.

    Raises:
        ConfigInvalid: it cannot be created, is no folder, or belongs to somebody else.
    """
    refuse_windows()
    if folder.is_symlink() and folder.lstat().st_uid == os.geteuid():
        folder = folder.resolve()
    create_folder(folder)
    try:
        holds_only_ours = OURS.issuperset(os.listdir(folder))
    except OSError as exc:
        raise ConfigInvalid(cannot_use(folder, exc)) from exc
    if holds_only_ours:
        return private_folder(folder)
    check_owner(folder)
    return folder


def run_folder(data_dir: Path) -> Path:
    """The data folder's private folder for locks, logs and sockets; both are made if missing.

    Raises:
        ConfigInvalid: as for `open_data_dir`.
    """
    return private_folder(open_data_dir(data_dir) / "run")


def socket_folder(folder: Path) -> Path:
    """A private folder for the sockets of `folder`: itself if its path is short and plain, else one in the
    temporary folder.

    Raises:
        ConfigInvalid: somebody else already made the one in the temporary folder.
    """
    if len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES and PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return runtime_folder(digest)


def refuse_windows() -> None:
    """Raises ConfigInvalid on Windows: its Postgres and Redis have no private sockets."""
    if sys.platform == "win32":
        raise ConfigInvalid("Windows itself is not supported: run Echoic in WSL 2, or on Linux or macOS.")
