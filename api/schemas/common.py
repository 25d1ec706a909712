"""What bodies share: text that every store can hold, and answers that are written from dataclasses."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from echoic.memory.text.words import clean


def _holdable(text: str) -> str:
    if clean(text) != text:
        raise ValueError("holds NUL or half a character")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000), AfterValidator(_holdable)]
Said = Annotated[Text, StringConstraints(min_length=1)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_holdable)]
AgentId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_holdable)]


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


class Page(Answer):
    """A part of a list."""

    next: str | None = None
    """Cursor of the next page; null: this is the last one."""
