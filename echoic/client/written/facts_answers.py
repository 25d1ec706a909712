"""Answers of the memory API: facts. Written by `tools/client.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from echoic.client.written.people_answers import TurnAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutAnswer:
    """Whose fact it is; both empty: the caller's."""

    role: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """Turns that are learned together, or facts that enter a graph together."""

    batch_id: UUID
    kind: Literal["learn", "graph"]
    agent_id: str | None
    size: int
    state: Literal["running", "done", "dead"]
    starts: int
    failures: int
    error: str
    facts: int
    created_at: datetime
    finished_at: datetime | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAnswer:
    """One change of a fact."""

    change: Literal["added", "ended", "confirmed", "edited", "removed", "archived", "merged", "refiled"]
    before: FactAnswer | None
    by_whom: str
    batch_id: UUID | None
    changed_at: datetime
    undone_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAnswer:
    """How two nodes belong together."""

    id: str
    source: str
    target: str
    name: str
    text: str
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceAnswer:
    """Words that a fact rests on."""

    turn_id: UUID
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceOfFact:
    """The quotes of a fact, and those of its turns that are still stored."""

    evidence: list[EvidenceAnswer]
    turns: list[TurnAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactAnswer:
    """One statement about a person. Its ETag is in `version`, and is sent back as `If-Match`."""

    fact_id: UUID
    version: str | None
    """Changes with every change; null where the fact is shown as it was before."""
    text: str
    topic: str
    sub_topic: str = ""
    """The slot of its topic in which a profile shows it."""
    importance: float
    scope: Literal["user", "agent"]
    agent_id: str
    said_at: datetime
    valid_from: datetime | None
    valid_until: datetime | None
    """In the past: it is history."""
    about: AboutAnswer | None
    kind: Literal["fact", "promise"]
    due: datetime | None
    precision: Literal["", "day", "month", "year", "habit"]
    names: list[str]
    turn_ids: list[UUID]
    evidence: list[EvidenceAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactPage:
    """Facts, newest first."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[FactAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAnswer:
    """One person's graphs, one for each agent that was told something."""

    at: datetime | None
    graphs: list[GraphOfAgent]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOfAgent:
    """A part of an answer."""

    agent_id: str
    nodes: list[NodeAnswer]
    edges: list[EdgeAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryAnswer:
    """All changes of a fact, oldest first."""

    items: list[ChangeAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """One thing that was found."""

    kind: Literal["fact", "turn", "relation"]
    id: UUID
    text: str
    said_at: datetime
    score: float
    role: Literal["user", "assistant"]
    valid_from: datetime | None
    valid_until: datetime | None
    turn_ids: list[UUID]
    tier: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnTask:
    """Learning was asked for; `follow` says how far it is."""

    open_turns: int
    queued: bool
    """False: the queue did not take it; a worker finds the turns by itself, a little later."""
    follow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningAnswer:
    """How far learning is with one person."""

    state: Literal["idle", "waiting", "running"]
    open_turns: int
    batches: list[BatchAnswer]
    """The last ones, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAnswer:
    """Somebody or something that the graph knows by name."""

    id: str
    name: str
    labels: list[str]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallAnswer:
    """What was found, as items and as a block for a prompt."""

    block: str
    used: list[ItemAnswer]
    """The items of the block, in its order."""
    tiers: dict[str, TierAnswer]
    elapsed_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TierAnswer:
    """How one tier fared."""

    status: Literal["ok", "empty", "late", "failed", "skipped"]
    elapsed_ms: float
    found: int
