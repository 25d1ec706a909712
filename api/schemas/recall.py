"""What is remembered for some words, and how each tier fared."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from echoic.api.schemas.common import AgentId, Answer, Body, Name, Said, Text
from echoic.memory.text.people import shown
from echoic.memory.types import ItemKind, Recall, Role, TierStatus

Language = Annotated[str, StringConstraints(pattern="^([a-z]{2})?$")]


class SearchBody(Body):
    """What is looked for."""

    text: Said = Field(examples=["What is my dog called?"])
    agent_id: AgentId | None = None
    """As which agent sees it; default: `ECHOIC_AGENT_ID`."""
    budget_ms: int = Field(1_000, ge=1, le=10_000)
    """Longest wait, all tiers together."""


class SectionsBody(Body):
    """How a context of two sections is to be. What comes first is kept within the limit."""

    profile_share: float = Field(0.6, gt=0, le=1, allow_inf_nan=False)
    """How much of `max_tokens` the profile may have; the frame comes to them."""
    days: int | None = Field(180, ge=1, le=36_500)
    """How far back events go; null: to the beginning."""
    fill: bool = False
    """Whether events may have what the profile left."""
    prefer: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list)
    """Topics of the profile that come first, in this order."""
    slots_a_topic: int | None = Field(None, ge=1, le=1_000)
    slots_of: Annotated[dict[Name, Annotated[int, Field(ge=0, le=1_000)]], Field(max_length=20)] = Field(
        default_factory=dict
    )
    """The same for some topics."""
    feature: Name = Field("", examples=["restaurant"])
    """What the conversation is about, by a name of the profile's `feature_topics`: the profile keeps to what
    that needs."""
    language: Language = ""
    """ISO 639-1, of the headings; empty: what the person has chosen, else English."""
    template: Text = ""
    """Instead of the default frame: `{profile_section}` and `{event_section}` in it are filled in."""


class ContextBody(Body):
    """What a prompt needs."""

    text: Text = Field("", examples=["What is my dog called?"])
    """What is asked; empty: only the most important facts."""
    agent_id: AgentId | None = None
    max_tokens: int = Field(400, ge=50, le=8_000)
    """Limit of the block, estimated on the high side."""
    max_items: int = Field(8, ge=1, le=50)
    """Most lines that answer the question; up to five of the profile follow."""
    topics: Annotated[list[Name], Field(max_length=20)] = Field(default_factory=list)
    """The profile keeps to these; empty: all."""
    sections: SectionsBody | None = None
    """The profile by slot and what happened last, under two headings, instead of one list. Without `text` no
    model is asked."""


class ItemAnswer(Answer):
    """One thing that was found."""

    kind: ItemKind
    id: UUID
    text: str = Field(examples=["Has a dog called Biscuit."])
    said_at: datetime
    score: float
    role: Role
    valid_from: datetime | None
    valid_until: datetime | None
    turn_ids: list[UUID]
    tier: str = Field(examples=["facts"])
    quote: str


class TierAnswer(Answer):
    """How one tier fared."""

    status: TierStatus
    elapsed_ms: float
    found: int


class RecallAnswer(Answer):
    """What was found, as items and as a block for a prompt."""

    block: str
    used: list[ItemAnswer]
    """The items of the block, in its order."""
    tiers: dict[str, TierAnswer]
    elapsed_ms: float

    @classmethod
    def of(cls, recall: Recall) -> Self:
        tiers = {
            name: TierAnswer(status=one.status, elapsed_ms=one.elapsed_ms, found=len(one.items))
            for name, one in recall.tiers.items()
        }
        used = [
            ItemAnswer.model_validate(replace(item, text=shown(item.text, item.about)))
            for item in recall.used
        ]
        return cls(block=recall.block, used=used, tiers=tiers, elapsed_ms=recall.elapsed_ms)
