"""What travels between modules: callers, turns, facts and what a recall found."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

Role = Literal["user", "assistant"]
TurnState = Literal["open", "learning", "learned", "dead"]
TierStatus = Literal["ok", "empty", "late", "failed", "skipped"]
Scope = Literal["user", "agent"]
ItemKind = Literal["fact", "turn", "relation"]

FACTS_TIER, GRAPH_TIER = "facts", "graph"
"""Names of tiers 2 and 3, in results, settings and metrics."""


CallKey = tuple[tuple[str, ...], str, str]
"""The ids of a caller, their own first, the agent, and the call."""

ANONYMOUS = "anonymous:"
RESERVED = ("phone:", "id:", ANONYMOUS)
"""Beginnings of user ids that Echoic makes: nobody can name a user of another source."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is speaking, to which agent, in which call. Every lookup and every write is scoped by it."""

    user_id: str
    agent_id: str
    call_id: str
    timezone: str = "UTC"
    """IANA name; dates in the prompt are the caller's dates."""
    timezone_known: bool = False
    """Whether it is this caller's own, and not only the setting."""
    also: tuple[str, ...] = ()
    """Other ids of the same person (memory/settings/links.py): read along, and never written under."""

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids of the person, as they were when the call began."""
        return self.user_id, *self.also

    @property
    def key(self) -> CallKey:
        """By which a process finds what it holds for this call. The name of a call alone is nobody's: two
        people may be in calls of one name."""
        return self.ids, self.agent_id, self.call_id


@dataclass(frozen=True, slots=True)
class Turn:
    """One committed conversation item: what was really said, or heard, aloud."""

    turn_id: UUID
    user_id: str
    agent_id: str
    call_id: str
    position: int
    """Order within the call, from 0."""
    role: Role
    text: str
    said_at: datetime
    interrupted: bool = False
    """An assistant turn that was cut off: `text` is only what was heard.

    A user turn that nothing answered: words spoken over a reply that could not be interrupted, or during a
    hand-off, which never became a part of the conversation."""
    state: TurnState = "open"
    timezone: str = ""
    """IANA name of where the caller was; empty: not known."""
    heard_at: datetime | None = field(default=None, compare=False)
    """When it was said by the database's clock, against which erasures and answers about consent are told;
    not kept with the row. None: by `said_at`, as this host's clock had it."""
    recall: str = field(default="", compare=False)
    """Of a reply: `Recall.note` of what memory gave it."""
    labels: str = field(default="", compare=False)
    """What another program told with it, as a JSON object: see `Fact.labels`."""


Precision = Literal["", "day", "month", "year", "habit"]
"""How exactly a fact's dates are known; `habit`: it is true again and again."""
FactKind = Literal["fact", "promise"]


@dataclass(frozen=True, slots=True)
class About:
    """Whose fact it is: the caller's, or that of somebody whom the caller named or described."""

    role: str = ""
    """In the caller's words: "sister", "boss"; empty for the caller."""
    name: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.role, self.name))) or "caller"


