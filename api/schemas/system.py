"""The system as a whole: parts, queues, what was given up, who asked for what."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from echoic.api.access.keys import KeyRole
from echoic.api.schemas.common import Answer, Page
from echoic.api.schemas.people import Counts
from echoic.memory.store.batches import GivenUp
from echoic.memory.types import TierStatus

PartState = Literal["ok", "failed", "off"]


class Ready(Answer):
    """Whether requests can be answered, and which part cannot."""

    ready: bool
    parts: dict[str, PartState] = Field(examples=[{"postgres": "ok", "redis": "ok", "graph": "off"}])


class Me(Answer):
    """Whose key this is, and what it may do."""

    name: str
    role: KeyRole
    user_id: str | None
    may: list[str] = Field(examples=[["read", "write"]])


class AllCounts(Counts):
    users: int


class DayAnswer(Answer):
    """One day, by UTC."""

    day: date
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


class TierFared(Answer):
    """How one tier of memory fared in the replies of the last hour."""

    tier: str
    status: TierStatus
    """`late`, `failed`, or `skipped`: a tier that failed again and again is left alone for a while."""
    replies: int
    p95_ms: float


class DaysAnswer(Answer):
    """The days as they went by, and the last hour."""

    days: list[DayAnswer]
    tiers: list[TierFared]


class QueueAnswer(Answer):
    """Batches of one kind and state."""

    kind: str
    state: str
    batches: int
    mean_s: float


class MaintenanceAnswer(Answer):
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


class QueuesAnswer(Answer):
    """What waits to be learned."""

    waiting_turns: int
    oldest_s: float
    """Age of the oldest turn that waits."""
    queued_jobs: int | None
    """Null: Redis does not answer."""
    batches: list[QueueAnswer]
    """Of the last day, and unfinished ones."""
    maintenance: MaintenanceAnswer


class JobAnswer(Answer):
    """One thing that was given up."""

    batch_id: UUID
    kind: GivenUp
    user_id: str
    turns: int
    error: str
    created_at: datetime | None
    finished_at: datetime | None


class JobsAnswer(Answer):
    items: list[JobAnswer]


class Retried(Answer):
    """What is tried again."""

    retried: int


class AuditAnswer(Answer):
    """One request."""

    audit_id: int
    asked_at: datetime
    key_id: UUID | None
    key_name: str
    action: str = Field(examples=["GET /v1/users/{user_id}/facts"])
    user_hash: str | None
    """The person, as a salted hash that outlives an erasure."""
    allowed: bool


class AuditPage(Page):
    items: list[AuditAnswer]


class EraseAnswer(Answer):
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


class ChangesAnswer(Answer):
    """What changed in what is known, oldest first."""

    items: list[dict[str, Any]]


class NodeAnswer(Answer):
    """Somebody or something that the graph knows by name."""

    id: str
    name: str
    labels: list[str]
    summary: str


class EdgeAnswer(Answer):
    """How two nodes belong together."""

    id: str
    source: str
    target: str
    name: str = Field(examples=["LIVES_IN"])
    text: str
    valid_from: datetime | None
    valid_until: datetime | None


class GraphOfAgent(Answer):
    agent_id: str
    nodes: list[NodeAnswer]
    edges: list[EdgeAnswer]


class GraphAnswer(Answer):
    """One person's graphs, one for each agent that was told something."""

    at: datetime | None
    graphs: list[GraphOfAgent]
