"""What a night's maintenance would do with one person's facts: by age and by identity, never by meaning."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from echoic.memory.store.facts import MOST_EVIDENCE
from echoic.memory.text.dates.last_day import late_from
from echoic.memory.types import Evidence, Fact

BY_WHOM = "maintenance"
ENDS = ".!…。！।"
"""With or without one of these a sentence says the same."""


@dataclass(frozen=True, slots=True)
class Known:
    """A fact as it is stored."""

    ref: int
    fact: Fact
    touched_at: datetime | None = None
    """When somebody last said it again or changed it."""

    @property
    def last_at(self) -> datetime:
        return max(self.fact.said_at, self.touched_at or self.fact.said_at)


@dataclass(frozen=True, slots=True)
class Merge:
    """Facts that one of them stands for from now on."""

    stays: Fact
    """The first that was learned."""
    go: tuple[Fact, ...]


@dataclass(slots=True)
class Plan:
    """What would change."""

    archived: list[UUID] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    refiled: dict[UUID, str] = field(default_factory=dict)
    """Fact -> its topic as most facts spell it."""

    @property
    def merged(self) -> int:
        return sum(len(one.go) for one in self.merges)

    def __bool__(self) -> bool:
        return bool(self.archived or self.merges or self.refiled)


def plan(known: Sequence[Known], *, before: datetime | None, now: datetime) -> Plan:
    """What is to be done with all facts of one person.

    Args:
        known: in the order in which they were learned.
        before: what was last said before then is too old; None: nothing is.
        now: what has ended by now is not merged, and what is still to come is not too old.
    """
    made = Plan()
    stay = []
    for one in known:
        if before is not None and one.last_at < before and not _is_to_come(one.fact, now):
            made.archived.append(one.fact.fact_id)
        else:
            stay.append(one.fact)
    made.merges = list(_merges(one for one in stay if one.valid_until is None or one.valid_until > now))
    gone = {one.fact_id for merge in made.merges for one in merge.go}
    made.refiled = _refiled([one for one in stay if one.fact_id not in gone])
    return made


def same_text(text: str) -> str:
    """Equal for texts that are the same but for spaces and how they end; case counts."""
    return " ".join(unicodedata.normalize("NFC", text).split()).rstrip(ENDS + " ")


def same_topic(topic: str) -> str:
    """Equal for topics that differ in case and spaces only."""
    return " ".join(unicodedata.normalize("NFC", topic).casefold().split())


def _is_to_come(fact: Fact, now: datetime) -> bool:
    late = fact.due and late_from(fact.due, fact.precision)
    return any(when is not None and when > now for when in (late, fact.valid_from))


def _merges(facts: Iterable[Fact]) -> Iterable[Merge]:
    alike: dict[object, list[Fact]] = {}
    for fact in facts:
        alike.setdefault(_identity(fact), []).append(fact)
    for stays, *go in alike.values():
        if go:
            yield Merge(stays, tuple(go))


def _identity(fact: Fact) -> tuple[object, ...]:
    """All that a fact claims: of whom, for whom, from when to when."""
    who = None if fact.about is None else (fact.about.role, fact.about.name)
    times = (fact.due, fact.valid_from, fact.valid_until, fact.precision)
    return (same_text(fact.text), who, fact.scope, fact.agent_id, fact.kind, *times)


def _refiled(facts: Sequence[Fact]) -> dict[UUID, str]:
    spellings: dict[str, Counter[str]] = {}
    for fact in facts:
        if fact.topic.strip():
            spellings.setdefault(same_topic(fact.topic), Counter())[fact.topic] += 1
    usual = {topic: _usual(counts) for topic, counts in spellings.items() if len(counts) > 1}
    return {
        fact.fact_id: spelling
        for fact in facts
        if (spelling := usual.get(same_topic(fact.topic))) and spelling != fact.topic
    }


def _usual(counts: Counter[str]) -> str:
    """The spelling of most; of two, the one that is written as it is compared."""
    return min(counts, key=lambda one: (-counts[one], one != same_topic(one), one))


def together(stays: Fact, go: tuple[Fact, ...]) -> dict[str, Any]:
    """What the fact that stays takes over: where the others were said, and the greatest importance."""
    evidence: list[Evidence] = []
    for one in (*stays.evidence, *(own for fact in go for own in fact.evidence)):
        if one not in evidence:
            evidence.append(one)
    turn_ids = dict.fromkeys(turn_id for fact in (stays, *go) for turn_id in fact.turn_ids)
    return {
        "evidence": [{"turn_id": str(one.turn_id), "quote": one.quote} for one in evidence[-MOST_EVIDENCE:]],
        "turn_ids": [str(turn_id) for turn_id in turn_ids],
        "importance": max(fact.importance for fact in (stays, *go)),
    }
