"""Profiles by slot, and what happened in events."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from echoic.api.schemas.common import AgentId, Answer, Body, Page, Said, Text, holdable
from echoic.api.schemas.facts import FactAnswer, SlotName
from echoic.memory.profile.episodes import Episode, Gist
from echoic.memory.profile.proactive import Proposal, Reason
from echoic.memory.profile.profile import Slot, id_of_slot
from echoic.memory.profile.slots import ProfileSettings
from echoic.memory.types import Fact

Value = Annotated[Said, StringConstraints(max_length=500)]
Values = Annotated[list[Value], Field(min_length=1, max_length=20)]
"""They fit a body with room to spare."""
Tag = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(holdable)]
MOST_TAGS = 50
MOST_CHARS = 16_000
"""Of a configuration that is set here: a body holds 64 KiB."""


class LineAnswer(Answer):
    """One fact of a slot; the rest of it is at `facts/{fact_id}`."""

    fact_id: UUID
    text: str = Field(examples=["Works at Acme"])
    importance: float
    said_at: datetime
    updated_at: datetime


class SlotAnswer(Answer):
    """What is known under one topic and sub-topic. Its `version` is sent back as `If-Match`."""

    slot_id: UUID
    version: str = Field(examples=["9f2c6a1e0b7d4c35"])
    topic: str = Field(examples=["work"])
    sub_topic: str = Field(examples=["company"])
    """Empty: facts of the topic that stand in no slot."""
    content: str = Field(examples=["Works at Acme"])
    """Its facts, the most important first, as far as they fit the size of a slot."""
    facts: list[LineAnswer]
    """All of them."""
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, slot: Slot, user_id: str) -> Self:
        return cls(
            slot_id=id_of_slot(user_id, slot.topic, slot.sub_topic),
            version=slot.version,
            topic=slot.topic,
            sub_topic=slot.sub_topic,
            content=slot.content,
            facts=[LineAnswer.model_validate(line) for line in slot.lines],
            created_at=slot.created_at,
            updated_at=slot.updated_at,
        )


class ProfileAnswer(Answer):
    """A profile: preferred topics first, then what matters most."""

    items: list[SlotAnswer]


class SlotFill(Body):
    """Facts that somebody puts into a slot by hand."""

    topic: Annotated[SlotName, StringConstraints(min_length=1)] = Field(examples=["work"])
    sub_topic: SlotName = Field("", examples=["company"])
    values: Values = Field(examples=[["Works at Acme"]])
    agent_id: AgentId | None = None
    """Default: `ECHOIC_AGENT_ID`."""


class SlotEdit(Body):
    """All that a slot says from now on. A value that stands there stays the fact it is; another takes the
    place, the evidence and the history of one that is left out; what is left over ends or is new."""

    values: Values = Field(examples=[["Works at Bolt"]])
    agent_id: AgentId | None = None


class SaidBody(Body):
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    text: Annotated[Said, StringConstraints(max_length=2_000)] = Field(examples=["Where shall we eat?"])


class ProfileNeed(Body):
    """A conversation, and how much of a profile it may have."""

    said: Annotated[list[SaidBody], Field(min_length=1, max_length=20)]
    """Its last turns, the newest last."""
    most: Annotated[int, Field(ge=1, le=100)] = 10
    agent_id: AgentId | None = None
    """What this agent may see; by default any."""


class ProfileConfig(Answer):
    """What slots there are, and how events are tagged."""

    text: str = Field(examples=["profile_strict_mode: true\n"])
    """What was set here; empty: the file and the environment count."""
    effective: dict[str, Any]
    """What counts, key by key."""

    @classmethod
    def of(cls, text: str, profile: ProfileSettings) -> Self:
        return cls(text=text, effective=profile.model_dump(mode="json"))


class ProfileConfigBody(Body):
    """YAML, with the keys of `ECHOIC_PROFILE_FILE`. It counts before them, for every process at once."""

    text: Annotated[str, StringConstraints(max_length=MOST_CHARS), AfterValidator(holdable)] = Field(
        examples=["event_tags: [mood]\n"]
    )
    """Empty: the file and the environment count again."""


class DeltaAnswer(Answer):
    """One thing that an event did to what is known."""

    change: Literal["added", "ended", "confirmed"]
    fact: FactAnswer
    """As it is now."""


class EpisodeAnswer(Answer):
    """What happened: one event for each batch of turns that taught or changed something."""

    episode_id: UUID
    agent_id: str
    call_id: str
    summary: str = Field(examples=["- Works at Acme[mention 2026-11-27] // work/company"])
    """Its gists, one a line; or what was written by hand."""
    tags: dict[str, str] = Field(examples=[{"mood": "glad"}])
    deltas: list[DeltaAnswer]
    began_at: datetime
    """When it was said, from here …"""
    ended_at: datetime
    """… to here."""
    happened_from: datetime | None
    """When it happened, as far as its facts name dates."""
    happened_until: datetime | None
    created_at: datetime
    updated_at: datetime
    similarity: float | None
    """Where it was looked for: cosine of its nearest gist."""

    @classmethod
    def of(cls, one: Episode) -> Self:
        names = ("episode_id", "agent_id", "call_id", "summary", "began_at", "ended_at", "created_at")
        begins, ends = one.happened
        return cls(
            **{name: getattr(one, name) for name in names},
            updated_at=one.updated_at,
            similarity=one.similarity,
            tags=dict(one.tags),
            deltas=[DeltaAnswer(change=delta.change, fact=_fact(delta.fact)) for delta in one.deltas],
            happened_from=begins,
            happened_until=ends,
        )


class EpisodePage(Page):
    """Events, newest first; where they were looked for, nearest first."""

    items: list[EpisodeAnswer]


class EpisodeEdit(Body):
    """What is written over; a field that is left out stays."""

    summary: Text | None = Field(None, examples=["Started at Acme."])
    tags: Annotated[dict[Tag, Tag], Field(max_length=MOST_TAGS)] | None = Field(
        None, examples=[{"mood": "ok"}]
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.summary is None and self.tags is None:
            raise ValueError("changes nothing")
        return self


class GistAnswer(Answer):
    """One fact that an event taught."""

    fact: FactAnswer
    episode_id: UUID
    similarity: float | None

    @classmethod
    def of(cls, one: Gist) -> Self:
        return cls(fact=_fact(one.fact), episode_id=one.episode_id, similarity=one.similarity)


class GistsAnswer(Answer):
    """Gists, newest first; where they were looked for, nearest first."""

    items: list[GistAnswer]


class ProposalAnswer(Answer):
    """One thing that an agent may bring up."""

    reason: Reason
    """`overdue`: a promise whose last day is over; `coming`: something begins or is due soon, or a promise is
    due; `unknown`: a slot of which nothing is known."""
    topic: str
    sub_topic: str
    description: str
    """Of a slot of which nothing is known."""
    at: datetime | None
    fact: FactAnswer | None

    @classmethod
    def of(cls, one: Proposal) -> Self:
        names = ("reason", "topic", "sub_topic", "description", "at")
        return cls(**{name: getattr(one, name) for name in names}, fact=one.fact and _fact(one.fact))


class ProposalsAnswer(Answer):
    """What is overdue, then what comes, then what is not known."""

    items: list[ProposalAnswer]


def _fact(fact: Fact) -> FactAnswer:
    return FactAnswer.as_it_was(fact)
