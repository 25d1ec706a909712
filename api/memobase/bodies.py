"""What Memobase's clients send. Fields that a newer client knows and this does not are ignored."""

from datetime import datetime
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from echoic.api.memobase.asker import Id
from echoic.api.schemas.facts import Moment
from echoic.memory.text.words import clean
from echoic.memory.types import Role

BlobType = Literal["chat", "doc", "image", "code", "transcript", "summary"]
MOST_MESSAGES = 10_000
MOST_NAME_CHARS = 100
MOST_SLOT_CHARS = 2_000
"""Of one text that is put into a slot."""
_moment = TypeAdapter(Moment)


def _held(data: dict[str, Any]) -> dict[str, Any]:
    """As every store can hold it."""
    try:
        return _cleaned(data)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("holds a number that no JSON has, or that is too large")
    if isinstance(value, dict):
        return {clean(name): _cleaned(one) for name, one in value.items()}
    return [_cleaned(one) for one in value] if isinstance(value, list) else value


Data = Annotated[dict[str, Any], AfterValidator(_held)]


class Body(BaseModel):
    """What is sent: an unknown field is ignored."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class UserBody(Body):
    """Somebody new."""

    data: Data | None = None
    id: Id | None = None


class BlobBody(Body):
    """Messages, or a text; `blob_data` is read as its type wants it."""

    blob_type: BlobType
    blob_data: Data
    fields: Data | None = None
    created_at: Moment | None = None


class Message(Body):
    """One thing that was said."""

    role: Role
    content: str
    alias: str | None = None
    created_at: str | None = None


class Chat(Body):
    """A part of a conversation."""

    messages: list[Message] = Field(max_length=MOST_MESSAGES)


class Doc(Body):
    """A text."""

    content: str


class Summary(Body):
    """What somebody made of a conversation."""

    summary: str


class ConfigBody(Body):
    """YAML; empty or null: none."""

    profile_config: str | None


class ProfileBody(Body):
    """What stands in a slot."""

    content: str
    attributes: dict[str, Any]


class Slot(Body):
    """Which one."""

    topic: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MOST_NAME_CHARS)]
    sub_topic: Annotated[str, StringConstraints(strip_whitespace=True, max_length=MOST_NAME_CHARS)]


class ImportBody(Body):
    """A text about the user, in their own words."""

    context: str


class DeltaBody(Body):
    """One thing that an event did to what is known."""

    content: str
    attributes: dict[str, Any] | None = None


class TagBody(Body):
    """What an event is told apart by."""

    tag: str
    value: str


class EventBody(Body):
    """What is written over; what is left out or null stays."""

    profile_delta: list[DeltaBody] | None = None
    event_tip: str | None = None
    event_tags: list[TagBody] | None = None


class ProactiveBody(Body):
    """What is spoken of."""

    messages: list[Message]
    agent_context: str | None = None


def moment(text: str | None) -> datetime | None:
    """When something was said; None: not known, or in no calendar."""
    try:
        return _moment.validate_python(text)
    except ValidationError:
        return None
