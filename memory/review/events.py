"""What happens in memory, in order, as the database's triggers note it: read from a place on, and heard.

A place is `xid-number`. Events of a transaction are given once no older transaction can still commit, so
whoever reads on from a place misses none.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from echoic.memory.errors import MemoryFault
from echoic.memory.store.database import Database
from echoic.memory.store.queries import query

log = logging.getLogger("echoic.events")
CHANNEL = "echoic_events"
KEPT_S = 24 * 3600.0
"""How long one may stay away and still read on without a gap."""
PAGE = 500
SETTLE_S = 0.02  # a writer's transaction takes a few milliseconds
RECONNECT_S, PING_S = 1.0, 5.0
FORGET_EVERY_S = 600.0

Place = tuple[str, int]
BEGINNING: Place = ("0", 0)
Hashes = frozenset[str]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ids and counts, no words."""

    place: Place
    at: datetime
    user_id: str | None
    """None: of a person who was erased."""
    user_hash: str
    kind: str
    data: dict[str, Any]

    @property
    def event_id(self) -> str:
        return f"{self.place[0]}-{self.place[1]}"


def order(place: Place) -> tuple[int, int]:
    """For comparing two places."""
    return int(place[0]), place[1]


async def events_after(
    db: Database, place: Place, *, user_hashes: Hashes | None = None, limit: int = PAGE
) -> list[Event]:
    """The next events after a place, of one person or of all.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    rows = await db.run(
        lambda connection: connection.fetch(query("events_after"), user_hashes, *place, limit)
    )
    return [
        Event(
            (row["xid"], row["event_id"]),
            row["at"],
            row["user_id"],
            row["user_hash"],
            row["kind"],
            json.loads(row["data"]),
        )
        for row in rows
    ]


async def last_place(db: Database) -> Place:
    """Where to begin for whoever wants only what comes."""
    row = await db.run(lambda connection: connection.fetchrow(query("events_end")))
    return BEGINNING if row is None else (row["xid"], row["event_id"])


async def hashes_of(db: Database, user_id: str) -> Hashes:
    """The names of a person's ids that outlive their erasure."""
    return frozenset(await db.run(lambda connection: connection.fetchval(query("hashes_of"), user_id)))


class EventFeed:
    """Listens once for a process, and hands each event to everyone who asked."""

    def __init__(self, db: Database, *, kept_s: float = KEPT_S) -> None:
        self._db, self._kept_s = db, kept_s
        self._place: Place | None = None
        self._hands: set[Callable[[Event], None]] = set()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(work(), name=f"events.{work.__name__.strip('_')}")
            for work in (self._listen, self._read, self._forget_old)
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def subscribe(self, hand: Callable[[Event], None]) -> Callable[[], None]:
        """Call `hand` with every event from now on; what is returned ends it.

        Raises:
            StoreUnavailable: Postgres does not answer.
        """
        await self._find_place()
        self._hands.add(hand)
        return lambda: self._hands.discard(hand)

    async def _listen(self) -> None:
        while True:
            try:
                async with self._db.dedicated() as connection:
                    await connection.add_listener(CHANNEL, lambda *_: self._news.set())
                    self._news.set()  # what came while nobody listened
                    await _until_lost(connection)
            except (MemoryFault, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
                log.info("events.deaf", extra={"error": type(exc).__name__})
            await asyncio.sleep(RECONNECT_S)

    async def _read(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self._hand_on()
            except MemoryFault as exc:
                log.info("events.not_read", extra={"error": type(exc).__name__})
                await asyncio.sleep(RECONNECT_S)
                self._news.set()

    async def _hand_on(self) -> None:
        place = await self._find_place()
        # asked first: what is settled at the next look was told of before it, or will be after
        pending = await self._db.run(lambda connection: connection.fetchval(query("events_pending")))
        while found := await events_after(self._db, place):
            self._place = place = found[-1].place
            for event in found:
                for hand in list(self._hands):
                    hand(event)
        if pending:
            await asyncio.sleep(SETTLE_S)
            self._news.set()

    async def _find_place(self) -> Place:
        """Where to read on. Whoever subscribes finds it as well: what happens between that moment and the
        first look would be told to nobody."""
        if self._place is None:
            found = await last_place(self._db)
            self._place = self._place or found
        return self._place

    async def _forget_old(self) -> None:
        while True:
            with suppress(MemoryFault):
                await self._db.run(
                    lambda connection: connection.execute(query("forget_events"), self._kept_s)
                )
            await asyncio.sleep(FORGET_EVERY_S)


async def _until_lost(connection: asyncpg.Connection) -> None:
    """Return when the connection is gone, also when nobody says so."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while not lost.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_S):
                await lost.wait()
        if not lost.is_set():
            async with asyncio.timeout(PING_S):
                await connection.execute("select 1")
