"""Where a laptop's data lives, and folders and files that nobody else can read."""

import hashlib
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from echoic.memory.errors import ConfigInvalid

PRIVATE = 0o700
SOCKET_FOLDER_BYTES = (
    80  # a socket's path is limited to 104 bytes on macOS, 108 on Linux; the longest name in it has 16
)
OURS = frozenset(
    {"bin", "graph", "logs", "models", "postgres", "postgres.new", "redis", "restore.new", "run", "spool"}
)
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # stands in a URL and in a Postgres setting as it is


def data_dir(chosen: Path | None) -> Path:
    """The absolute data folder: the chosen one, or the user's data directory. Creates nothing."""
    if chosen is None:
        return platformdirs.user_data_path("echoic", appauthor=False)
    return Path(os.path.abspath(chosen.expanduser()))


def open_data_dir(folder: Path) -> Path:
    """Create the data folder, readable by its owner only, and return it.

    A folder that holds something else too keeps its mode: what we put into it is private by itself.

    Raises:
        ConfigInvalid: it cannot be created, is no folder, or belongs to somebody else.
    """
    refuse_windows()
    _create(folder)
    try:
        holds_only_ours = OURS.issuperset(os.listdir(folder))
    except OSError as exc:
        raise ConfigInvalid(_cannot_use(folder, exc)) from exc
    if holds_only_ours:
        return private_folder(folder)
    _check_owner(folder)
    return folder


def private_folder(folder: Path) -> Path:
    """Create `folder` (or take over our own) with mode 0700 and return it.

    Raises:
        ConfigInvalid: it cannot be created, is no folder, or belongs to somebody else.
    """
    _create(folder)
    _check_owner(folder)
    try:
        if stat.S_IMODE(folder.stat().st_mode) != PRIVATE:
            folder.chmod(PRIVATE)
    except OSError as exc:
        raise ConfigInvalid(_cannot_use(folder, exc)) from exc
    return folder


def write_private(file: Path, content: Mapping[str, Any]) -> None:
    """Replace a JSON file at once, readable by its owner only: a reader sees the old or the new one, whole."""
    new = file.with_name(f"{file.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        json.dump(content, opened)
    new.replace(file)


def socket_folder(folder: Path) -> Path:
    """A private folder for the sockets of `folder`: itself if its path is short and plain, else one in the
    temporary folder.

    Raises:
        ConfigInvalid: somebody else already made the one in the temporary folder.
    """
    if len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES and PLAIN_PATH.fullmatch(str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    return private_folder(_runtime_dir() / f"echoic-{os.geteuid()}-{digest}")


def refuse_windows() -> None:
    """Raises ConfigInvalid on Windows: its Postgres and Redis have no private sockets."""
    if sys.platform == "win32":
        raise ConfigInvalid("Windows itself is not supported: run Echoic in WSL 2, or on Linux or macOS.")


def _create(folder: Path) -> None:
    """Also missing folders above get mode 0700, as the XDG rules ask for; those that are there stay as they
    are."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        for path in reversed(missing):
            path.mkdir(mode=PRIVATE, exist_ok=True)
    except OSError as exc:
        raise ConfigInvalid(_cannot_use(folder, exc)) from exc


def _check_owner(folder: Path) -> None:
    try:
        found = folder.stat()
    except OSError as exc:
        raise ConfigInvalid(_cannot_use(folder, exc)) from exc
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigInvalid(f"{folder} is not a folder: choose another with --data-dir or ECHOIC_DATA_DIR.")
    if found.st_uid != os.geteuid():
        raise ConfigInvalid(
            f"{folder} belongs to user number {found.st_uid}, you are {os.geteuid()}: run Echoic as that "
            "user,"
            " or choose another folder with --data-dir or ECHOIC_DATA_DIR."
        )


def _cannot_use(folder: Path, exc: OSError) -> str:
    return (
        f"The data folder {folder} cannot be used ({exc.strerror}): choose another with --data-dir or "
        "ECHOIC_DATA_DIR."
    )


def _runtime_dir() -> Path:
    for candidate in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):
        if (
            PLAIN_PATH.fullmatch(candidate)
            and len(candidate) <= SOCKET_FOLDER_BYTES // 2
            and os.path.isdir(candidate)
        ):
            return Path(candidate)
    raise ConfigInvalid(
        "There is no temporary folder with a short path for sockets: set XDG_RUNTIME_DIR or TMPDIR."
    )
