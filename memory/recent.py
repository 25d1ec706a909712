"""Tier 1: the last turns and a short profile of the caller, in process. No I/O after the call began, under 1 ms."""

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from memory.types import Fact, Item, Turn
from memory.words import terms

TURNS_BEFORE = 40
"""Turns of earlier calls held for a call: some four minutes of talk, 10 kB."""
TURNS_NOW = 200
"""Turns held of this call."""
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
        self._terms: dict[UUID, Counter[str]] = {}

    def load(self, before: Sequence[Turn], profile: Sequence[Fact], now: Sequence[Turn] = ()) -> None:
        """Take over what was read at the start of the call; `now` if another process began it."""
        self._before = [_turn_item(turn) for turn in before]
        self._profile = [_fact_item(fact) for fact in profile]
        for turn in now:
            self.add(turn)

    def clear(self) -> None:
        """Forget everything: another person speaks now, or this one was erased."""
        self.__init__()  # type: ignore[misc]

    def add(self, turn: Turn) -> None:
        """A turn of this call, as it is committed."""
        self._now.append(_turn_item(turn))

    def offer(self, items: Iterable[Item]) -> None:
        """What arrived too late for its own question: a candidate for the next ones, scored against their words."""
        self._late.extend(items)

    def remove(self, ids: Collection[UUID]) -> None:
        """Forget these turns and facts, as if they had never been said."""
        self._before = [item for item in self._before if item.id not in ids]
        self._profile = [item for item in self._profile if item.id not in ids]
        self._now = deque((item for item in self._now if item.id not in ids), maxlen=TURNS_NOW)
        self._late = deque((item for item in self._late if item.id not in ids), maxlen=LATE_ITEMS)
        self._terms.clear()

    @property
    def now(self) -> tuple[Item, ...]:
        """The turns of this call, oldest first."""
        return tuple(self._now)

    @property
    def profile(self) -> tuple[Item, ...]:
        """The most important live facts, most important first."""
        return tuple(self._profile)

    @property
    def last_call(self) -> tuple[Item, ...]:
        """The turns before this call, newest first."""
        return tuple(reversed(self._before))

    @property
    def known(self) -> bool:
        """Was this caller here before?"""
        return bool(self._before or self._profile)

    def search(self, text: str, context: Collection[UUID] = frozenset()) -> list[Item]:
        """The held items that share rare words with `text`, best first; those in `context` are left out."""
        pool = {item.id: item for item in (*self._before, *self._now, *self._late, *self._profile) if item.id not in context}
        asked = set(terms(text))
        if not asked or not pool:
            return []
        words = {key: self._terms_of(item) for key, item in pool.items()}
        rarity = {term: math.log1p(len(pool) / (1 + sum(term in found for found in words.values()))) for term in asked}
        scored = [(sum(rarity[term] for term in asked if term in words[key]), item) for key, item in pool.items()]
        best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (pair[0], pair[1].said_at), reverse=True)
        return [replace(item, score=score) for score, item in best[:MATCHES]]

    def _terms_of(self, item: Item) -> Counter[str]:
        if item.id not in self._terms:
            if len(self._terms) > 2 * (TURNS_NOW + TURNS_BEFORE + LATE_ITEMS):
                self._terms.clear()
            self._terms[item.id] = Counter(terms(item.text))
        return self._terms[item.id]


def _turn_item(turn: Turn) -> Item:
    return Item(
        kind="turn",
        id=turn.turn_id,
        text=turn.text,
        said_at=turn.said_at,
        role=turn.role,
        interrupted=turn.interrupted,
        turn_ids=(turn.turn_id,),
        tier=RecentTurns.name,
    )


def _fact_item(fact: Fact) -> Item:
    return Item(
        kind="fact",
        id=fact.fact_id,
        text=fact.text,
        said_at=fact.said_at,
        score=fact.importance,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        turn_ids=fact.turn_ids,
        tier=RecentTurns.name,
    )
