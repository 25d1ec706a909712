"""Tier 1: the last turns and a short profile of the caller, in process.

No I/O after the call began, under 1 ms.
"""

import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from echoic.memory.recall.fusion import features, joined
from echoic.memory.text.dates.last_day import is_due
from echoic.memory.text.dates.words import speaks_of
from echoic.memory.text.people import shown
from echoic.memory.text.words import terms
from echoic.memory.types import Fact, Item, Turn

TURNS_BEFORE = 40
"""Turns of earlier calls held for a call: some four minutes of talk, 10 kB."""
TURNS_NOW = 200
"""Turns held of this call."""
WEIGHED_BY = "facts"
"""The tier that, when it answers, has weighed the turns and the profile held here."""
PROFILE_FACTS = 8
LATE_ITEMS = 60
MATCHES = 8


class RecentTurns:
    """What one call knows without asking anyone; still there when every store has died."""

    name = "recent"

    def __init__(self) -> None:
        self._before: list[Item] = []
        self._profile: list[Item] = []
        self._now: deque[Item] = deque(maxlen=TURNS_NOW)
        self._late: deque[Item] = deque(maxlen=LATE_ITEMS)
        self._heard = self._answered = False

    def load(
        self,
        before: Sequence[Turn],
        profile: Sequence[Fact],
        now: Sequence[Turn] = (),
        digest: Sequence[Item] = (),
    ) -> None:
        """Take over what was read at the start of the call.

        Args:
            now: turns of this call, if another process began it.
            digest: the most important relations of the caller's graph; they join the profile.
        """
        self._before = [Item.of_turn(turn, self.name) for turn in before]
        self._profile = joined([Item.of_fact(fact, self.name, fact.importance) for fact in profile], digest)
        for turn in now:
            self.add(turn)

    def clear(self) -> None:
        """Forget everything: another person speaks now, or this one was erased."""
        self.__init__()  # type: ignore[misc]

    def add(self, turn: Turn) -> None:
        """A turn of this call, as it is committed."""
        self._answered = self._answered or (self._heard and turn.role == "assistant")
        self._heard = self._heard or turn.role == "user"
        self._now.append(Item.of_turn(turn, self.name))

    def offer(self, items: Iterable[Item]) -> None:
        """What arrived too late for its own question: a candidate for the next ones, scored against their
        words."""
        offered = {item.id: item for item in items}
        self._late = deque(
            (*(item for item in self._late if item.id not in offered), *offered.values()), maxlen=LATE_ITEMS
        )

    def remove(self, ids: Collection[UUID]) -> None:
        """Forget these turns and facts, as if they had never been said, and every relation: which ones they
        gave is known elsewhere."""
        self._before = _without(ids, self._before)
        self._profile = _without(ids, self._profile)
        self._now = deque(_without(ids, self._now), maxlen=TURNS_NOW)
        self._late = deque(_without(ids, self._late), maxlen=LATE_ITEMS)

    def leave_out(self, turn_id: UUID) -> None:
        """A turn of this call that is kept nowhere."""
        self._now = deque((item for item in self._now if item.id != turn_id), maxlen=TURNS_NOW)
        self._late = deque((item for item in self._late if item.id != turn_id), maxlen=LATE_ITEMS)

    @property
    def now(self) -> tuple[Item, ...]:
        """The turns of this call, oldest first."""
        return tuple(self._now)

    @property
    def profile(self) -> tuple[Item, ...]:
        """The most important live facts and relations, most important first."""
        return tuple(self._profile)

    def due(self, now: datetime) -> tuple[Item, ...]:
        """Promises for which the time has come, until the caller's first words of this call are answered."""
        if self._answered:
            return ()
        return tuple(item for item in self._profile if is_due(item, now))

    @property
    def last_call(self) -> tuple[Item, ...]:
        """The turns before this call, newest first."""
        return tuple(reversed(self._before))

    @property
    def known(self) -> bool:
        """Was this caller here before?"""
        return bool(self._before or self._profile)

    def search(
        self,
        text: str,
        context: Collection[UUID] = frozenset(),
        *,
        answered: Collection[str] = (),
        now: datetime | None = None,
    ) -> list[Item]:
        """The held items that share rare words with `text`, best first; those in `context` are left out.

        Args:
            answered: tiers that have answered this question, and so have weighed what is held here of theirs.
            now: what had ended by then is left out, unless the words ask about the past.
        """
        held = [item for item in (*self._late, *self._profile) if _weighers(item).isdisjoint(answered)]
        if WEIGHED_BY not in answered:
            held += (*self._before, *self._now)
        now, past = now or datetime.now(UTC), speaks_of("past", text)
        pool = {
            item.id: item for item in held if item.id not in context and (past or not _has_ended(item, now))
        }
        asked = set(terms(text))
        if not asked or not pool:
            return []
        words = {key: features(shown(item.text, item.about))[1] for key, item in pool.items()}
        rarity = {
            term: math.log1p(len(pool) / (1 + sum(term in found for found in words.values())))
            for term in asked
        }
        scored = [
            (sum(rarity[term] for term in asked if term in words[key]), item) for key, item in pool.items()
        ]
        best = sorted(
            (pair for pair in scored if pair[0] > 0),
            key=lambda pair: (pair[0], pair[1].said_at),
            reverse=True,
        )
        return [replace(item, score=score) for score, item in best[:MATCHES]]


def _without(ids: Collection[UUID], items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.id not in ids and item.kind != "relation"]


def _weighers(item: Item) -> set[str]:
    """The tiers that would find it if they were asked."""
    return {WEIGHED_BY if tier == RecentTurns.name else tier for tier in item.tier.split("+")}


def _has_ended(item: Item, now: datetime) -> bool:
    return item.valid_until is not None and item.valid_until <= now
