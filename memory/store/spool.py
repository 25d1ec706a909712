"""Turns that Postgres could not take, in fsynced local files, until it can: in order, once.

One file a process, one line a turn; the owner holds a lock on its file, so that another process replays it
only after the owner is gone. A line that cannot be read, and a turn that is refused again and again, are set
aside (`memory/disk/quarantine.py`) and stop nobody else's.
"""

import asyncio
import fcntl
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, TypeVar
from uuid import UUID

from echoic.memory.disk.files import (
    fsync_folder,
    make_folder,
    open_own,
    own_file,
    regular_files,
    write_durably,
)
from echoic.memory.disk.lines import Line, line_of, lines_in
from echoic.memory.disk.quarantine import Quarantine, SetAside
from echoic.memory.errors import StoreRefused, StoreUnavailable
from echoic.memory.types import Turn

log = logging.getLogger("echoic.spool")
T = TypeVar("T")
Record = Callable[[Turn], Awaitable[object]]
MOST_TRIES = 3
"""A turn that is refused so often, while the store takes others, is set aside."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a spool folder, of every process."""

    waiting: int
    """Turns that wait for Postgres."""
    damaged: int
    """Lines that hold no turn, and were not set aside: not yet, or it cannot be."""
    set_aside: int
    """Lines that were set aside."""
    odd: int
    """What bears the name of a spool file and cannot be read as one."""


class UserBusy(Exception):
    """The store takes turns, and none of this user at this moment: later, and nobody's fault."""


