"""What a model is asked for about a conversation: operations on what is known, each with its evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, get_args

from echoic.memory.types import CALLER, About, Precision

Kind = Literal["add", "replace", "end", "confirm"]
Said = Literal["stated", "answered", "denied", "reported", "hypothetical", "playful"]
"""How it was said. What is hypothetical or playful is not true of anybody."""
NOT_MEANT = ("hypothetical", "playful")

TOPICS = (
    *("person", "family", "friends", "pets", "home", "work", "health", "food", "hobbies", "travel", "plans"),
    *("things", "opinions", "assistant", "promises"),
)
"""`assistant`: how this agent should talk or behave, kept for this agent alone. `promises`: what somebody
undertook, the agent included."""
AGENT = "agent"
"""The role of an undertaking that the agent made."""
MOST_TAG_CHARS = 200
MOST_QUOTE_CHARS, MOST_NAME_CHARS = 2_000, 200
"""Of an element's evidence, and of a person or the words that say when: what is longer was never said so."""
MOST_OPERATIONS = 200
"""Of one answer; a model that gives more has lost itself."""


@dataclass(frozen=True, slots=True)
class When:
    """When something is true, was, or is due, beside the words that say so."""

    words: str = ""
    begins: datetime | date | None = None
    ends: datetime | date | None = None
    precision: Precision = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to do with what is known."""

    kind: Kind
    turns: tuple[int, ...]
    """Places of the turns in the portion, from 0."""
    quote: str
    """The caller's words it rests on; empty where a model gave none."""
    text: str = ""
    """The fact, as the model wrote it: it is never rewritten."""
    known: int | None = None
    """Place of the known fact, from 0."""
    about: About = CALLER
    said: Said = "stated"
    topic: str = "person"
    sub_topic: str = ""
    importance: float = 0.5
    when: When = field(default_factory=When)
    names: tuple[str, ...] = ()
    """Other people, places and organisations, as they stand in the fact."""

    @property
    def is_agents(self) -> bool:
        """Whether the agent undertook it."""
        return self.topic == "promises" and self.about.role.lower() == AGENT


@dataclass(frozen=True, slots=True)
class Asked:
    """What of an answer is a matter of the profile's settings."""

    topics: tuple[str, ...] = TOPICS
    sub_topics: tuple[str, ...] | None = None
    """The only ones; none of them: any. None: they are not asked for."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer, read."""

    operations: tuple[Operation, ...]
    unreadable: int = 0
    """Elements of which nothing could be made."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the model says of the whole, where it was asked."""


ANY_TOPIC = Asked()
"""Of a profile that nobody has set."""


def schema(
    turns: int,
    known: int,
    most: int,
    texts: Sequence[str] = (),
    *,
    names: bool = False,
    asked: Asked = ANY_TOPIC,
) -> dict[str, Any]:
    """The JSON schema of an answer; the same for all models, but for how many turns and facts there are.

    Evidence comes before the fact: a model that first copies the words, and says whose they are, writes down
    fewer facts that are not there.

    Args:
        most: operations; a small model would repeat itself until its answer is cut off.
        texts: the only facts that may be used; none: any.
        names: whether to ask for what each fact names: the graph's nodes.
    """
    operation = {
        "turns": {
            "type": "array",
            "items": {"type": "integer", "enum": list(range(1, turns + 1))},
            "maxItems": 4,
        },
        "quote": {"type": "string"},
        "about": {"type": "string"},
        "said": {"type": "string", "enum": list(get_args(Said))},
        "fact": {"type": "string", **({"enum": [*texts, ""]} if texts else {})},
        "op": {"type": "string", "enum": ["add", *_on_known(known)]},
        "topic": {"type": "string", "enum": list(asked.topics)},
        **({} if asked.sub_topics is None else {"sub_topic": _sub_topic(asked.sub_topics)}),
        "weight": {"type": "integer", "enum": list(range(1, 10))},
        "when": {"type": "string"},
        **({"names": {"type": "array", "items": {"type": "string"}, "maxItems": 4}} if names else {}),
    }
    tags = {"tags": _object({name: {"type": "string"} for name in asked.tags})} if asked.tags else {}
    operations = {"type": "array", "items": _object(operation), "maxItems": most}
    return _object({"operations": operations, **tags})


def _sub_topic(only: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", **({"enum": [*only, ""]} if only else {})}


def _on_known(known: int) -> list[str]:
    """ "replace 1": what is done with which known fact."""
    kinds = [kind for kind in get_args(Kind) if kind != "add"]
    return [f"{kind} {number}" for number in range(1, known + 1) for kind in kinds]


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
