"""Answers of the memory API: system. Written by `tools/client.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AllCounts:
    """A part of an answer."""

    facts_live: int
    facts_ended: int
    turns: int
    turns_open: int
    turns_given_up: int
    calls: int
    first_at: datetime | None
    last_at: datetime | None
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswer:
    """One request."""

    audit_id: int
    asked_at: datetime
    key_id: UUID | None
    key_name: str
    action: str
    user_hash: str | None
    """The person, as a salted hash that outlives an erasure."""
    allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """A part of an answer."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
    items: list[AuditAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAnswer:
    """One day, by UTC."""

    day: str
    turns: int
    users: int
    calls: int
    facts_added: int
    batches: int = 0
    """Of turns, that were learned."""
    tokens_in: int = 0
    """That learning asked of its model, as the model's address counts them …"""
    tokens_out: int = 0
    """… and that it answered."""
    recalls: int
    """Replies that were given memory, or for which it was asked."""
    recall_p50_ms: float | None
    recall_p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaysAnswer:
    """The days as they went by, and the last hour."""

    days: list[DayAnswer]
    tiers: list[TierFared]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer:
    """One thing that was given up."""

    batch_id: UUID
    kind: Literal["learn", "graph", "spool", "embed", "erase"]
    user_id: str
    turns: int
    error: str
    created_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsAnswer:
    """A part of an answer."""

    items: list[JobAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceAnswer:
    """What the nightly maintenance did in the last 30 days, without what was undone."""

    last_at: datetime | None
    """When it last changed something."""
    users: int
    archived: int
    """Facts that were older than what people or the system keep."""
    merged: int
    """Facts that another fact says."""
    refiled: int
    """Facts whose topic was spelled otherwise."""
    turns: int
    """Turns that were deleted for their age."""
    in_archive: int
    """Facts that an undo would bring back; 30 days after they were archived they go for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Whose key this is, and what it may do."""

    name: str
    role: Literal["admin", "service", "user"]
    user_id: str | None
    may: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAnswer:
    """Batches of one kind and state."""

    kind: str
    state: str
    batches: int
    mean_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesAnswer:
    """What waits to be learned."""

    waiting_turns: int
    oldest_s: float
    """Age of the oldest turn that waits."""
    queued_jobs: int | None
    """Null: Redis does not answer."""
    batches: list[QueueAnswer]
    """Of the last day, and unfinished ones."""
    maintenance: MaintenanceAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Whether requests can be answered, and which part cannot."""

    ready: bool
    parts: dict[str, Literal["ok", "failed", "off"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What is tried again."""

    retried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TierFared:
    """How one tier of memory fared in the replies of the last hour."""

    tier: str
    status: Literal["ok", "empty", "late", "failed", "skipped"]
    """`late`, `failed`, or `skipped`: a tier that failed again and again is left alone for a while."""
    replies: int
    p95_ms: float
