"""One condition of a filter, such as `{"created_at": {"gte": "2026-11-01"}}`, as a test of a memory."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from echoic.api.mem0.entities import ANY, Kind
from echoic.api.mem0.faults import invalid
from echoic.api.mem0.filters.dates import is_day, moment
from echoic.api.mem0.memo import Memo

Test = Callable[[Memo], bool]
Operator = tuple[str, Any]
ORDERS = ("gt", "gte", "lt", "lte")
MOST_LISTED = 500
INSTANT = timedelta(microseconds=1)
DATES: dict[str, Callable[[Memo], datetime | None]] = {
    "created_at": lambda one: one.created_at,
    "timestamp": lambda one: one.created_at,
    "updated_at": lambda one: one.updated_at,
    "expiration_date": lambda one: one.valid_until and one.valid_until - INSTANT,
}
TEXTS = ("text", "keywords", "keywords_search", "memory")
IDS = ("memory_ids", "id")


def entity_test(kind: Kind, operator: str, names: Collection[str]) -> Test:
    """Whether it is one of these users, agents, apps or runs; `ne`: none of them; `*` is any."""
    if ANY in names:
        return lambda one: (one.entity(kind) is None) == (operator == "ne")
    if operator == "ne":
        return lambda one: one.entity(kind) not in names
    return lambda one: one.entity(kind) in names


def date_test(key: str, value: Any) -> Test:
    """By one of the memory's dates."""
    when, known = DATES[key], (*ORDERS, "eq", "ne", "in")
    tests = [_time(operator, wanted, key) for operator, wanted in operators(value, known, key)]
    return lambda one: (at := when(one)) is not None and all(test(at) for test in tests)


def category_test(value: Any) -> Test:
    """By its topic, in either case."""
    return every(
        [
            _topic(one, wanted)
            for one, wanted in operators(value, ("eq", "ne", "in", "contains"), "categories")
        ]
    )


def metadata_test(value: Any) -> Test:
    """By what the client keeps with it; several keys must all fit."""
    if not isinstance(value, Mapping) or not value:
        raise invalid('filters: metadata is an object such as {"metadata": {"plan": "gold"}}.')
    tests = [
        _held(str(key), operator, wanted)
        for key, condition in value.items()
        for operator, wanted in operators(condition, ("eq", "ne", "in", "contains", *ORDERS), "metadata")
    ]
    return lambda one: all(test(one.metadata or {}) for test in tests)


def text_test(key: str, value: Any) -> Test:
    """By a part of its text: `contains` as it is written, otherwise in either case."""
    return every(
        [_part(key, one, wanted) for one, wanted in operators(value, ("eq", "contains", "icontains"), key)]
    )


def id_test(key: str, value: Any) -> Test:
    """Whether it is one of these memories."""
    ids = {
        str(one)
        for operator, wanted in operators(value, ("eq", "in"), key)
        for one in (listed(wanted, key) if operator == "in" else [wanted])
    }
    return lambda one: str(one.memory_id) in ids


def every(tests: Collection[Test]) -> Test:
    """All of them."""
    return lambda one: all(test(one) for test in tests)


def operators(value: Any, known: Collection[str], key: str) -> list[Operator]:
    """What is asked for, by operator: a bare value is to be equal, of a bare list one is."""
    if not isinstance(value, Mapping):
        return [("in", value) if isinstance(value, list) and "in" in known else ("eq", value)]
    if not value or set(value) - set(known):
        raise invalid(f"filters: {key} takes {', '.join(known)}.")
    return list(value.items())


def listed(value: Any, key: str) -> list[Any]:
    """The list that stands behind `in`."""
    if not isinstance(value, list) or len(value) > MOST_LISTED:
        raise invalid(f"filters: {key} needs a list here, of at most {MOST_LISTED}.")
    return value


def _time(operator: str, wanted: Any, key: str) -> Callable[[datetime], bool]:
    if operator == "in":
        some = [_time("eq", one, key) for one in listed(wanted, key)]
        return lambda at: any(test(at) for test in some)
    begin = moment(wanted, key)
    end = begin + (timedelta(days=1) if is_day(wanted) else INSTANT)
    tests: dict[str, Callable[[datetime], bool]] = {
        "gt": lambda at: at >= end,
        "gte": lambda at: at >= begin,
        "lt": lambda at: at < begin,
        "lte": lambda at: at < end,
        "eq": lambda at: begin <= at < end,
        "ne": lambda at: not begin <= at < end,
    }
    return tests[operator]


def _topic(operator: str, wanted: Any) -> Test:
    names = {str(one).casefold() for one in (listed(wanted, "categories") if operator == "in" else [wanted])}
    return lambda one: (one.topic.casefold() in names) != (operator == "ne")


def _held(key: str, operator: str, wanted: Any) -> Callable[[Mapping[str, Any]], bool]:
    if operator == "in":
        values = listed(wanted, "metadata")
        return lambda held: key in held and held[key] in values
    if operator == "ne":
        return lambda held: held.get(key) != wanted
    if operator == "contains":
        return lambda held: _contains(held.get(key), wanted)
    if operator in ORDERS:
        return lambda held: _in_order(operator, held.get(key), wanted)
    return lambda held: key in held and wanted in (ANY, held[key])


def _contains(held: Any, wanted: Any) -> bool:
    """A text has such a part, a list such an element."""
    return str(wanted) in held if isinstance(held, str) else isinstance(held, list) and wanted in held


def _in_order(operator: str, held: Any, wanted: Any) -> bool:
    """Numbers with numbers, text with text; whatever else there is has no order."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (held, wanted))
    if not numbers and not (isinstance(held, str) and isinstance(wanted, str)):
        return False
    if operator in ("gt", "gte"):
        return bool(held > wanted or (operator == "gte" and held == wanted))
    return bool(held < wanted or (operator == "lte" and held == wanted))


def _part(key: str, operator: str, wanted: Any) -> Test:
    if not isinstance(wanted, str):
        raise invalid(f"filters: {key} is a text.")
    if operator == "contains":
        return lambda one: wanted in one.text
    folded = wanted.casefold()
    return lambda one: folded in one.text.casefold()
