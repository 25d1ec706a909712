"""Model files of one machine, as the API shows and fetches them; `echoic.local` knows where they are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from echoic.memory.errors import MemoryFault

OnProgress = Callable[[int, int], None]
"""Called with bytes done and bytes there are."""


class ModelFileUnknown(MemoryFault):
    """There is no such model file: `GET /v1/model-files` lists them."""


class ModelFileFixed(MemoryFault):
    """This file belongs to an installed package: it is neither fetched nor removed here."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file."""

    name: str
    purpose: str
    size: int | None
    """In bytes, of an unfinished one what came so far; None: nothing is there."""
    present: bool
    sha256_ok: bool | None
    """Whether it is the file that is expected; None: not checked since it last changed, or nothing says what
    is expected."""
    removable: bool
    """Whether it can be pulled and removed here; a file of a package cannot."""
    dimensions: int | None = None
    """Length of the vectors that it makes."""
    used_by: str = ""
    """The setting by which it is in use; empty: it is not, or nobody asked."""


class ModelShelf(Protocol):
    """The model files of this machine. Its methods block: they are called in threads."""

    def files(self, *, check: bool) -> list[ModelFile]:
        """All that Echoic uses, present or not; `check` reads every byte of those that were not checked."""
        ...

    def check_pullable(self, name: str) -> None:
        """Raises ModelFileUnknown or ModelFileFixed unless there is something to fetch under this name."""
        ...

    def pull(self, name: str, on_progress: OnProgress) -> None:
        """Fetch one; goes on where an earlier try was broken off.

        Raises:
            ModelFileUnknown, ModelFileFixed, ModelUnavailable, ConfigInvalid: it could not be fetched.
        """
        ...

    def remove(self, name: str) -> int:
        """Remove one, with what a broken download has left of it; returns the bytes that are free now.

        Raises:
            ModelFileUnknown, ModelFileFixed: nothing is removed.
        """
        ...
