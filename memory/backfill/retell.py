"""Calls and chats as Retell's API and its console export them."""

from datetime import datetime, timedelta
from typing import Any

from echoic.memory.backfill.entries import Entries, Given, Record, Unusable
from echoic.memory.backfill.messages import conversation
from echoic.memory.backfill.values import find, when, whose

PREFIX = "retell:"
PARTS = ("transcript_object", "transcript_with_tool_calls", "message_with_tool_calls", "transcript")


def is_one(record: Record) -> bool:
    """Whether this is a call or a chat of Retell's."""
    return "chat_id" in record or "transcript_object" in record or {"call_id", "call_type"} <= record.keys()


def read(record: Record, given: Given) -> Entries:
    """One call: an utterance is said when its first word is, where words have times."""
    call_id = find(record, "call_id", "chat_id")
    if call_id is None:
        raise Unusable("its call has no id")
    person = "to_number" if record.get("direction") == "outbound" else "from_number"
    user_id = whose(record, given, ids=("metadata.user_id",), numbers=(person,))
    began = when(find(record, "start_timestamp"), given)

    def time_of(part: Any) -> datetime | None:
        if (own := find(part, "created_timestamp")) is not None:
            return when(own, given)
        words = find(part, "words")
        start_s = find(words[0], "start") if isinstance(words, list) else None
        return began + timedelta(seconds=start_s) if isinstance(start_s, int | float) else None

    parts = find(record, *PARTS)
    call_id = f"{PREFIX}{call_id}"
    yield from conversation(user_id, given.agent_id, call_id, parts, given, began.isoformat(), time_of)
