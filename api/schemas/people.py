"""Users, their calls and turns, and how much there is of everything."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from echoic.api.schemas.common import Answer, Page
from echoic.memory.types import ItemKind, Role, TierStatus, TurnState


def _read(note: Any) -> Any:
    return (json.loads(note) if note else None) if isinstance(note, str) else note


class PersonAnswer(Answer):
    """One user, and how much is known of them."""

    user_id: str = Field(examples=["maya"])
    facts: int
    """Ended ones included."""
    turns: int
    open_turns: int
    """Those that are not learned yet."""
    last_at: datetime | None
    """When something was last said."""


class LinkAnswer(Answer):
    """Two ids of one person."""

    user_id: str = Field(examples=["maya"])
    other_id: str = Field(examples=["device-7"])
    made_by: str
    """Whose key said so."""
    made_at: datetime


class LinksAnswer(Answer):
    """One person with all their ids."""

    ids: list[str]
    """The id that was asked for, and all that are linked with it."""
    items: list[LinkAnswer]


class PeoplePage(Page):
    items: list[PersonAnswer]


class TierNote(Answer):
    """How one tier fared."""

    status: TierStatus
    items: int
    ms: float


class UsedNote(Answer):
    """One item that stood before the model: a fact, a turn, or a relation of the graph."""

    kind: ItemKind
    id: UUID
    tier: str = Field(examples=["facts"])


class RecallNote(Answer):
    """What memory gave a reply."""

    ms: float
    """From the question to the block."""
    tiers: dict[str, TierNote]
    used: list[UsedNote]


class TicketAnswer(Answer):
    """What a LiveKit client joins with."""

    url: str = Field(examples=["wss://calls.example.com"])
    token: str
    room: str


class TurnAnswer(Answer):
    """One thing that was said, word for word."""

    turn_id: UUID
    agent_id: str
    call_id: str
    position: int
    role: Role
    text: str = Field(examples=["My dog is called Biscuit."])
    said_at: datetime
    interrupted: bool
    state: TurnState
    timezone: str
    recall: Annotated[RecallNote | None, BeforeValidator(_read)] = None
    """Of a reply: what memory gave it."""


class TurnPage(Page):
    items: list[TurnAnswer]


class CallAnswer(Answer):
    """One call."""

    call_id: str
    agent_id: str
    began_at: datetime
    ended_at: datetime
    turns: int
    open_turns: int


class CallPage(Page):
    items: list[CallAnswer]


class UndoneAnswer(Answer):
    """What one call had taught and was taken back."""

    removed: list[UUID]
    restored: list[UUID]


class Counts(Answer):
    """How much there is."""

    facts_live: int
    facts_ended: int
    turns: int
    turns_open: int
    turns_given_up: int
    calls: int
    first_at: datetime | None
    last_at: datetime | None


class PersonCounts(Counts):
    topics: dict[str, int] = Field(examples=[{"pets": 2}])
    """Live facts by topic."""


class BatchAnswer(Answer):
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


class LearningAnswer(Answer):
    """How far learning is with one person."""

    state: Literal["idle", "waiting", "running"]
    open_turns: int
    batches: list[BatchAnswer]
    """The last ones, newest first."""


class LearnTask(Answer):
    """Learning was asked for; `follow` says how far it is."""

    open_turns: int
    queued: bool
    """False: the queue did not take it; a worker finds the turns by itself, a little later."""
    follow: str = Field(examples=["/v1/users/maya/learning"])
