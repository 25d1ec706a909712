"""A model's JSON read as operations, however it names and nests them.

Schemas are kept by some endpoints alone: others bring Mem0's events, a tool call's arguments, JSON inside a
string, numbers as words of a text. What is no operation is counted and left out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, get_args

from dateutil.relativedelta import relativedelta

from echoic.memory.disk.lines import YEARS
from echoic.memory.errors import ModelAnswerInvalid
from echoic.memory.profile.slots import unified
from echoic.memory.text.words import clean
from echoic.memory.types import CALLER, About, Precision
from echoic.workers.evidence.operations import (
    ANY_TOPIC,
    MOST_NAME_CHARS,
    MOST_OPERATIONS,
    MOST_QUOTE_CHARS,
    MOST_TAG_CHARS,
    Answer,
    Asked,
    Operation,
    Said,
    When,
)

LISTS = ("operations", "ops", "facts", "memories", "memory", "actions", "changes", "items", "results")
_FIELDS = {
    "fact": ("fact", "text", "newmemory", "memory", "content", "statement", "value", "data"),
    "op": ("op", "event", "action", "operation", "type"),
    "known": ("known", "knownid", "target", "factid", "memoryid", "id"),
    "turns": ("turns", "turn", "line", "lines", "turnnumbers"),
    "quote": ("quote", "evidence"),
    "about": ("about", "subject"),
    "topic": ("topic", "category"),
    "weight": ("weight", "importance"),
    "when": ("when", "date"),
    **{name: (name,) for name in ("said", "subtopic", "names")},
}
_KINDS: Mapping[str, Sequence[str]] = {
    "add": ("add", "new", "create", "insert"),
    "replace": ("replace", "update", "supersede", "modify", "change"),
    "end": ("end", "ended", "delete", "remove", "close"),
    "confirm": ("confirm", "keep"),
    "": ("none", "noop", "nochange", "unchanged", "skip"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_NOT_LETTERS = re.compile(r"[\W_]+")
_OP = re.compile(r"\W*([a-z_]+)\D*(\d{1,9})?", re.IGNORECASE)
_RANGE = re.compile(r"(\d{1,9})(?:\s*[-–]\s*(\d{1,9}))?")
MOST_NESTED = 5
"""Objects and strings of JSON around the operations."""


def read_answer(answer: Any, turns: int, known: int, asked: Asked = ANY_TOPIC) -> Answer:
    """A model's JSON as operations, however it names them.

    Raises:
        ModelAnswerInvalid: it is not empty, and nothing of it is usable.
    """
    elements = list(_elements(answer))
    read = [_operation(element, turns, known, asked) for element in elements[:MOST_OPERATIONS]]
    operations = tuple(dict.fromkeys(one for one in read if isinstance(one, Operation)))
    unreadable = len(elements) - sum(one is not None for one in read)
    if unreadable and not operations:
        raise ModelAnswerInvalid("Nothing in the language model's answer can be used.")
    return Answer(operations, unreadable, _tags(answer, asked))


def _tags(answer: Any, asked: Asked) -> dict[str, str]:
    given = answer.get("tags") if isinstance(answer, Mapping) else None
    found = {name: _words(given.get(name)) for name in asked.tags} if isinstance(given, Mapping) else {}
    return {name: value[:MOST_TAG_CHARS] for name, value in found.items() if value}


def _elements(answer: Any, depth: int = 0) -> Iterator[Any]:
    """The operations of an answer that is one, a list of them, or holds such a list under any name.

    Raises:
        ModelAnswerInvalid: it is none of these.
    """
    answer = _unpacked(answer)
    if isinstance(answer, list):
        for element in answer:
            inner = _inside(element)
            if inner is None or depth >= MOST_NESTED:
                yield element
            else:
                yield from _elements(inner, depth + 1)
        return
    if not isinstance(answer, Mapping):
        raise ModelAnswerInvalid("The language model's answer is no list of operations.")
    if _is_operation(answer, strictly=True):
        yield answer
        return
    named = {_name(name): _unpacked(value) for name, value in answer.items()}
    lists = [found for name in LISTS if (found := _listed(named.get(name))) is not None]
    lists += [value for name, value in named.items() if name not in LISTS and _is_list_of_objects(value)]
    inner = [value for value in named.values() if isinstance(value, Mapping)]
    if lists:
        for found in lists:
            yield from _elements(found, depth + 1)
    elif _stands_alone(answer):
        yield answer
    elif len(inner) == 1 and depth < MOST_NESTED:  # {"result": {...}}, a tool's name and arguments
        yield from _elements(inner[0], depth + 1)
    elif answer and not any(name in named for name in LISTS):
        raise ModelAnswerInvalid("The language model's answer holds no operations.")


def _inside(element: Any) -> Any:
    """What an element of a list holds in place of an operation: a list of them, or JSON as its text."""
    if not isinstance(element, Mapping):
        return None
    text = _fields(element)["fact"]
    if _is_operation(element) and _unpacked(text) is text:
        return None
    named = {_name(name): value for name, value in element.items()}
    packed = [one for value in named.values() if (one := _unpacked(value)) is not value]
    lists = [found for name in LISTS if isinstance(found := named.get(name), list)]
    return (lists or packed or [None])[0]


def _unpacked(value: Any) -> Any:
    """The JSON that a string holds, if it holds an object or a list."""
    for _ in range(MOST_NESTED):
        if not isinstance(value, str) or value.strip()[:1] not in ("{", "["):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def _listed(value: Any) -> list[Any] | None:
    """A list, also one whose elements are numbered: {"1": {...}}."""
    if isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values()):
        return list(value.values())
    return value if isinstance(value, list) else None


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _is_operation(element: Mapping[Any, Any], *, strictly: bool = False) -> bool:
    """An object with a text, or with a kind; strictly: with both."""
    fields = _fields(element)
    has_text, has_kind = bool(_words(fields["fact"])), bool(_kind(fields["op"])[0])
    return has_text and has_kind if strictly else has_text or has_kind


def _stands_alone(element: Mapping[Any, Any]) -> bool:
    """Whether an object in no list is one: "content" may be an apology."""
    fields = _fields(element)
    is_named = any(_words(element.get(name)) for name in ("fact", "text", "memory"))
    given = sum(value is not None for value in fields.values())
    return _is_operation(element) and (is_named or _kind(fields["op"])[0] is not None or given > 1)


def _fields(element: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """What an element says, by the schema's names; {"end 2": {...}} has its kind for a name."""
    named = {_name(name): value for name, value in element.items()}
    inner: Any = next(iter(element.values()), None)
    is_one = len(element) == 1 and isinstance(inner, Mapping) and depth < MOST_NESTED
    if is_one and _kind(next(iter(element)))[0] is not None:
        return {**_fields(inner, depth + 1), "op": next(iter(element))}
    found = {
        field: next((named[name] for name in names if named.get(name) not in (None, "")), None)
        for field, names in _FIELDS.items()
    }
    # a number under "fact" is the known one's, and a "type" that is no kind says what the fact is about
    found["fact"] = next((named[name] for name in _FIELDS["fact"] if _words(named.get(name))), None)
    said = [value for name in _FIELDS["op"] if (value := named.get(name))]
    kinds = [value for value in said if _kind(value, depth)[0] is not None]
    given = (named[name] for name in _FIELDS["op"][:-1] if named.get(name) not in (None, ""))
    return found | {"op": next(iter([*kinds, *given]), None)}


