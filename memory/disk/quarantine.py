"""Lines of the spool that stood in the way: damaged ones, and turns that a store refuses that answers.

One file for each, beside the spool: what it is and why, then the line as it was. Nothing here is lost, tried
again by itself, or in anybody's way; `echoic jobs` shows it and tries it again.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from echoic.memory.disk.files import fsync_folder, make_folder, open_own, regular_files, write_durably
from echoic.memory.disk.lines import Line, lines_in

DAMAGED = "the note about it is itself damaged"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A line that was set aside, or several in a row of which nobody can say whose they are."""

    element_id: UUID
    reason: str
    """Without words of anybody."""
    tries: int
    set_aside_at: datetime | None
    user_id: str
    """Whose; empty when that cannot be seen."""
    content: bytes | None
    """The line or lines as they were; None while the file cannot be read."""

    @property
    def lines(self) -> list[Line]:
        return lines_in(self.content or b"")

    @property
    def count(self) -> int:
        """How many lines; one where that cannot be seen."""
        return 1 if self.content is None else len(self.lines)


class Quarantine:
    """The folder `aside` of the spool. Blocking: for the spool's thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, content: bytes, user_id: str, reason: str, tries: int) -> None:
        """Set lines aside, durably; the same ones twice are kept once.

        Raises:
            OSError: the disk is full, or the folder is not ours.
        """
        make_folder(self._folder)
        element_id = UUID(bytes=hashlib.sha256(content).digest()[:16])
        note = {"reason": reason, "tries": tries, "at": datetime.now(UTC).isoformat(), "user_id": user_id}
        new = self._folder / f"{element_id}.new"
        with open_own(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            write_durably(file, json.dumps(note).encode() + b"\n" + content)
        new.rename(self._folder / f"{element_id}.aside")
        fsync_folder(self._folder)

    def all(self) -> list[SetAside]:
        """Everything that is set aside, by id."""
        return [element for _, element in self._elements()]

    def remove(self, gone: Callable[[SetAside], bool]) -> list[SetAside]:
        """Take these out, and return them; what cannot be read stays."""
        removed = []
        for path, element in self._elements():
            if element.content is not None and gone(element):
                path.unlink(missing_ok=True)
                removed.append(element)
        return removed

    def _elements(self) -> Iterator[tuple[Path, SetAside]]:
        for path in regular_files(self._folder, ".aside"):
            try:
                with open_own(path, os.O_RDONLY) as file:
                    content = file.read()
            except OSError as exc:
                why = f"the file {path.name} in the spool's folder aside cannot be read ({exc.strerror})"
                yield path, SetAside(_number(path.stem), why, 0, None, "", None)
                continue
            yield path, _element(path.stem, content)


def _element(name: str, content: bytes) -> SetAside:
    note, _, lines = content.partition(b"\n")
    try:
        told: dict[str, Any] = json.loads(note)
        at = datetime.fromisoformat(told["at"])
        return SetAside(UUID(name), str(told["reason"]), int(told["tries"]), at, str(told["user_id"]), lines)
    except Exception:  # whatever it is that Python makes of bytes
        whose = next((line.user_id for line in lines_in(content) if line.user_id), "")
        return SetAside(_number(name), DAMAGED, 0, None, whose, content)


def _number(name: str) -> UUID:
    return UUID(bytes=hashlib.sha256(os.fsencode(name)).digest()[:16])
