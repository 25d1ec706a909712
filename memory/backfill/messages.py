"""Messages of one conversation, in whatever form an export has them, as what was said."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from echoic.memory.backfill.entries import (
    Conversation,
    Entries,
    Given,
    LeftOut,
    Refused,
    Unusable,
    Utterance,
)
from echoic.memory.backfill.values import ROLES, find, role_of, text_of, when

TEXTS = ("text", "content", "message", "body", "transcript")
TIMES = (
    *("said_at", "created_at", "created_timestamp", "timestamp", "time", "date"),
    *("started_at", "start_time"),
)
NAMES = ("id", "turn_id", "message_id", "sid")
STEP = timedelta(milliseconds=1)
"""After the message before, for one without a time of its own."""
_LINE = re.compile(r"^\s*(\w+)\s*:\s*(.*)$")
TimeOf = Callable[[Any], datetime | None]


def conversation(
    user_id: str,
    agent_id: str,
    call_id: str,
    parts: Any,
    given: Given,
    began: Any,
    time_of: TimeOf | None = None,
) -> Entries:
    """The conversation that these messages are, after whatever of them is not a part of it.

    Args:
        parts: a list of messages, or a transcript as text, of lines `Agent: …` and `User: …`.
        began: when it began, as the export writes it: for a first message that has no time.
        time_of: when a message was said; None: it says so itself.
    """
    said: list[Utterance] = []
    for one in _utterances(parts, given, began, time_of):
        if isinstance(one, Utterance):
            said.append(one)
        else:
            yield one
    if said:
        yield Conversation(user_id, agent_id, call_id, tuple(said))


def _utterances(
    parts: Any, given: Given, began: Any, time_of: TimeOf | None
) -> Iterable[Utterance | Refused | LeftOut]:
    last: datetime | None = None
    for part in _lines(parts) if isinstance(parts, str) else parts or ():
        try:
            role, text = role_of(find(part, "role", "speaker")), text_of(find(part, *TEXTS))
            if role is None or not text:
                yield LeftOut(1)
                continue
            own = time_of(part) if time_of else _own_time(part, given)
            last = own or (last + STEP if last else when(began, given))
            yield Utterance(role, text, last, str(find(part, *NAMES) or ""))
        except Unusable as exc:
            yield Refused(str(exc), part)


def _own_time(part: Any, given: Given) -> datetime | None:
    own = find(part, *TIMES)
    return None if own is None else when(own, given)


def _lines(text: str) -> Iterable[dict[str, str]]:
    """A transcript as messages; a line that names nobody goes on with the one before."""
    role = ""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match[1].lower() in ROLES:
            role, line = match[1], match[2]
        if line.strip():
            yield {"role": role, "text": line}
