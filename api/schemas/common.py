"""What bodies share: text that every store can hold, and answers that are written from dataclasses."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from echoic.api.problems import MEDIA
from echoic.memory.text import words


def holdable(text: str) -> str:
    """The text, if every store can hold it."""
    if words.holdable(text) != text:
        raise ValueError("holds NUL or half a character")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(holdable)]
Said = Annotated[Text, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(holdable)]
AgentId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(holdable)]


class Body(BaseModel):
    """What is sent: an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Answer(BaseModel):
    """What is answered, read from our dataclasses."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class ProblemBody(Answer):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:echoic:problem:changed-meanwhile"])
    """A name that does not change."""
    title: str = Field(examples=["Precondition Failed"])
    status: int = Field(examples=[412])
    detail: str = Field(examples=["Somebody changed this fact meanwhile: read it again."])


def _refusals(**statuses: str) -> dict[int | str, dict[str, Any]]:
    """As a route's `responses` wants them."""
    return {
        int(name.removeprefix("s")): {"model": ProblemBody, "content": {MEDIA: {}}, "description": says}
        for name, says in statuses.items()
    }


PROBLEMS = _refusals(
    s400="It cannot be read: no JSON, or a cursor of another list",
    s401="No valid key",
    s403="Not with this key, or from another origin",
    s404="Nothing of this id",
    s409="Not as things stand",
    s413="The body is too large",
    s421="The API is not reached under this name",
    s422="The request does not fit its description",
    s429="Too many requests",
    s503="A store does not answer",
)
"""What any route may answer."""
EDITS = _refusals(
    s412="Somebody else has changed it since it was read",
    s428="The ETag that was read is missing",
)
"""What a route may answer that takes If-Match."""


class Page(Answer):
    """A part of a list."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
