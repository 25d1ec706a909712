"""A file of past conversations and facts, read: which format it is, and what is in it."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from echoic.memory.backfill import mem0, memobase, plain, retell, twilio, vapi
from echoic.memory.backfill.entries import (
    Conversation,
    Entries,
    Entry,
    Given,
    LeftOut,
    Record,
    Refused,
    Statement,
    Unusable,
)
from echoic.memory.errors import ConfigInvalid

Format = Literal["auto", "json", "csv", "retell", "vapi", "twilio", "mem0", "memobase"]
READERS: dict[str, Callable[[Record, Given], Entries]] = {
    "json": plain.read,
    "csv": plain.read,
    "retell": retell.read,
    "vapi": vapi.read,
    "twilio": twilio.read,
    "mem0": mem0.read,
    "memobase": memobase.read,
}
TELLS = {"retell": retell.is_one, "vapi": vapi.is_one, "twilio": twilio.is_one, "mem0": mem0.is_one}
TELLS["memobase"] = memobase.is_one
ENVELOPES = (
    *("results", "calls", "items", "users", "conversations", "transcripts", "memories", "data"),
    *("call", "chat"),
)
"""Fields in which an API's answer, or an event that it sends, holds its records."""
NAMED = ("user_id", "id", "call_id", "sid", "role", "profiles", "events", "gists", "blobs")
"""Fields of records themselves."""
csv.field_size_limit(1 << 24)


def read_file(path: Path, format_: Format, given: Given) -> list[Entry]:
    """All that the file holds: whole conversations in the order of time, then facts, and what cannot be used.

    Raises:
        ConfigInvalid: it is neither JSON nor CSV, or not UTF-8.
        OSError: it cannot be read.
    """
    found: list[Entry] = []
    for record in _records(path.read_bytes(), is_csv=format_ == "csv" or path.suffix.lower() == ".csv"):
        found += _entries(record, format_, given)
    calls = _grouped(one for one in found if isinstance(one, Conversation))
    facts = sorted((one for one in found if isinstance(one, Statement)), key=lambda one: one.user_id)
    return [*calls, *facts, *(one for one in found if isinstance(one, Refused | LeftOut))]


def _entries(record: Any, format_: Format, given: Given) -> Entries:
    if isinstance(record, Refused):
        yield record
        return
    try:
        if not isinstance(record, dict):
            raise Unusable("it is no record")
        tells = (name for name, is_one in TELLS.items() if is_one(record))
        yield from READERS[next(tells, "json") if format_ == "auto" else format_](record, given)
    except Unusable as exc:
        yield Refused(str(exc), record)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        yield Refused("a field is not what it should be", record)


def _grouped(found: Iterable[Conversation]) -> Iterator[Conversation]:
    """Rows of one conversation together, in the order in which they were said."""
    calls: dict[tuple[str, str, str], Conversation] = {}
    for one in found:
        key = one.user_id, one.agent_id, one.call_id
        calls[key] = replace(calls[key], said=calls[key].said + one.said) if key in calls else one
    in_order = (replace(one, said=tuple(sorted(one.said, key=_said_at))) for one in calls.values())
    yield from sorted(in_order, key=lambda one: one.said[0].said_at)


def _said_at(one: Any) -> Any:
    return one.said_at


def _records(content: bytes, *, is_csv: bool) -> Iterator[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigInvalid(f"The file is not UTF-8 (byte {exc.start}): save it as UTF-8.") from None
    if is_csv or text.lstrip()[:1] not in ("[", "{"):
        yield from _rows(text)
        return
    try:
        yield from _unwrapped(json.loads(text))
    except json.JSONDecodeError as exc:
        lines = list(_json_lines(text))
        if all(isinstance(one, Refused) for one in lines):
            raise ConfigInvalid(f"The file is no JSON: {exc.msg} in line {exc.lineno}.") from None
        yield from lines
    except (ValueError, RecursionError):
        raise ConfigInvalid(
            "The file is JSON that cannot be read: nested too deep, or with a number of thousands of digits."
        ) from None


def _json_lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield from _unwrapped(json.loads(line))
            except (ValueError, RecursionError):  # a number of 5,000 digits is a ValueError
                yield Refused(f"line {number} is no JSON", line)


def _unwrapped(value: Any) -> Iterator[Any]:
    """The records in the answer of an API, however often it is wrapped."""
    if isinstance(value, list):
        for one in value:
            yield from _unwrapped(one)
    elif isinstance(value, dict) and not any(name in value for name in NAMED):
        inner = next((value[name] for name in ENVELOPES if isinstance(value.get(name), list | dict)), None)
        messages = value.get("messages") if isinstance(value.get("messages"), list) else None
        if inner is not None:
            yield from _unwrapped(inner)
        elif messages and all(isinstance(one, dict) and twilio.is_one(one) for one in messages):
            yield from messages
        else:
            yield value
    else:
        yield value


def _rows(text: str) -> Iterator[Any]:
    """Rows of a CSV as records; the delimiter is told by the header."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    if not header.count(delimiter):
        raise ConfigInvalid("The file is neither JSON, JSON Lines, nor CSV with a header of several columns.")
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
            if None in row or None in row.values():
                yield Refused("its row has more or fewer fields than the header", dict(row))
            else:
                yield {name: value for name, value in row.items() if value != ""}
    except csv.Error as exc:
        raise ConfigInvalid(f"The file is no CSV: {exc}.") from None
