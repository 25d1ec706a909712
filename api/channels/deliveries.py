"""What WhatsApp's Cloud API delivers, taken apart: words, recordings, and nothing that is malformed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

MOST_ID_CHARS = 500
ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""Of a recording: it becomes part of an address."""
WRITTEN = {
    "text": ("body",),
    "button": ("text",),
    "interactive": ("button_reply.title", "list_reply.title"),
    **dict.fromkeys(("image", "video", "document"), ("caption",)),
}
"""Type of a message -> where in it words stand that somebody wrote, or chose for an answer."""
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
    """The words and recordings of all entries, in their order.

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
    body = next(filter(None, (_held(one, name) for name in WRITTEN.get(str(one.get("type")), ()))), "")
    audio = _held(one, "id") if one.get("type") == "audio" else ""
    message_id, sender, said_at = one.get("id"), one.get("from"), _time(one.get("timestamp"))
    if said_at is None or not (body.strip() or ID.fullmatch(audio)):
        return None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MOST_ID_CHARS:
        return None
    if not isinstance(sender, str) or not isinstance(line, str):
        return None
    return Message(message_id, line, f"+{sender.removeprefix('+')}", body, said_at, audio)


def _held(one: dict[str, Any], name: str) -> str:
    """What a message holds under what its type is called; empty: no text."""
    held: Any = one
    for part in (str(one.get("type")), *name.split(".")):
        held = held.get(part) if isinstance(held, dict) else None
    return held if isinstance(held, str) else ""


def _time(timestamp: object) -> datetime | None:
    """Seconds since 1970 as text."""
    if not isinstance(timestamp, str) or not (timestamp.isascii() and timestamp.isdecimal()):
        return None
    return datetime.fromtimestamp(min(int(timestamp[:12]), LATEST_S), UTC)


def _objects(parent: object, key: str) -> Iterator[dict[str, Any]]:
    found = parent.get(key) if isinstance(parent, dict) else None
    yield from (one for one in found if isinstance(one, dict)) if isinstance(found, list) else ()
