"""Files of models are those that are pinned, or are not used."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from echoic.memory.errors import ConfigInvalid

ORIGIN = "origin.json"
"""Stands beside the files that were pulled, once all of them are whole."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files of a folder come from, and what they are."""

    repository: str
    commit: str
    trusted: str
    """Who named their SHA-256: `echoic`, `hub`, or `user`."""
    files: dict[str, str]
    """Name -> SHA-256."""

    def write(self, folder: Path) -> None:
        """Beside the files: from now on the folder is whole."""
        (folder / ORIGIN).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def origin_of(folder: Path) -> Origin | None:
    """None: nothing was pulled into it, or not all of it."""
    try:
        return Origin(**json.loads((folder / ORIGIN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def whole_origin(folder: Path) -> Origin:
    """As `origin_of`.

    Raises:
        ConfigInvalid: there is none.
    """
    origin = origin_of(folder)
    if origin is None:
        raise ConfigInvalid(f"{folder.name} is not here, or not whole: `echoic model pull {folder.name}`.")
    return origin


def whole_folder(folder: Path) -> dict[str, Path]:
    """The files that were pulled into a folder, by name, verified.

    Raises:
        ConfigInvalid: one is missing, or is not the one that was pulled.
    """
    origin = whole_origin(folder)
    found = {name: folder / name for name in origin.files}
    for name, path in found.items():
        try:
            with path.open("rb") as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == origin.files[name]
        except OSError:
            is_whole = False
        if not is_whole:
            raise ConfigInvalid(
                f"{name} of {folder.name} is not the file that was pulled (sha256 differs): `echoic model "
                f"remove {folder.name}`, and pull it again."
            )
    return found


def verified(path: Path, sha256: str) -> bytes:
    """The file's bytes.

    Raises:
        ConfigInvalid: it cannot be read, or its SHA-256 is not the pinned one.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigInvalid(f"{path.name} cannot be read: {exc.strerror}. Install Echoic again.") from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigInvalid(
            f"{path.name} is not the file that Echoic pins (sha256 differs): install Echoic again."
        )
    return content
