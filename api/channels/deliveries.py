"""What WhatsApp's Cloud API delivers, taken apart: texts, recordings, and nothing that is malformed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from echoic.api.channels.storing import not_ahead

MOST_ID_CHARS = 500
ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""Of a recording: it becomes part of an address."""
LATEST_S = 253_402_300_799
"""The end of the year 9999, where the calendar ends."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text that somebody wrote, or one recording."""

    message_id: str
    """`wamid.…`: the same in each delivery of the message."""
    line: str
    """Id of the business's own number."""
    sender: str
    """The writer's number, `+` and digits."""
    text: str
    said_at: datetime
    audio: str = ""
    """Id of the recording; a text has none."""


def messages(delivery: object) -> Iterator[Message]:
    """The texts and recordings of all entries, in their order.

    Statuses, other types, other fields and what is malformed are passed by: an answer other than 200 would
    bring the whole delivery again, for days.
    """
    for entry in _objects(delivery, "entry"):
        for change in _objects(entry, "changes"):
            value = change.get("value")
            if change.get("field") != "messages" or not isinstance(value, dict):
                continue
            about = value.get("metadata")
            line = about.get("phone_number_id") if isinstance(about, dict) else None
            for one in _objects(value, "messages"):
                if (message := _read(one, line)) is not None:
                    yield message


def _read(one: dict[str, Any], line: object) -> Message | None:
    body, audio = _held(one, "text", "body"), _held(one, "audio", "id")
    message_id, sender, said_at = one.get("id"), one.get("from"), _time(one.get("timestamp"))
    if said_at is None or not (body.strip() or ID.fullmatch(audio)):
        return None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MOST_ID_CHARS:
        return None
    if not isinstance(sender, str) or not isinstance(line, str):
        return None
    return Message(message_id, line, f"+{sender.removeprefix('+')}", body, said_at, audio)


def _held(one: dict[str, Any], kind: str, name: str) -> str:
    """What a message of this type holds; empty for one of another type."""
    held = one.get(kind)
    found = held.get(name) if isinstance(held, dict) and one.get("type") == kind else None
    return found if isinstance(found, str) else ""


def _time(timestamp: object) -> datetime | None:
    """Seconds since 1970 as text."""
    if not isinstance(timestamp, str) or not (timestamp.isascii() and timestamp.isdecimal()):
        return None
    return not_ahead(datetime.fromtimestamp(min(int(timestamp[:12]), LATEST_S), UTC))


def _objects(parent: object, key: str) -> Iterator[dict[str, Any]]:
    found = parent.get(key) if isinstance(parent, dict) else None
    yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()
