"""A question to memory while it is being answered: what is asked, of whom, and what has come of it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from echoic.memory.breaker import CallerBreaker
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.text.dates.words import speaks_of
from echoic.memory.types import Caller, Item, TierResult


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every tier: the words, for whom, and one vector that all tiers share."""

    caller: Caller
    text: str
    vector: QueryVector
    now: datetime
    """What has ended by then is over."""

    @property
    def past(self) -> bool:
        """Whether what is no longer true is asked for too."""
        return speaks_of("past", self.text)


class Tier(Protocol):
    """A store that can be asked. It answers best first, and raises a MemoryFault when it cannot."""

    name: str

    async def search(self, question: Question) -> Sequence[Item]: ...


Composed = tuple[str, tuple[Item, ...]]
"""A block, and the items in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ingredients:
    """What a block was made of: of the context, what the items have in common with it."""

    items: Sequence[Item]
    context: Collection[UUID]
    timezone: str

    def make_the_same(self, other: "Ingredients") -> bool:
        """Whether both give one block. Looked at only where there is one already: it takes 0.1 ms."""
        return self._key() == other._key()

    def _key(self) -> tuple[list[UUID], set[UUID], str]:
        said = {turn_id for item in self.items for turn_id in item.turn_ids}
        return [item.id for item in self.items], said.intersection(self.context), self.timezone


@dataclass(slots=True)
class TierLookup:
    """One tier being asked one question; shared by everyone who asks the same."""

    task: asyncio.Task[Sequence[Item]] | None
    started: float
    breaker: CallerBreaker | None = None
    """What its outcome is told; None: it asks no store."""
    ended: float | None = None
    counted_late: bool = False
    is_probe: bool = False
    """Nobody waits for it: it only tries whether an extra tier that failed is back, and has the whole budget
    for that."""

    @property
    def error(self) -> BaseException | None:
        if self.task is None or not self.task.done():
            return None
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    def count(self, budget_s: float) -> None:
        """Tell the breaker how it ended, unless it was told that it is late; a probe may be too."""
        if self.breaker is None or self.task is None or self.ended is None:
            return
        if self.task.cancelled():
            self.breaker.forget_trial()
        elif self.counted_late and not self.is_probe:
            return
        elif self.error:
            self.breaker.failed()
        elif self.is_probe and self.ended - self.started > budget_s:
            self.breaker.late()
        else:
            self.breaker.succeeded()

    def result(self, now: float) -> TierResult:
        """What a reply gets of it now; that it is late counts once."""
        if self.task is None:
            return TierResult("skipped")
        elapsed_ms = round(((self.ended or now) - self.started) * 1000, 3)
        if not self.task.done():
            if self.breaker is not None and not self.counted_late and not self.is_probe:
                self.breaker.late()
            self.counted_late = True
            return TierResult("late", (), elapsed_ms)
        if self.error:
            return TierResult("failed", (), elapsed_ms)
        items = tuple(self.task.result())
        return TierResult("ok" if items else "empty", items, elapsed_ms)


@dataclass(slots=True)
class PendingRecall:
    """One question and its lookups, by tier; a tier that the breaker held back has no task."""

    lookups: dict[str, TierLookup]
    vector: QueryVector
    at: float
    claimed: Literal["hit", "late"] | None = None
    """What the first `recall` for these words met: every answer there, or still under way. None: nobody has
    asked yet."""
    claimed_at: float = 0.0
    composed: tuple[Ingredients, Composed] | None = None
    """The block, made when the lookups ended, and what it was made of."""

    @property
    def took_s(self) -> float | None:
        """How long a reply would have waited for it; None: it is under way, or was given up."""
        tasks = [lookup.task for lookup in self.lookups.values() if lookup.task is not None]
        if not all(task.done() and not task.cancelled() for task in tasks):
            return None
        return max(
            (one.ended - self.at for one in self.lookups.values() if one.ended and not one.is_probe),
            default=None,
        )

    @property
    def running(self) -> bool:
        """Is any tier still being asked that a reply would wait for?"""
        return any(
            lookup.task is not None and not lookup.task.done() and not lookup.is_probe
            for lookup in self.lookups.values()
        )
