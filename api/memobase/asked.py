"""What a query asks of a profile or a context: its filters, and what is spoken of."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError

from echoic.api.memobase.bodies import Message
from echoic.api.memobase.frame import failed
from echoic.memory.profile.profile import Limits
from echoic.memory.profile.slots import unified
from echoic.memory.text.words import capped, clean

SPOKEN_OF = 3
"""Last messages that say what is spoken of."""
MOST = 100_000
_messages = TypeAdapter(list[Message])
_limits = TypeAdapter(dict[str, int])
Topics = Annotated[list[str] | None, Query()]


@dataclass(frozen=True)
class Asked:
    """FastAPI reads it from a query."""

    max_token_size: int | None = None
    prefer_topics: Topics = None
    only_topics: Topics = None
    max_subtopic_size: int | None = None
    topic_limits_json: str | None = None
    topic_limits: str | None = None
    """The same, as the JavaScript client calls it."""
    chats_str: str | None = None

    def limits(self, *, slots: int | None = None, tokens: int | None = None) -> Limits:
        """Which part of a profile is wanted.

        Raises:
            Problem: 400, the limits are not JSON.
        """
        only = None if self.only_topics is None else tuple(map(unified, self.only_topics))
        prefer = tuple(map(unified, self.prefer_topics or ()))
        each = _at_most(self.max_subtopic_size)
        return Limits(only, prefer, each, self._of_topic(), _at_most(slots), _at_most(tokens))

    def spoken_of(self) -> str:
        """The last things that were said; empty: nothing is named.

        Raises:
            Problem: 400, the messages are not JSON.
        """
        if not self.chats_str:
            return ""
        try:
            said = _messages.validate_json(self.chats_str)
        except ValidationError:
            raise failed(400, "chats_str is a JSON list of messages.") from None
        return capped(clean("\n".join(one.content for one in said[-SPOKEN_OF:]).strip()))

    def _of_topic(self) -> dict[str, int]:
        text = self.topic_limits_json or self.topic_limits
        if not text:
            return {}
        try:
            found: dict[str, Any] = _limits.validate_json(text)
        except ValidationError:
            raise failed(400, 'topic_limits_json is a JSON object such as {"work": 3}.') from None
        return {unified(topic): max(0, most) for topic, most in found.items()}


def _at_most(number: int | None) -> int | None:
    return None if number is None else max(0, min(number, MOST))


FromQuery = Annotated[Asked, Depends()]
