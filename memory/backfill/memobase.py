"""What Memobase answers for its users: profiles and events as facts, chat blobs as conversations."""

import re
from typing import Any

from echoic.memory.backfill.entries import Entries, Given, LeftOut, Record, Refused, Statement, Unusable
from echoic.memory.backfill.messages import conversation
from echoic.memory.backfill.values import find, text_of, when, whose

PREFIX = "memobase:"
USER_IDS = ("user_id", "id")
TIMES = ("created_at", "updated_at")
EVENTS = "event"
"""Topic of what happened, where an event's line says none."""
_GIST = re.compile(r"^\s*-\s*(?P<text>.+?)\s*(?://\s*(?P<topic>.*\S))?\s*$")
_MENTIONED = re.compile(r"\[mention(?:ed)?\s+(\d{4})[-/](\d{1,2})[-/](\d{1,2})")


def is_one(record: Record) -> bool:
    """Whether these are profiles, events or blobs of Memobase's, of one user or single ones."""
    parts = {"profiles", "events", "gists", "blobs", "blob_type", "event_data", "gist_data"}
    return bool(parts & record.keys()) or find(record, "attributes.topic") is not None


def read(record: Record, given: Given) -> Entries:
    """All of one user: `profiles`, `events` and `blobs`, as the API answers each; or one of these alone."""
    lists = {name: record[name] for name in ("profiles", "events", "gists", "blobs") if name in record}
    own = USER_IDS if lists else ("user_id",)
    user_id = whose(record, given, ids=own)
    for one in [part for parts in lists.values() for part in parts or ()] if lists else [record]:
        try:
            yield from _part(one, user_id, given)
        except Unusable as exc:
            yield Refused(str(exc), one)


def _part(one: Any, user_id: str, given: Given) -> Entries:
    name = find(one, "id")
    if find(one, "blob_type") is not None:
        messages = find(one, "blob_data.messages") if one["blob_type"] == "chat" else None
        if messages is None or name is None:
            raise Unusable("it is no chat with an id")
        began, call_id = find(one, *TIMES), f"{PREFIX}{name}"
        yield from conversation(user_id, given.agent_id, call_id, messages, given, began)
    elif find(one, "event_data", "gist_data") is not None:
        yield from _event(one, user_id, given)
    elif not (text := text_of(find(one, "content"))):
        yield LeftOut(1)
    else:
        topics = (find(one, "attributes.topic"), find(one, "attributes.sub_topic"))
        topic = "/".join(str(part) for part in topics if part)
        yield Statement(user_id, f"{PREFIX}{name}", text, topic, when(find(one, *TIMES), given))


def _event(one: Any, user_id: str, given: Given) -> Entries:
    """Each line of an event is a fact of its own; the day on which it was mentioned is when it was said."""
    memo = text_of(find(one, "event_data.event_tip", "gist_data.content") or "")
    gists = [match for line in memo.splitlines() if (match := _GIST.match(line))]
    if not gists:
        yield LeftOut(1)
    for gist in gists:
        mentioned = _MENTIONED.search(gist["text"])
        day = "{}-{:0>2}-{:0>2}".format(*mentioned.groups()) if mentioned else find(one, *TIMES)
        said_at = when(day, given)
        yield Statement(user_id, f"{PREFIX}{gist['text']}", gist["text"], gist["topic"] or EVENTS, said_at)
