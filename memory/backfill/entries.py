"""What an export holds, in our terms: conversations, facts, and what cannot be used, with the reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from echoic.memory.types import Role

Record: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One thing that was said."""

    role: Role
    text: str
    said_at: datetime
    name: str = ""
    """What its source calls it; empty: it is known by its words and its time."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a person and an agent said to each other."""

    user_id: str
    agent_id: str
    call_id: str
    said: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact that another system had learned."""

    user_id: str
    name: str
    """What its source calls it."""
    text: str
    topic: str
    said_at: datetime
    valid_until: datetime | None = None

    @property
    def own_id(self) -> UUID | None:
        """What its source calls it, where that may be the id of a fact here: what was read through an API of
        ours is imported."""
        try:
            return UUID(self.name.rpartition(":")[2])
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Refused:
    """What is not taken, and why; a reason holds nobody's words."""

    reason: str
    record: Any


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many parts that nobody said or heard: prompts, tool calls, silence."""

    parts: int


Entry = Conversation | Statement | Refused | LeftOut
Entries = Iterator[Entry]


class Unusable(Exception):
    """A record that cannot be used; its text says why."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the file itself does not say."""

    agent_id: str
    """To whom it was said, where the file names nobody of ours."""
    user_id: str = ""
    """Whose it is, where a record names nobody."""
    timezone: str = "UTC"
    """Of dates that come without one."""
    phone_user: Callable[[str], str | None] = lambda number: None
    """The user who calls from a number."""
