"""Answers of the memory API: people. Written by `tools/client.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """One call."""

    call_id: str
    agent_id: str
    began_at: datetime
    ended_at: datetime
    turns: int
    open_turns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPage:
    """A part of an answer."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[CallAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesAnswer:
    """What changed in what is known, oldest first."""

    items: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseAnswer:
    """What was erased, by store; `unfinished` says what could not be reached."""

    erased_at: datetime
    turns: int
    facts: int
    batches: int
    mem0_rows: int
    spooled: int
    jobs: int
    graphs: int
    unfinished: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswer:
    """Two ids of one person."""

    user_id: str
    other_id: str
    made_by: str
    """Whose key said so."""
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksAnswer:
    """One person with all their ids."""

    ids: list[str]
    """The id that was asked for, and all that are linked with it."""
    items: list[LinkAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """A part of an answer."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[PersonAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonAnswer:
    """One user, and how much is known of them."""

    user_id: str
    facts: int
    """Ended ones included."""
    turns: int
    open_turns: int
    """Those that are not learned yet."""
    last_at: datetime | None
    """When something was last said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonCounts:
    """A part of an answer."""

    facts_live: int
    facts_ended: int
    turns: int
    turns_open: int
    turns_given_up: int
    calls: int
    first_at: datetime | None
    last_at: datetime | None
    topics: dict[str, int]
    """Live facts by topic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallNote:
    """What memory gave a reply."""

    ms: float
    """From the question to the block."""
    tiers: dict[str, TierNote]
    used: list[UsedNote]


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketAnswer:
    """What a LiveKit client joins with."""

    url: str
    token: str
    room: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TierNote:
    """How one tier fared."""

    status: Literal["ok", "empty", "late", "failed", "skipped"]
    items: int
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAnswer:
    """One thing that was said, word for word."""

    turn_id: UUID
    agent_id: str
    call_id: str
    position: int
    role: Literal["user", "assistant"]
    text: str
    said_at: datetime
    interrupted: bool
    state: Literal["open", "learning", "learned", "dead"]
    timezone: str
    recall: RecallNote | None = None
    """Of a reply: what memory gave it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPage:
    """A part of an answer."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[TurnAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsKept:
    """What is durable now."""

    call_id: str
    turn_ids: list[UUID | None]
    """In the order of the request; null: not kept, because this person does not want to be remembered, or
    has not agreed yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneAnswer:
    """What one call had taught and was taken back."""

    removed: list[UUID]
    restored: list[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedNote:
    """One item that stood before the model: a fact, a turn, or a relation of the graph."""

    kind: Literal["fact", "turn", "relation"]
    id: UUID
    tier: str