CALLER = About()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words that a fact rests on."""

    turn_id: UUID
    quote: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement about a caller, learned from turns.

    `valid_until` in the past means closed: history, not live.
    """

    fact_id: UUID
    user_id: str
    text: str
    topic: str
    importance: float
    """0 (trivia) to 1 (must never be forgotten)."""
    scope: Scope
    """`user`: seen by all agents of this user; `agent`: only by `agent_id`."""
    agent_id: str
    said_at: datetime
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    turn_ids: tuple[UUID, ...] = ()
    about: About | None = CALLER
    """None: learned before it was asked whose it is."""
    evidence: tuple[Evidence, ...] = ()
    precision: Precision = ""
    kind: FactKind = "fact"
    due: datetime | None = None
    """Of a promise: when it is to be kept."""
    names: tuple[str, ...] = ()
    """Other people, places and organisations in it, as they stand there."""
    labels: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What another program keeps with it, as JSON values: its metadata, its name for the conversation."""
    sub_topic: str = ""
    """The slot of its topic in which a profile shows it; empty: none in particular."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a tier found: a fact, a relation between two people or things, or a verbatim turn."""

    kind: ItemKind
    id: UUID
    text: str
    said_at: datetime
    score: float = 0.0
    """Higher is better; comparable only within one tier's answer."""
    role: Role = "user"
    interrupted: bool = False
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    turn_ids: tuple[UUID, ...] = ()
    """Turns a fact or relation was learned from; a turn's own id for a turn."""
    tier: str = ""
    """Which tier found it; several, joined by `+`, where they said the same."""
    partly: bool = False
    """Of a turn that has ended (all facts learned from it are closed): not all of it, others of its facts are
    live."""
    due: datetime | None = None
    """Of a promise: when it is to be kept."""
    precision: Precision = ""
    quote: str = ""
    """Of a fact: the words that it rests on."""
    about: About | None = None
    """Whose fact or relation it is; None: not known, or `text` says it. Who shows it shows both, as
    `memory/text/people.py: shown` writes them."""

    @classmethod
    def of_turn(cls, turn: Turn, tier: str) -> "Item":
        """A turn as that tier finds it."""
        return cls(
            kind="turn",
            id=turn.turn_id,
            text=turn.text,
            said_at=turn.said_at,
            role=turn.role,
            interrupted=turn.interrupted,
            turn_ids=(turn.turn_id,),
            tier=tier,
        )

    @classmethod
    def of_fact(cls, fact: Fact, tier: str, score: float) -> "Item":
        """A fact as that tier finds it."""
        return cls(
            kind="fact",
            id=fact.fact_id,
            text=fact.text,
            said_at=fact.said_at,
            score=score,
            valid_from=fact.valid_from,
            valid_until=fact.valid_until,
            turn_ids=fact.turn_ids,
            tier=tier,
            due=fact.due,
            precision=fact.precision,
            quote=fact.evidence[-1].quote if fact.evidence else "",
            about=fact.about,
        )

    def scored(self, score: float) -> "Item":
        """The same with another score; `dataclasses.replace` took half as long again."""
        return Item(
            *(self.kind, self.id, self.text, self.said_at, score, self.role, self.interrupted),
            *(self.valid_from, self.valid_until, self.turn_ids, self.tier, self.partly),
            *(self.due, self.precision, self.quote, self.about),
        )


@dataclass(frozen=True, slots=True)
class TierResult:
    """How one tier fared in one recall. Empty is not failed."""

    status: TierStatus
    items: tuple[Item, ...] = ()
    elapsed_ms: float = 0.0

    @property
    def note(self) -> dict[str, object]:
        """Without a word of what was found."""
        return {"status": self.status, "items": len(self.items), "ms": round(self.elapsed_ms, 3)}


@dataclass(frozen=True, slots=True)
class Recall:
    """What arrived in time for one question, by tier, and the block made of it."""

    tiers: dict[str, TierResult] = field(default_factory=dict)
    block: str = ""
    used: tuple[Item, ...] = ()
    """The items that stand in `block`, in its order (for `/why`)."""
    elapsed_ms: float = 0.0

    @property
    def note(self) -> str:
        """As JSON, without a word: milliseconds, how each tier fared, and ids of what was used."""
        tiers = {name: tier.note for name, tier in self.tiers.items()}
        used = [{"kind": item.kind, "id": str(item.id), "tier": item.tier} for item in self.used]
        return json.dumps({"ms": round(self.elapsed_ms, 3), "tiers": tiers, "used": used})


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """What is to be forgotten of one caller, as their agent knows them."""

    turn_ids: frozenset[UUID] = frozenset()
    """With everything that was learned from them."""
    lone_turn_ids: frozenset[UUID] = frozenset()
    """Without: "my dog is ill, and I live in Porto" goes because of the dog, and takes no Porto along."""
    fact_ids: frozenset[UUID] = frozenset()
    """For themselves: they are not learned again from turns that stay."""
    versions: frozenset[int] = frozenset()
    """Changes before which a fact that stays said something else."""
    relations: tuple[Item, ...] = ()
    """Of the graph: with the facts that they are made of, and the turns whose words they retell."""


@dataclass(slots=True)
class Forgotten:
    """What is gone."""

    turns: set[UUID] = field(default_factory=set)
    facts: set[UUID] = field(default_factory=set)
    reopened: int = 0
    """Turns that are learned again, because a forgotten fact came from them too."""

    def add(self, more: "Forgotten") -> None:
        """What of another id of the same person is gone."""
        self.turns |= more.turns
        self.facts |= more.facts
        self.reopened += more.reopened