class Spool:
    """The spool folder, with this process's own file in it.

    Blocking file work runs in one thread, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._quarantine = Quarantine(folder / "aside")
        self._own: IO[bytes] | None = None
        self._own_path: Path | None = None
        self._waiting: Counter[str] = Counter()
        self._tries: Counter[UUID] = Counter()
        self._odd: set[Path] = set()
        self.left = 0
        """Lines that the last replay left where they are, to be tried again."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._replaying = asyncio.Lock()
        self.on_set_aside: Callable[[int], None] = lambda lines: None
        """Called with how many lines were set aside just now."""

    @property
    def waiting(self) -> int:
        """Turns in this process's file that Postgres does not have yet."""
        return self._waiting.total()

    def holds(self, user_id: str) -> bool:
        """Do turns of this user wait in this process's file?"""
        return self._waiting[user_id] > 0

    async def append(self, turn: Turn) -> None:
        """Return once the turn is on the disk (fsync of the file, and of the folder when it is new).

        Raises:
            StoreUnavailable: the disk is full or the folder not writable.
        """
        try:
            await self._in_thread(self._append, line_of(turn), turn.user_id)
        except OSError as exc:
            raise StoreUnavailable(_cannot_write(exc)) from exc

    async def replay(self, record: Record) -> int:
        """Hand every spooled turn, own and orphaned, to `record`, in order; returns how many it took.

        A file goes when nothing is left in it. When `record` raises StoreRefused, the later turns of that
        user wait for the next replay; so they do when it raises UserBusy, which counts for nothing.

        Raises:
            StoreUnavailable: from `record`; what is not recorded stays. Recording a turn again is harmless
                (its id is the same).
        """
        async with self._replaying:
            done, held, self.left = 0, set[str](), 0
            for path in await self._in_thread(self._files):
                try:
                    done += await self._replay_file(path, record, held)
                except OSError as exc:
                    self._tell_odd(path, exc)
            return done

    async def of_user(self, user_id: str) -> list[Turn]:
        """Spooled turns of one user, of every process."""
        return [
            line.turn for line in await self._in_thread(self._lines) if line.turn and line.user_id == user_id
        ]

    async def inspect(self) -> Found:
        """What lies here."""
        lines = await self._in_thread(self._lines)
        waiting = sum(line.turn is not None for line in lines)
        aside = sum(element.count for element in await self.set_aside())
        named = await self._in_thread(lambda: len(list(self._folder.glob("*.jsonl"))))
        files = await self._in_thread(self._files)
        return Found(waiting, len(lines) - waiting, aside, named - len(files) + len(self._odd))

    async def set_aside(self, user_id: str | None = None) -> list[SetAside]:
        """What was set aside, of one user or of everybody."""
        elements = await self._in_thread(self._quarantine.all)
        return [element for element in elements if user_id in (None, element.user_id)]

    async def rerun(self, element_id: UUID | None = None) -> int:
        """Put one element that was set aside back into the spool, or all; returns how many lines.

        Raises:
            StoreUnavailable: the disk is full; they stay where they are.
        """
        back = 0
        async with self._replaying:
            for element in await self.set_aside():
                if element_id in (None, element.element_id):
                    try:
                        back += await self._in_thread(self._put_back, element)
                    except OSError as exc:
                        raise StoreUnavailable(_cannot_write(exc)) from exc
        return back

    async def forget(self, user_id: str) -> int:
        """Take a user's turns out of the files that no other process holds, and of what was set aside;
        returns how many.

        Others hold them until they replay, when the erasure makes them void."""
        async with self._replaying:
            return await self._in_thread(self._forget, lambda line: line.user_id == user_id)

    async def forget_turns(self, user_id: str, turn_ids: Collection[UUID]) -> int:
        """The same for some of a user's turns; returns how many.

        In the files of others they are void by their ids.
        """
        names = [str(turn_id).encode() for turn_id in turn_ids]

        def gone(line: Line) -> bool:
            return line.user_id == user_id and any(name in line.raw for name in names)

        async with self._replaying:
            return await self._in_thread(self._forget, gone)

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _replay_file(self, path: Path, record: Record, held: set[str]) -> int:
        own = path == self._own_path
        lock = None if own else await self._in_thread(_lock, path)
        if not own and lock is None:
            return 0  # its owner lives and replays it
        done, seen, left = 0, 0, list[Line]()
        try:
            while not await self._in_thread(self._leave, path, seen, left):
                lines = (await self._in_thread(_read, path))[seen:]
                seen += len(lines)
                for line in lines:
                    if line.turn is not None and await self._is_recorded(line, line.turn, record, held):
                        done += 1
                    elif line.turn is not None:
                        left.append(line)
                left += await self._in_thread(self._put_damaged_aside, lines)
            self.left += len(left)
            return done
        finally:
            if lock is not None:
                lock.close()

    async def _is_recorded(self, line: Line, turn: Turn, record: Record, held: set[str]) -> bool:
        """Whether the turn need not stay: it is recorded, or set aside."""
        if turn.user_id in held:
            return False
        try:
            await record(turn)
            return True
        except UserBusy:
            log.info("spool.user_busy", extra={"turn_id": str(turn.turn_id)})
        except StoreRefused as exc:
            self._tries[turn.turn_id] += 1
            if self._tries[turn.turn_id] >= MOST_TRIES and await self._in_thread(
                self._put_aside, [line], turn.user_id, str(exc), self._tries[turn.turn_id]
            ):
                del self._tries[turn.turn_id]
                return True
        held.add(turn.user_id)
        return False

    def _put_damaged_aside(self, lines: Sequence[Line]) -> list[Line]:
        """Those that could not be put aside."""
        left: list[Line] = []
        damaged = sorted((line for line in lines if line.turn is None), key=_whose_and_why)
        for (user_id, problem), group in groupby(damaged, _whose_and_why):
            same = list(group)
            left += [] if self._put_aside(same, user_id, problem, 0) else same
        return left

    def _put_aside(self, lines: Sequence[Line], user_id: str, reason: str, tries: int) -> bool:
        try:
            self._quarantine.put(b"\n".join(line.raw for line in lines), user_id, reason, tries)
        except OSError as exc:
            log.warning("spool.not_set_aside", extra={"error": type(exc).__name__})
            return False
        log.warning("spool.set_aside", extra={"lines": len(lines), "reason": reason, "tries": tries})
        self.on_set_aside(len(lines))
        return True

    def _append(self, line: bytes, user_id: str) -> None:
        if self._own is None:
            self._own, self._own_path = self._create()
        at = self._own.seek(0, os.SEEK_END)
        try:
            write_durably(self._own, line)
        except OSError:
            self._own.truncate(at)  # a torn line would spoil the next one
            raise
        self._waiting[user_id] += 1

    def _put_back(self, element: SetAside) -> int:
        for line in element.lines:
            self._append(line.raw + b"\n", line.user_id)
        self._quarantine.remove(lambda one: one == element)
        return len(element.lines)

    def _create(self) -> tuple[IO[bytes], Path]:
        """A new file, locked before it bears a name under which others look for orphans."""
        make_folder(self._folder)
        path = self._folder / f"{time.time_ns()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        new = path.with_suffix(".new")
        file = own_file(new, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        fcntl.flock(file, fcntl.LOCK_EX)
        new.rename(path)
        fsync_folder(self._folder)
        return file, path

    def _files(self) -> list[Path]:
        return regular_files(self._folder, ".jsonl")

    def _lines(self) -> list[Line]:
        """Of every file that can be read."""
        lines: list[Line] = []
        for path in self._files():
            try:
                lines += _read(path)
            except OSError as exc:
                self._tell_odd(path, exc)
        return lines

    def _leave(self, path: Path, seen: int, left: Sequence[Line]) -> bool:
        """Leave only these in the file, if it holds no more than was seen; in the spool's thread, so that no
        append comes between."""
        if (count := len(_read(path))) > seen:
            return False
        if not left:
            self._remove(path)
        elif len(left) < count:
            self._move(path, left)
        return True

    def _forget(self, gone: Callable[[Line], bool]) -> int:
        forgotten = 0
        for element in self._quarantine.remove(lambda element: any(map(gone, element.lines))):
            kept = [line for line in element.lines if not gone(line)]
            forgotten += len(element.lines) - len(kept)
            if kept:
                self._put_aside(kept, element.user_id, element.reason, element.tries)
        for path in self._files():
            try:
                forgotten += self._forget_in(path, gone)
            except OSError as exc:
                self._tell_odd(path, exc)
        return forgotten

    def _forget_in(self, path: Path, gone: Callable[[Line], bool]) -> int:
        own = path == self._own_path
        lock = None if own else _lock(path)
        if not own and lock is None:
            return 0  # its owner lives
        try:
            lines = _read(path)
            kept = [line for line in lines if not gone(line)]
            if len(kept) < len(lines):
                self._move(path, kept)
            return len(lines) - len(kept)
        finally:
            if lock is not None:
                lock.close()

    def _move(self, path: Path, kept: Sequence[Line]) -> None:
        """What is kept stands in a new file before the old one goes: a kill in between leaves both, and
        recording twice stores once."""
        rest = self._create() if kept else None
        if rest is not None:
            write_durably(rest[0], b"".join(line.raw + b"\n" for line in kept))
        own = path == self._own_path
        self._remove(path)
        if rest is not None and own:
            self._own, self._own_path = rest
            self._waiting = Counter(line.user_id for line in kept)
        elif rest is not None:
            rest[0].close()

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        if path == self._own_path and self._own is not None:
            self._own.close()
            self._own, self._own_path, self._waiting = None, None, Counter()

    def _tell_odd(self, path: Path, exc: OSError) -> None:
        """Once for each file: it stays, and the others are replayed."""
        if path not in self._odd:
            self._odd.add(path)
            log.warning("spool.file_not_usable", extra={"file": path.name, "reason": exc.strerror})

    def _close(self) -> None:
        if self._own is not None and self._own_path is not None:
            if os.fstat(self._own.fileno()).st_size == 0:
                self._own_path.unlink(missing_ok=True)
            self._own.close()
            self._own, self._own_path = None, None

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args))


def _whose_and_why(line: Line) -> tuple[str, str]:
    return line.user_id, line.problem


def _cannot_write(exc: OSError) -> str:
    return f"The spool cannot be written ({exc.strerror}): free disk space or check its folder's permissions."


def _lock(path: Path) -> IO[bytes] | None:
    try:
        file = own_file(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _read(path: Path) -> list[Line]:
    """All lines of a file; none when it is gone."""
    try:
        with open_own(path, os.O_RDONLY) as file:
            return lines_in(file.read())
    except FileNotFoundError:
        return []
