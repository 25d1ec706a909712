"""What Mem0's clients send. Fields that a newer client knows and this does not are ignored."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from echoic.api.mem0.conversation.overlap import Said
from echoic.api.mem0.entities import FIELDS, Names, names_in
from echoic.api.mem0.faults import invalid
from echoic.memory.text.words import capped, clean
from echoic.memory.types import Role

KEPT_ROLES: dict[str, Role] = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}
SILENT_ROLES = frozenset({"system", "developer", "tool", "function"})
"""Part of a conversation, and said by nobody."""
MOST_METADATA_CHARS = 16_000
MOST_MESSAGES = 10_000
MOST_BATCH = 1_000


def _holdable(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """JSON that Postgres can hold, too."""
    text = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    if len(text) > MOST_METADATA_CHARS or "\\u0000" in text or clean(text) != text:
        raise ValueError(f"at most {MOST_METADATA_CHARS} characters of JSON, without NUL and half characters")
    return metadata


Metadata = Annotated[dict[str, Any] | None, AfterValidator(_holdable)]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000), AfterValidator(clean)
]
Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000)]
Flag = bool | None
TopK = Annotated[int | None, Field(ge=0, le=1_000)]


class Body(BaseModel):
    """What is sent: an unknown field is ignored."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)


class Named(Body):
    """With the entities that it is about: in `filters`, or beside them as older clients send them."""

    user_id: Any = None
    agent_id: Any = None
    app_id: Any = None
    run_id: Any = None
    filters: dict[str, Any] | None = None

    @property
    def names(self) -> Names:
        """For what is added."""
        return names_in(self.model_dump(include=set(FIELDS)), self.filters)

    @property
    def whole_filter(self) -> dict[str, Any]:
        """For what is looked up: all of it must fit."""
        beside = {field: value for field in FIELDS if (value := getattr(self, field)) not in (None, "")}
        return {"AND": [beside, self.filters or {}]}


class Message(Body):
    """One message of a conversation."""

    role: str = "user"
    content: Any = None


class AddBody(Named):
    """What is to be remembered."""

    messages: list[Message] = Field(min_length=1, max_length=MOST_MESSAGES)
    metadata: Metadata = None
    infer: Flag = True
    timestamp: float | str | None = None
    expiration_date: str | None = None

    @field_validator("messages", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        """A text is the user's, and one message is a list of one."""
        if isinstance(value, str):
            return [{"role": "user", "content": value}]
        return [value] if isinstance(value, dict) else value

    def said(self) -> list[Said]:
        """What was said, in order; nothing of system prompts and tools.

        Raises:
            Problem: 400; a role is nobody's.
        """
        found = []
        for place, message in enumerate(self.messages):
            role = message.role.strip().lower()
            if role in SILENT_ROLES:
                continue
            if role not in KEPT_ROLES:
                raise invalid(f"messages.{place}.role: user, assistant, system, developer, tool or function.")
            if text := capped(clean(_text_of(message.content))).strip():
                found.append(Said(KEPT_ROLES[role], text))
        return found


class ListBody(Named):
    """Which memories, page by page."""

    page: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    page_size: Annotated[int | None, Field(ge=1, le=1_000)] = None
    start_date: float | str | None = None
    end_date: float | str | None = None
    categories: list[str] | None = None
    metadata: Metadata = None
    show_expired: Flag = False
    fields: list[str] | None = None


class SearchBody(ListBody):
    """What is asked of them."""

    query: Query
    top_k: TopK = None
    limit: TopK = None
    threshold: Annotated[float | None, Field(ge=-1, le=1, allow_inf_nan=False)] = None
    reference_date: float | str | None = None

    @property
    def most(self) -> int:
        """How many memories are wanted; Mem0's own MCP server says `limit`."""
        return next((one for one in (self.top_k, self.limit) if one is not None), 10)


class UpdateBody(Body):
    """What is changed of a memory; a field that is left out stays."""

    text: Text | None = None
    memory: Text | None = None
    data: Text | None = None
    metadata: Metadata = None
    timestamp: float | str | None = None
    expiration_date: str | None = None

    @property
    def new_text(self) -> str | None:
        """Whatever the client calls it."""
        return self.text or self.memory or self.data


class BatchItem(UpdateBody):
    memory_id: str


class BatchBody(Body):
    """Several memories at once."""

    memories: list[BatchItem] = Field(min_length=1, max_length=MOST_BATCH)


class FeedbackBody(Body):
    """Whether a memory was of use."""

    memory_id: str
    feedback: Annotated[str | None, StringConstraints(max_length=20)] = None
    feedback_reason: Annotated[
        str | None, StringConstraints(max_length=2_000), AfterValidator(lambda x: x and clean(x))
    ] = None


def _text_of(content: Any) -> str:
    """The words of a message: a text, or the texts among its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [one.get("text") if isinstance(one, dict) else one for one in parts]
    return "\n".join(text for text in texts if isinstance(text, str))
