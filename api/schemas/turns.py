"""What was said somewhere else, as it is sent to be remembered."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from echoic.api.schemas.common import AgentId, Answer, Body, holdable
from echoic.api.schemas.facts import When
from echoic.memory.types import Role

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000), AfterValidator(holdable)
]
SenderId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(holdable)]


class TurnCreate(Body):
    """One thing that was said."""

    role: Role
    text: Words = Field(examples=["My dog is called Biscuit."])
    said_at: When | None = None
    """Default: now."""
    id: SenderId | None = None
    """The sender's own; default: its place and its words. The same one in the same call is stored once."""


class TurnsBody(Body):
    """A conversation, or a part of it, in its order."""

    turns: Annotated[list[TurnCreate], Field(min_length=1, max_length=500)]
    call_id: SenderId | None = None
    """The conversation; default: one of its own. Sent again with the same one, nothing is stored twice."""
    agent_id: AgentId | None = None
    """Who spoke with the person; default: `ECHOIC_AGENT_ID`."""
    ended: bool = False
    """The conversation is over: learn from it at once, and not after a pause."""


class TurnsKept(Answer):
    """What is durable now."""

    call_id: str
    turn_ids: list[UUID | None]
    """In the order of the request; null: not kept, because this person does not want to be remembered, or
    has not agreed yet."""
