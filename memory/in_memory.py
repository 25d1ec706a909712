"""Memory without any store: the same contract in one process, for tests and for a session without a database.

What is said is ranked as in Postgres, by words alone. Nothing is learned from it by itself.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.recall.pending import Question
from echoic.memory.recall.ranking import SOURCES, Corpus, Postings, Ranking
from echoic.memory.recall.recaller import Recaller
from echoic.memory.service import Memory
from echoic.memory.store.consent import Consent
from echoic.memory.store.turns import counted
from echoic.memory.text.dates.days import asked_days, day_terms, stored_terms
from echoic.memory.text.dates.last_day import is_due
from echoic.memory.text.people import shown
from echoic.memory.text.words import terms
from echoic.memory.types import FACTS_TIER, Caller, Fact, ForgetRequest, Forgotten, Item, Turn

FOUND = 40

Turns = list[Turn]  # inside the classes, `list` is a method
Facts = list[Fact]


def _in_order(turns: Collection[Turn]) -> list[Turn]:
    """By call, as they began, and within a call by position."""
    began: dict[str, datetime] = {}
    for turn in turns:
        began[turn.call_id] = min(turn.said_at, began.get(turn.call_id, turn.said_at))
    return sorted(turns, key=lambda turn: (began[turn.call_id], turn.call_id, turn.position))


@dataclass(slots=True)
class Rows:
    """Everything that is known, and how often it has changed."""

    turns: dict[UUID, Turn] = field(default_factory=dict)
    facts: dict[UUID, Fact] = field(default_factory=dict)
    consents: dict[str, Consent] = field(default_factory=dict)
    changes: int = 0

    def turns_of(self, caller: Caller) -> list[Turn]:
        """What this person and this agent said to each other, oldest first."""
        whose = caller.user_id, caller.agent_id
        found = [turn for turn in self.turns.values() if (turn.user_id, turn.agent_id) == whose]
        return _in_order(found)

    def facts_of(self, caller: Caller, now: datetime, *, ended_too: bool = False) -> list[Fact]:
        """What this agent may see of what is known about this person."""
        return [
            fact
            for fact in self.facts.values()
            if fact.user_id == caller.user_id
            and (fact.scope == "user" or fact.agent_id == caller.agent_id)
            and (ended_too or fact.valid_until is None or fact.valid_until > now)
        ]


class InMemory(Memory):
    """The memory of one process, for as long as it lives; made by `open_in_memory`."""

    __slots__ = ("rows",)
    rows: Rows

    async def learn(self, user_id: str, text: str, **about: Any) -> Fact:
        """Know a fact from now on, as if a worker had learned it.

        Args:
            about: fields of `Fact`, such as `topic`, `scope`, `agent_id`, `valid_until`.
        """
        known: dict[str, Any] = {"topic": "person", "importance": 0.5, "scope": "user"}
        known |= {"agent_id": self.settings.agent_id, "said_at": self.now()} | about
        return await cast(InMemoryFacts, self.facts).keep(Fact(UUID(int=0), user_id, text, **known))

    def erase(self, user_id: str) -> None:
        """Everything about one person is gone."""
        for held in (self.rows.turns, self.rows.facts):
            for key in [key for key, row in held.items() if row.user_id == user_id]:
                del held[key]
        self.rows.consents.pop(user_id, None)
        self.rows.changes += 1
        self.forget_erased(user_id)


class InMemoryTurns:
    """As `TurnStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def record(self, turn: Turn, *, timeout_s: float | None = None) -> bool:
        if turn.turn_id in self._rows.turns:
            return False
        self._rows.turns[turn.turn_id] = turn
        return True

    async def list(self, user_id: str) -> Turns:
        mine = [turn for turn in self._rows.turns.values() if turn.user_id == user_id]
        return _in_order(mine)

    async def naming(self, caller: Caller, pattern: str | None) -> Turns:
        return self._rows.turns_of(caller)

    async def before(self, caller: Caller, limit: int) -> Turns:
        return [turn for turn in self._rows.turns_of(caller) if turn.call_id != caller.call_id][-limit:]

    async def of_call(self, caller: Caller, limit: int) -> Turns:
        own = [turn for turn in self._rows.turns_of(caller) if turn.call_id == caller.call_id]
        return sorted(own, key=lambda turn: turn.position)[-limit:]


class InMemoryFacts:
    """As `FactStore`."""

    def __init__(self, rows: Rows, now: Callable[[], datetime]) -> None:
        self._rows, self._now = rows, now

    async def keep(self, fact: Fact) -> Fact:
        fact = replace(fact, fact_id=UUID(int=len(self._rows.facts) + 1))
        self._rows.facts[fact.fact_id] = fact
        self._rows.changes += 1
        return fact

    async def list(self, user_id: str, *, include_closed: bool = False) -> Facts:
        now = self._now()
        mine = [fact for fact in self._rows.facts.values() if fact.user_id == user_id]
        return [fact for fact in mine if include_closed or fact.valid_until is None or fact.valid_until > now]

    async def past(self, user_id: str) -> Sequence[tuple[Fact, int | None]]:
        """Nothing is archived, and nobody edits."""
        return []

    async def profile(self, caller: Caller, limit: int) -> Facts:
        now = self._now()
        known = self._rows.facts_of(caller, now)
        return sorted(known, key=lambda fact: (not is_due(fact, now), -fact.importance))[:limit]

    async def names(self, caller: Caller, limit: int) -> tuple[str, ...]:
        known = sorted(self._rows.facts_of(caller, self._now()), key=lambda fact: -fact.importance)
        named = (name for fact in known for name in (*fact.names, fact.about.name if fact.about else ""))
        return tuple(dict.fromkeys(filter(None, named)))[:limit]


class InMemoryConsents:
    """As `ConsentStore`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def read(self, user_id: str) -> Consent:
        return self._rows.consents.get(user_id, "unknown")

    async def write(self, user_id: str, consent: Consent) -> None:
        self._rows.consents[user_id] = consent


class InMemoryTier:
    """As `HybridSearch`, by words alone."""

    name = FACTS_TIER

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def search(self, question: Question) -> list[Item]:
        """The best turns and facts for the question, best first."""
        turns = self._rows.turns_of(question.caller)
        facts = self._rows.facts_of(question.caller, question.now, ended_too=question.past)
        numbers = {turn.turn_id: number for number, turn in enumerate(turns, 1)}
        calls = {
            call_id: number for number, call_id in enumerate(dict.fromkeys(turn.call_id for turn in turns))
        }
        said = [counted(turn.text) for turn in turns]
        known = [counted(shown(fact.text, fact.about)) for fact in facts]
        sources = np.zeros((len(facts), SOURCES), np.int64)
        for row, fact in enumerate(facts):
            refs = [numbers[turn_id] for turn_id in fact.turn_ids if turn_id in numbers][:SOURCES]
            sources[row, : len(refs)] = refs
        corpus = Corpus(
            turn_refs=np.arange(1, len(turns) + 1),
            turn_calls=np.array([calls[turn.call_id] for turn in turns], np.int64),
            turn_words=np.array([words for words, _, _ in said], np.float64),
            fact_refs=-np.arange(1, len(facts) + 1),
            fact_words=np.array([words for words, _, _ in known], np.float64),
            fact_sources=sources,
        )
        ranking, asked = Ranking(corpus), set(terms(question.text))
        asked |= set(asked_days(question.text, question.now, ZoneInfo(question.caller.timezone)))
        texts = {-number: words for number, (_, *words) in enumerate(known, 1)}
        texts |= {number: words for number, (_, *words) in enumerate(said, 1)}
        days = {number: day_terms(turn.said_at) for number, turn in enumerate(turns, 1)}
        by_words = ranking.by_words(_postings(asked, texts, days))
        ranked = ranking.rank(by_words, np.full(len(by_words), np.nan), FOUND)
        return [
            (
                Item.of_turn(turns[one.ref - 1], self.name).scored(one.score)
                if one.ref > 0
                else Item.of_fact(facts[-one.ref - 1], self.name, one.score)
            )
            for one in ranked
        ]

    def hold(self, caller: Caller) -> None:
        """Everything is held anyway."""

    def add(self, caller: Caller, turn: Turn) -> None:
        """The row is enough."""

    def embedded(self, turn: Turn, vector: Vector) -> None:
        """There are no vectors."""

    def forget(self, user_id: str) -> None:
        """The rows are gone already."""

    def forget_items(self, user_id: str, ids: Collection[UUID]) -> None:
        """The rows are gone already."""

    def leave_out(self, caller: Caller, turn_id: UUID) -> None:
        """Only what is kept has a row."""

    def drop(self, caller: Caller) -> None:
        """Nothing is held for a call."""

    async def close(self) -> None:
        """Nothing is open."""


class InMemoryForgetter:
    """As `PostgresForgetter`."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def forget_rows(self, caller: Caller, wanted: ForgetRequest, gone: Forgotten) -> None:
        """Take out turns, and facts learned from them."""
        gone.facts |= {
            fact.fact_id for fact in self._rows.facts.values() if wanted.turn_ids & set(fact.turn_ids)
        }
        for turn_id in gone.turns:
            self._rows.turns.pop(turn_id, None)
        for fact_id in gone.facts:
            self._rows.facts.pop(fact_id, None)
        self._rows.changes += 1


class InMemoryRecorder:
    """As `Recorder`: recorded is durable, for as long as the process lives."""

    def __init__(self, turns: InMemoryTurns) -> None:
        self._turns, self.watchers = turns, list[Callable[[Turn, str], None]]()

    async def record(self, turn: Turn) -> bool:
        await self._turns.record(turn)
        for watcher in self.watchers:
            watcher(turn, "row")
        return True


class Versions:
    """As the versions heard from Postgres."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def of(self, caller: Caller) -> tuple[int, int, int]:
        return 0, 0, self._rows.changes

    def ignore_changes_from(self, caller: Caller) -> None:
        """A call's own turns do not make its lookups stale."""

    def watch_changes_from(self, caller: Caller) -> None:
        """The call is over."""


class NoWords:
    """An embedder without a model: everything is found by its words."""

    name, dimensions = "none", 1

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        return np.zeros(1, np.float32)

    async def close(self) -> None:
        """Nothing is open."""


class Nothing:
    """What a store does that is not there."""

    waiting = 0

    async def enqueue_learn(self, user_id: str, **_options: object) -> bool:
        return False

    async def of_user(self, user_id: str) -> list[Turn]:
        return []

    async def forget_turns(self, user_id: str, turn_ids: Collection[UUID]) -> int:
        return 0

    def forget(self, user_id: str) -> None:
        """Nothing is held."""


def open_in_memory(
    settings: MemorySettings | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> InMemory:
    """Memory of this process: nothing to open, nothing to close."""
    settings, rows = settings or MemorySettings(), Rows()
    turns, versions, nothing, embedder = InMemoryTurns(rows), Versions(rows), Nothing(), NoWords()
    tier = InMemoryTier(rows)
    recaller = Recaller([tier], cast(Embedder, embedder), cast(Any, versions), settings, now=now)
    parts: list[Any] = [settings, nothing, embedder, turns, InMemoryFacts(rows, now), tier, recaller]
    parts += [InMemoryRecorder(turns), nothing, nothing, versions, InMemoryConsents(rows), nothing]
    parts += [InMemoryForgetter(rows), now]
    memory = InMemory(*parts)
    memory.rows = rows
    return memory


def _postings(asked: set[str], texts: dict[int, list[Any]], days: dict[int, list[str]]) -> Postings:
    found: dict[str, list[tuple[int, int]]] = {}
    for ref, (words, counts) in texts.items():
        for term, count in zip(words, counts, strict=True):
            if term in asked:
                found.setdefault(term, []).append((ref, count))
    for ref, terms_of_day in days.items():
        for term in asked:
            if not set(stored_terms(term)).isdisjoint(terms_of_day):
                found.setdefault(term, []).append((ref, 1))
    return {term: np.array(rows, np.int64) for term, rows in found.items()}
