"""Turns that Postgres could not take, in fsynced local files, until it can: in order, once.

One file a process, one JSON object a line, each with a checksum; the owner holds a lock on its file, so that
another process replays it only after the owner is gone.
"""

import asyncio
import errno
import fcntl
import json
import logging
import os
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TypeVar
from uuid import UUID

from echoic.memory.errors import StoreUnavailable
from echoic.memory.types import Turn

log = logging.getLogger("echoic.spool")
T = TypeVar("T")
Record = Callable[[Turn], Awaitable[object]]


class Spool:
    """The spool folder, with this process's own file in it.

    Blocking file work runs in one thread, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: IO[bytes] | None = None
        self._own_path: Path | None = None
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._replaying = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Turns in this process's file that Postgres does not have yet."""
        return self._waiting

    async def append(self, turn: Turn) -> None:
        """Return once the turn is on the disk (fsync of the file, and of the folder when it is new).

        Raises:
            StoreUnavailable: the disk is full or the folder not writable.
        """
        try:
            await self._in_thread(self._append, turn)
        except OSError as exc:
            raise StoreUnavailable(
                f"The spool cannot be written ({exc.strerror}): free disk space or check its folder's "
                "permissions."
            ) from exc

    async def replay(self, record: Record) -> int:
        """Hand every spooled turn, own and orphaned, to `record`, in order; returns how many.

        A file goes when all of it is recorded.

        Raises:
            StoreUnavailable: from `record`; what is not recorded stays. Recording a turn again is harmless
                (its id is the same).
        """
        async with self._replaying:
            done = 0
            for path in await self._in_thread(self._files):
                done += await self._replay_file(path, record)
            return done

    async def of_user(self, user_id: str) -> list[Turn]:
        """Spooled turns of one user, of every process."""
        paths = await self._in_thread(self._files)
        return [
            turn for path in paths for turn in await self._in_thread(_read, path) if turn.user_id == user_id
        ]

    async def forget(self, user_id: str) -> int:
        """Take a user's turns out of the files that no other process holds; returns how many.

        Others hold them until they replay, when the erasure makes them void."""
        async with self._replaying:
            return await self._in_thread(self._forget, lambda turn: turn.user_id == user_id)

    async def forget_turns(self, user_id: str, turn_ids: Collection[UUID]) -> int:
        """The same for some of a user's turns; returns how many.

        In the files of others they are void by their ids.
        """
        async with self._replaying:
            return await self._in_thread(
                self._forget, lambda turn: turn.user_id == user_id and turn.turn_id in turn_ids
            )

    async def close(self) -> None:
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _replay_file(self, path: Path, record: Record) -> int:
        own = path == self._own_path
        held = None if own else await self._in_thread(_lock, path)
        if not own and held is None:
            return 0  # its owner lives and replays it
        try:
            done = 0
            while not await self._in_thread(self._remove_when, path, own, done):
                for turn in (await self._in_thread(_read, path))[done:]:
                    await record(turn)
                    done += 1
            return done
        finally:
            if held is not None:
                held.close()

    def _append(self, turn: Turn) -> None:
        if self._own is None:
            self._own, self._own_path = self._create()
        at = self._own.seek(0, os.SEEK_END)
        try:
            _write_durably(self._own, _line(turn))
        except OSError:
            self._own.truncate(at)  # a torn line would spoil the next one
            raise
        self._waiting += 1

    def _create(self) -> tuple[IO[bytes], Path]:
        """A new file, locked before it bears a name under which others look for orphans."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{time.time_ns()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        new = path.with_suffix(".new")
        os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        file = open(new, "r+b", buffering=0)  # noqa: SIM115 - held until close
        fcntl.flock(file, fcntl.LOCK_EX)
        new.rename(path)
        _fsync_folder(self._folder)
        return file, path

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))

    def _remove_when(self, path: Path, own: bool, done: int) -> bool:
        """Remove the file if `done` turns are all it holds; in the spool's thread, so that no append comes
        between."""
        if len(_read(path)) > done:
            return False
        path.unlink(missing_ok=True)
        if own and self._own is not None:
            self._own.close()
            self._own, self._own_path, self._waiting = None, None, 0
        return True

    def _forget(self, gone: Callable[[Turn], bool]) -> int:
        return sum(self._forget_in(path, gone) for path in self._files())

    def _forget_in(self, path: Path, gone: Callable[[Turn], bool]) -> int:
        own = path == self._own_path
        held = self._own if own else _lock(path)
        if held is None:
            return 0  # its owner lives
        turns = _read(path)
        kept = [turn for turn in turns if not gone(turn)]
        if len(kept) == len(turns):
            if not own:
                held.close()
            return 0
        rest = self._moved(path, held, kept)
        if own:
            self._own, self._own_path = rest
            self._waiting = len(kept)
        elif rest[0] is not None:
            rest[0].close()
        return len(turns) - len(kept)

    def _moved(
        self, path: Path, held: IO[bytes], kept: list[Turn]
    ) -> tuple[IO[bytes], Path] | tuple[None, None]:
        """What is kept stands in a new file before the old one goes: a kill in between leaves both, and
        recording twice stores once."""
        rest = self._create() if kept else (None, None)
        if rest[0] is not None:
            _write_durably(rest[0], b"".join(map(_line, kept)))
        path.unlink(missing_ok=True)
        held.close()
        return rest

    def _close(self) -> None:
        if self._own is not None and self._own_path is not None:
            if os.fstat(self._own.fileno()).st_size == 0:
                self._own_path.unlink(missing_ok=True)
            self._own.close()
            self._own, self._own_path = None, None

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args))


def _lock(path: Path) -> IO[bytes] | None:
    try:
        file = open(path, "r+b")  # noqa: SIM115 - the lock lives as long as the file is open
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _write_durably(file: IO[bytes], content: bytes) -> None:
    if file.write(content) != len(content):  # an unbuffered file writes as much as fits, and does not raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file.fileno())


def _line(turn: Turn) -> bytes:
    fields = asdict(turn) | {"turn_id": str(turn.turn_id), "said_at": turn.said_at.isoformat()}
    body = json.dumps(fields, ensure_ascii=True)
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def _read(path: Path) -> list[Turn]:
    """The whole lines of a file.

    A torn last line was never acknowledged; any other bad line is counted and left out.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    turns = list(_turns(lines))
    if len(turns) < len(lines):
        log.warning("spool.bad_lines", extra={"lines": len(lines) - len(turns)})
    return turns


def _turns(lines: list[bytes]) -> Iterator[Turn]:
    for line in lines:
        crc, _, body = line.partition(b" ")
        if crc == b"%08x" % zlib.crc32(body):
            fields = json.loads(body)
            yield Turn(
                **fields
                | {"turn_id": UUID(fields["turn_id"]), "said_at": datetime.fromisoformat(fields["said_at"])}
            )


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
