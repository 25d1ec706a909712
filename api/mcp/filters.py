"""Filters of a search, as clients of Mem0 write them: the parts of them that mean something here.

What is not understood is refused: a filter that was passed over would show more than was asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MOST_TOPICS = 20
SENTENCE = (
    "The filters cannot be used: they are user_id (your own), agent_id, and categories or topic, "
    "alone or in one AND list, each a text or a list of texts."
)
NOT_YOURS = "This connection is bound to one user: leave user_id out of the filters."


class FilterWrong(Exception):
    """A filter says something that is not known here, or names somebody else."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search keeps to."""

    agent_id: str = ""
    """Empty: `ECHOIC_AGENT_ID`."""
    topics: frozenset[str] = frozenset()
    """Empty: all."""


def read_filters(filters: Mapping[str, Any] | None, user_id: str) -> Filters:
    """What these filters say.

    Raises:
        FilterWrong: with a sentence for the client.
    """
    agents, topics = set[str](), list[frozenset[str]]()
    for key, value in _flat(filters or {}):
        named = _texts(value)
        if key == "user_id":
            if named != {user_id}:
                raise FilterWrong(NOT_YOURS)
        elif key == "agent_id":
            agents |= named
        elif key in ("categories", "topic"):
            topics.append(named)
        else:
            raise FilterWrong(SENTENCE)
    if len(agents) > 1 or len(topics) > 1:
        raise FilterWrong(SENTENCE)
    return Filters(next(iter(agents), ""), topics[0] if topics else frozenset())


def _flat(filters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in filters.items():
        if key != "AND":
            yield key, value
            continue
        if not isinstance(value, list) or not all(
            isinstance(one, dict) and "AND" not in one for one in value
        ):
            raise FilterWrong(SENTENCE)
        for one in value:
            yield from one.items()


def _texts(value: Any) -> frozenset[str]:
    """A text, a list of them, or one of these after `in` or `contains`."""
    if isinstance(value, dict) and len(value) == 1:
        ((how, value),) = value.items()
        if how not in ("in", "contains", "eq"):
            raise FilterWrong(SENTENCE)
    found = value if isinstance(value, list) else [value]
    if not 0 < len(found) <= MOST_TOPICS or not all(isinstance(one, str) and one for one in found):
        raise FilterWrong(SENTENCE)
    return frozenset(found)
