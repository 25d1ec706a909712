"""One way for a turn to become durable: its row committed, or its line in the spool fsynced."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from uuid import UUID

from echoic.memory.clock import Clock
from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import (
    MemoryFault,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
    TurnVoid,
)
from echoic.memory.observe.metrics import Stored, count_turn, metrics
from echoic.memory.store.spool import Spool, UserBusy
from echoic.memory.store.turns import TurnStore
from echoic.memory.types import Turn

log = logging.getLogger("echoic.recorder")
PATIENCE_S = 0.5  # a healthy commit takes 1-5 ms; past this the spool (2 ms) is the faster promise
RETRY_S = (0.5, 1.0, 2.0, 5.0)
RERUN_S = 15.0
EMBED_TIMEOUT_S = 30.0
EMBED_AT_ONCE = 4
"""So that a conversation told as a whole does not fill the queue in which edits of other people wait."""
EMBED_AFTER_S = 1.0
"""The first sound of a reply comes before the vector of what it answers, which takes 10-20 ms of a processor.

Until then the turn is found by its words, and the model sees it anyway."""


class Recorder:
    """Records the turns of each user in order.

    While turns of a user wait in the spool, new ones join them there, so that none overtakes another; while
    Postgres is down, everybody's do.
    """

    def __init__(
        self,
        turns: TurnStore,
        spool: Spool,
        *,
        on_embedded: Callable[[Turn, Vector], None] = lambda turn, vector: None,
        clock: Clock | None = None,
    ) -> None:
        """`on_embedded` is called with each recorded turn and its vector; `clock` is the database's."""
        self._turns, self._spool, self._on_embedded = turns, spool, on_embedded
        self._clock = clock or Clock()
        spool.on_set_aside = lambda lines: metrics().set_aside.inc(lines)
        self._one_at_a_time, self._embedding = asyncio.Lock(), asyncio.Semaphore(EMBED_AT_ONCE)
        self._tasks: set[asyncio.Task] = set()
        self._replaying: asyncio.Task | None = None
        self._closing = asyncio.Event()
        self.watchers: list[Callable[[Turn, Stored], None]] = []
        """Called with each turn and where it became durable."""
        self.spooled = 0
        """Turns that went to the spool since start."""
        self.is_away = False
        """Postgres did not answer when it was last given something."""

    async def record(self, turn: Turn) -> bool:
        """Return when the turn is durable: True for its row, False for the spool.

        Raises:
            StoreUnavailable: neither Postgres nor the spool could take it.
            TurnVoid: its person was erased since, or had said no: it is kept nowhere.
        """
        turn = self._clock.timed(turn)
        async with self._one_at_a_time:
            waits = self.is_away or self._spool.holds(turn.user_id)
            if not waits and await self._committed(turn):
                self._hold(self._embed(turn, EMBED_AFTER_S), "recorder.embed")
                self._tell(turn, "row")
                return True
            try:
                await self._spool.append(turn)
            except StoreUnavailable:
                self._tell(turn, "none")
                raise
        self.spooled += 1
        self._tell(turn, "spool")
        self.replay_soon()
        return False

    async def rerun_set_aside(self, element_id: UUID | None = None) -> int:
        """Try again what was set aside, one element or all; returns how many lines, once they were tried.

        Raises:
            StoreUnavailable: the disk took them not; they stay where they are.
        """
        lines = await self._spool.rerun(element_id)
        self.replay_soon()
        if self._replaying is not None:
            await asyncio.wait({self._replaying}, timeout=RERUN_S)
        return lines

    def replay_soon(self) -> None:
        """Replay this process's spool, and those that dead processes left, as soon as Postgres answers."""
        if self._replaying is None or self._replaying.done():
            self._replaying = self._hold(self._replay(), "recorder.replay")

    async def wait_replayed(self) -> None:
        """Give the turns that an earlier process could not store a moment to get into the database, before it
        is read."""
        self.replay_soon()
        if self._replaying is not None:
            await asyncio.wait({self._replaying}, timeout=PATIENCE_S)

    async def close(self) -> None:
        """Give the replay and the embedding one last moment, then leave: what is spooled is replayed at the
        next start."""
        self._closing.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE_S)
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _tell(self, turn: Turn, stored: Stored) -> None:
        count_turn(turn.role, stored)
        for watcher in self.watchers:
            watcher(turn, stored)

    async def _committed(self, turn: Turn) -> bool:
        try:
            kept = await self._turns.record(turn, timeout_s=PATIENCE_S) or await self._turns.stands(turn)
            refused = not kept and await self._turns.was_refused(turn)
        except Exception as exc:  # whatever the store says, the turn is kept
            self.is_away = isinstance(exc, StoreUnavailable)
            log.warning("turn.spooled", extra={"turn_id": str(turn.turn_id), "error": type(exc).__name__})
            return False
        if not kept:
            self._tell(turn, "void")
            raise TurnVoid(refused=refused)
        return True

    async def _embed(self, turn: Turn, after_s: float = 0.0) -> None:
        """Best effort: what fails here is embedded by the sweeper, and until then found by its words."""
        with suppress(TimeoutError):
            async with asyncio.timeout(after_s):
                await self._closing.wait()
        try:
            async with asyncio.timeout(EMBED_TIMEOUT_S), self._embedding:
                self._on_embedded(turn, await self._turns.embed_turn(turn))
        except (MemoryFault, TimeoutError) as exc:
            log.info("turn.not_embedded", extra={"turn_id": str(turn.turn_id), "error": type(exc).__name__})

    async def _replay(self) -> None:
        for attempt in range(10**9):
            try:
                if count := await self._spool.replay(self._record_late):
                    log.info("spool.replayed", extra={"turns": count})
                self.is_away = False
                if not self._spool.waiting and not self._spool.left:
                    return
            except MemoryFault as exc:
                log.info("spool.waits", extra={"error": type(exc).__name__})
            except Exception as exc:
                log.error("spool.defect", exc_info=exc)
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])

    async def _record_late(self, turn: Turn) -> None:
        """Record a turn of the spool.

        Raises:
            StoreRefused, UserBusy: this turn is at fault, or this user is busy; the store takes others.
            StoreUnavailable, SchemaMismatch: the store takes none.
        """
        try:
            await self._turns.record(turn)
        except Exception as exc:
            if isinstance(exc, StoreUnavailable) and not isinstance(exc, StoreTimeout):
                raise
            if not await self._takes_others(turn.user_id):
                raise UserBusy from exc
            raise StoreRefused(_reason(exc)) from exc
        metrics().replayed.inc()
        self._hold(self._embed(self._clock.timed(turn)), "recorder.embed")

    async def _takes_others(self, user_id: str) -> bool:
        try:
            return await self._turns.takes_others(user_id)
        except StoreRefused as exc:  # damaged, say: then no turn is at fault
            raise StoreUnavailable(str(exc)) from exc

    def _hold(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _reason(exc: Exception) -> str:
    """Why a turn does not get in, in words that are nobody's."""
    if isinstance(exc, StoreTimeout):
        return "Postgres needs longer for it than its limit"
    return str(exc) if isinstance(exc, MemoryFault) else f"it cannot be stored ({type(exc).__name__})"
