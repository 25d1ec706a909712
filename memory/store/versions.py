"""How often each user's memory has changed, heard from Postgres, so that no remembered answer is stale."""

import asyncio
import hashlib
import itertools
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from uuid import UUID

import asyncpg

from echoic.memory.errors import MemoryFault
from echoic.memory.store.database import Database
from echoic.memory.types import Caller, CallKey

log = logging.getLogger("echoic.versions")
CHANNEL = "echoic_memory"
RECONNECT_S = 1.0
PING_S = 5.0
Version = tuple[int, int, int]
"""For comparing with another of the same call."""


class Versions:
    """A number for each user that rises with each change made outside the calls that run in this process.

    While the notices of Postgres cannot be heard, a user has one number for the whole outage: what was looked
    up before it is old, and what is looked up in it serves the same words. With a number for each question no
    prefetch was ever adopted, and a turn took 10 to 70 ms longer.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._calls: Counter[CallKey] = Counter()
        """Calls that this process holds, and how often."""
        self._raised: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """User -> call of theirs, or "" for everything else -> changes."""
        self._epoch = itertools.count(1)
        self._era = 0
        self._salt: str | None = None
        self._heard = asyncio.Event()
        self._task: asyncio.Task | None = None

        self.on_changed: Callable[[str], None] = lambda user_id: None
        """Called with each user whose memory has changed, and after a silence with all of them."""
        self.on_erased: Callable[[str], None] = lambda user_id: None
        """Called with the id of a person who was erased."""
        self.on_forgotten: Callable[[str, Collection[UUID]], None] = lambda user_id, ids: None
        """Called with a person and the ids of turns and facts that they had forgotten, by whatever process.
        """
        self.on_unlinked: Callable[[str], None] = lambda user_id: None
        """Called with an id whose person has lost one of theirs."""
        self.on_reconnect: Callable[[], Awaitable[None]] = _nothing_missed
        """Awaited when notices are heard again: an erasure may have been missed."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name="versions.listen")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def hears(self) -> bool:
        """Are the notices of Postgres heard right now?"""
        return self._salt is not None

    async def wait_heard(self) -> None:
        """Return once notices are heard."""
        await self._heard.wait()

    def ignore_changes_from(self, caller: Caller) -> None:
        """This process holds the call: notices about all ids of its caller count from now on, its own turns
        excepted (they are in its context)."""
        self._calls[caller.key] += 1

    def watch_changes_from(self, caller: Caller) -> None:
        """The process holds the call no longer."""
        self._calls[caller.key] -= 1
        self._calls = +self._calls
        for user_id in set(caller.ids) - self._followed:
            self._raised.pop(user_id, None)

    def of(self, caller: Caller) -> Version:
        """The version of the caller's memory as seen from their call; compare for equality only."""
        if caller.key not in self._calls:
            return next(self._epoch), 0, 0
        changes = sum(self._raised[one].total() for one in caller.ids)
        return 0 if self.hears else -1, self._era, changes - self._raised[caller.user_id][caller.call_id]

    def hash_of(self, user_id: str) -> str:
        """The name of a user in notices and tombstones: salted by the database."""
        return hashlib.sha256(f"{self._salt}{user_id}".encode()).hexdigest()

    def heard(self, payload: str) -> None:
        """One notice: {"user": hash, "call": id of the call whose turn it was, or empty, "erased": bool,
        "gone": ids,
        "unlinked": bool}."""
        notice = json.loads(payload)
        for user_id in self._followed:
            if self.hash_of(user_id) == notice["user"]:
                is_held = any((ids[0], call) == (user_id, notice["call"]) for ids, _, call in self._calls)
                self._raised[user_id][notice["call"] if is_held else ""] += 1
                if notice.get("erased"):
                    self.on_erased(user_id)
                if gone := notice.get("gone"):
                    self.on_forgotten(user_id, frozenset(map(UUID, gone)))
                if notice.get("unlinked"):
                    self.on_unlinked(user_id)
                self.on_changed(user_id)

    @property
    def _followed(self) -> set[str]:
        return {user_id for ids, *_ in self._calls for user_id in ids}

    async def _listen(self) -> None:
        while True:
            try:
                async with self._db.dedicated() as connection:
                    await self._hear(connection)
            except (MemoryFault, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
                log.info("versions.deaf", extra={"error": type(exc).__name__})
            self._salt = None
            self._heard.clear()
            await asyncio.sleep(RECONNECT_S)

    async def _hear(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(CHANNEL, lambda _c, _pid, _channel, payload: self.heard(payload))
        salt = await connection.fetchval("select value from settings where key = 'salt'", timeout=PING_S)
        self._era += 1  # notices sent while nobody listened are lost: whatever was looked up before is old
        self._salt = salt
        self._heard.set()
        await self.on_reconnect()
        for user_id in self._followed:
            self.on_changed(user_id)
        while not connection.is_closed():
            await asyncio.sleep(PING_S)
            async with asyncio.timeout(PING_S):
                await connection.execute("select 1")


async def _nothing_missed() -> None:
    """The default of `on_gap`."""