def _name(key: Any) -> str:
    return _NOT_LETTERS.sub("", str(key)).lower()


def _kind(value: Any, depth: int = 0) -> tuple[str | None, int | None]:
    """What is to be done, and with which known fact: "replace 1", "CONFIRM [2]", ["end", 3]; "" is nothing.

    None: no such thing.
    """
    if isinstance(value, Mapping):
        if depth >= MOST_NESTED:
            return None, None
        fields = _fields(value, depth + 1)
        word, number = _kind(fields["op"], depth + 1)
        return word, number or _number(fields["known"])
    said = " ".join(map(str, value)) if isinstance(value, list) else _words(value)
    found = _OP.match(said)
    if found is None:
        return None, None
    return _KIND_OF.get(_name(found[1])), _number(found[2])


def _operation(element: Any, turns: int, known: int, asked: Asked) -> Operation | str | None:
    """None: nothing can be made of it; empty: it says itself that nothing is to be done."""
    fields = _fields(element if isinstance(element, Mapping) else {"fact": element})
    kind: Any
    kind, place = _kind(fields["op"] or "add")
    place = place or _number(fields["known"])
    text = _words(fields["fact"])
    fact = place - 1 if place is not None and 1 <= place <= known else None
    if kind == "":
        return ""
    if kind is None or (not text and (kind in ("add", "replace") or fact is None)):
        return None
    if kind != "add" and fact is None:
        kind = "add"  # it replaces nothing that is known: the fact itself may still be one
    return Operation(
        kind=kind,
        turns=_turns(fields["turns"], turns),
        quote=_words(fields["quote"])[:MOST_QUOTE_CHARS],
        text=text,
        known=fact if kind != "add" else None,
        about=_about(fields["about"]),
        said=_one_of(fields["said"], get_args(Said), "stated"),
        topic=_one_of(fields["topic"], asked.topics, asked.topics[0]),
        sub_topic="" if asked.sub_topics is None else unified(_words(fields["subtopic"]))[:100],
        importance=_importance(fields["weight"]),
        when=_when(fields["when"]),
        names=tuple(dict.fromkeys(_names(fields["names"], text))),
    )


