"""What a model is asked for about a conversation: operations on what is known, each with its evidence."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, get_args

from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.profile.slots import unified
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


def schema(
    turns: int,
    known: int,
    most: int,
    texts: Sequence[str] = (),
    *,
    names: bool = False,
    asked: Asked = Asked(),
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


def read_answer(answer: Any, turns: int, known: int, asked: Asked = Asked()) -> Answer:
    """A model's JSON as operations, however it names them.

    Raises:
        ModelAnswerInvalid: it is not empty, and nothing of it is usable.
    """
    elements = list(_elements(answer))
    read = [_operation(element, turns, known, asked) for element in elements[:MOST_OPERATIONS]]
    operations = tuple(dict.fromkeys(one for one in read if one is not None))
    if elements and not operations:
        raise ModelAnswerInvalid("Nothing in the language model's answer can be used.")
    return Answer(operations, len(elements) - sum(one is not None for one in read), _tags(answer, asked))


def _tags(answer: Any, asked: Asked) -> dict[str, str]:
    given = answer.get("tags") if isinstance(answer, Mapping) else None
    found = {name: _words(given.get(name)) for name in asked.tags} if isinstance(given, Mapping) else {}
    return {name: value[:MOST_TAG_CHARS] for name, value in found.items() if value}


LISTS = ("operations", "ops", "facts", "memories", "memory", "actions", "changes", "items", "results")
_TEXTS = ("fact", "text", "memory", "content", "statement", "value", "data")
_KINDS = {
    "add": "add",
    "new": "add",
    "create": "add",
    "insert": "add",
    "replace": "replace",
    "update": "replace",
}
_KINDS |= {
    "end": "end",
    "ended": "end",
    "delete": "end",
    "remove": "end",
    "close": "end",
    "confirm": "confirm",
}
_KINDS |= {"none": "confirm", "noop": "confirm", "keep": "confirm"}


def _elements(answer: Any) -> Iterator[Any]:
    """The operations of an answer that is one, a list of them, or holds such a list under any name.

    Raises:
        ModelAnswerInvalid: it is none of these.
    """
    if isinstance(answer, list):
        yield from answer
        return
    if not isinstance(answer, Mapping):
        raise ModelAnswerInvalid("The language model's answer is no list of operations.")
    lists = [found for name in LISTS if (found := _listed(answer.get(name))) is not None]
    lists += [value for name, value in answer.items() if name not in LISTS and _is_list_of_objects(value)]
    inner = [value for value in answer.values() if isinstance(value, Mapping)]
    if lists:
        for found in lists:
            yield from found
    elif _text_of(answer) or "op" in answer:
        yield answer
    elif len(inner) == 1 == len(answer):  # {"result": {"operations": [...]}}
        yield from _elements(inner[0])
    elif answer and not any(name in answer for name in LISTS):
        raise ModelAnswerInvalid("The language model's answer holds no operations.")


def _listed(value: Any) -> list[Any] | None:
    """A list, also one whose elements are numbered: {"1": {...}}."""
    if isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values()):
        return list(value.values())
    return value if isinstance(value, list) else None


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _operation(element: Any, turns: int, known: int, asked: Asked) -> Operation | None:
    if isinstance(element, str):
        element = {"fact": element}
    if not isinstance(element, Mapping):
        return None
    named = str(element.get("op") or element.get("event") or element.get("action") or "add").lower().split()
    kind: Any = _KINDS.get(named[0]) if named else None
    place = _number(named[1] if len(named) > 1 else element.get("known"))
    text = _text_of(element)
    fact = place - 1 if place is not None and 1 <= place <= known else None
    if kind is None or (kind in ("replace", "end", "confirm") and fact is None and not text):
        return None
    if kind in ("add", "replace") and not text:
        return None
    if kind != "add" and fact is None:
        kind = "add"  # it replaces nothing that is known: the fact itself may still be one
    return Operation(
        kind=kind,
        turns=_turns(element, turns),
        quote=_words(element.get("quote"))[:MOST_QUOTE_CHARS],
        text=text,
        known=fact if kind != "add" else None,
        about=_about(element.get("about")),
        said=_one_of(element.get("said"), get_args(Said), "stated"),
        topic=_one_of(element.get("topic"), asked.topics, asked.topics[0]),
        sub_topic="" if asked.sub_topics is None else unified(_words(element.get("sub_topic")))[:100],
        importance=_importance(element.get("weight")),
        when=_when(element.get("when")),
        names=tuple(dict.fromkeys(_names(element.get("names"), text))),
    )


def _names(value: Any, text: str) -> list[str]:
    return [one for name in value if (one := _words(name)) and one in text] if isinstance(value, list) else []


def _text_of(element: Mapping[Any, Any]) -> str:
    return next((_words(element[name]) for name in _TEXTS if _words(element.get(name))), "")


def _turns(element: Mapping[Any, Any], turns: int) -> tuple[int, ...]:
    named = element.get("turns", element.get("turn", element.get("line", element.get("lines"))))
    numbers = [_number(one) for one in (named if isinstance(named, list) else [named])]
    return tuple(dict.fromkeys(number - 1 for number in numbers if number and 1 <= number <= turns))


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) and value == value and abs(value) < 1e9:
        return int(value)
    text = str(value or "").strip().lstrip("#")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _words(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _one_of(value: Any, allowed: Sequence[str], otherwise: str) -> Any:
    text = _words(value).lower()
    return text if text in allowed else otherwise


def _importance(weight: Any) -> float:
    number = _number(weight)
    return round(min(max(number, 1), 9) / 9, 2) if number is not None else 0.5


_CALLER_NAMES = frozenset({"", "caller", "user", "me", "i", "self", "the caller", "the user", "speaker"})


def _about(value: Any) -> About:
    """ "sister, Ana" or an object with role and name; a caller with a name is the caller."""
    if isinstance(value, Mapping):
        role, name = _words(value.get("role")), _words(value.get("name"))
    else:
        role, _, name = (part.strip() for part in _words(value).partition(","))
    role, name = role[:MOST_NAME_CHARS], name[:MOST_NAME_CHARS]
    if role.lower() in _CALLER_NAMES and (role or not name):
        return CALLER
    return About(role, name)


def _when(value: Any) -> When:
    """ "2026-05-02/2026-05-09 day: for a week", or an object with from, until, precision and words."""
    if isinstance(value, Mapping):
        precision = _one_of(value.get("precision"), get_args(Precision), "")
        words = _words(value.get("words"))[:MOST_NAME_CHARS]
        return When(words, _date(value.get("from")), _date(value.get("until")), precision)
    dates, _, words = _words(value)[:MOST_NAME_CHARS].partition(": ")
    found = [date_of for part in re.split(r"[\s/]+", dates) if (date_of := _date(part)) is not None]
    precision = next((part for part in dates.lower().split() if part in get_args(Precision)), "")
    if not (found or precision):
        return When()
    return When(words, found[0] if found else None, found[1] if len(found) > 1 else None, precision)  # type: ignore[arg-type]


def _date(value: Any) -> datetime | date | None:
    """A day, or a moment if a time is given; "2026-11" and "2026" are their first day."""
    text = _words(value)
    if len(text) in (4, 7) and text[:4].isdigit():
        text = f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01"
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        return None


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