def _names(value: Any, text: str) -> list[str]:
    return [one for name in value if (one := _words(name)) and one in text] if isinstance(value, list) else []


def _turns(named: Any, turns: int) -> tuple[int, ...]:
    """Places from 0 of turns that are named as 2, "2", [1, 2], "1-3", "turn 2"."""
    found: list[int] = []
    for first, last in _RANGE.findall(json.dumps(named) if isinstance(named, list) else str(named)):
        found += range(int(first), min(int(last or first), turns) + 1)
    return tuple(dict.fromkeys(number - 1 for number in found if 1 <= number <= turns))


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) and value == value and abs(value) < 1e9:
        return int(value)
    text = str(value or "").strip().lstrip("#")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _words(value: Any) -> str:
    """A text as it can be stored."""
    return " ".join(clean(value).split()) if isinstance(value, str) else ""


def _one_of(value: Any, allowed: Sequence[str], otherwise: str) -> Any:
    text = _words(value).lower()
    return text if text in allowed else otherwise


def _importance(weight: Any) -> float:
    """1 to 9, also as "7/10"; or a share of one."""
    if isinstance(weight, float) and 0 < weight < 1:
        return round(weight, 2)
    number = _number(str(weight).partition("/")[0] if isinstance(weight, str) else weight)
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
        return When(words, _date(value.get("from")), _date(value.get("until"), last=True), precision)
    dates, _, words = _words(value)[:MOST_NAME_CHARS].partition(": ")
    found = [part for part in re.split(r"[\s/]+", dates) if _date(part) is not None]
    precision = next((part for part in dates.lower().split() if part in get_args(Precision)), "")
    if not (found or precision):
        return When()
    begins, ends = (_date(found[0]) if found else None), (_date(found[1], last=True) if found[1:] else None)
    return When(words, begins, ends, precision)  # type: ignore[arg-type]


def _date(value: Any, *, last: bool = False) -> datetime | date | None:
    """A day, or a moment if a time is given; "2026-11" and "2026" are their first day, or their last."""
    text = _words(value)
    unit = len(text) if len(text) in (4, 7) and text[:4].isdecimal() else 0
    if unit:
        text = f"{text}-01-01"[:10] if unit == 4 else f"{text}-01"
    try:
        found = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        if last and unit:
            found = (found + relativedelta(months=12 if unit == 4 else 1)) - timedelta(days=1)
        elif isinstance(found, datetime):
            found = found.replace(tzinfo=None)  # it is shown the caller's hours, and no zone
    except (ValueError, OverflowError):
        return None
    return found if found.year in YEARS else None
