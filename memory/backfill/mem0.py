"""Memories as Mem0's `get_all` gives them: facts."""

from datetime import UTC, date, datetime, time, timedelta

from echoic.memory.backfill.entries import Entries, Given, LeftOut, Record, Statement, Unusable
from echoic.memory.backfill.values import find, text_of, when, whose


def is_one(record: Record) -> bool:
    """Whether this is a memory of Mem0's."""
    return "memory" in record and "id" in record


def read(record: Record, given: Given) -> Entries:
    """One fact, as of the day on which Mem0 learned it; one that has expired is history."""
    text, name = text_of(record.get("memory")), find(record, "id")
    if not text:
        yield LeftOut(1)
        return
    categories = find(record, "categories", "metadata.category", "metadata.categories")
    topic = categories[0] if isinstance(categories, list) else categories
    yield Statement(
        whose(record, given, ids=("user_id", "metadata.user_id")),
        f"mem0:{name}",
        text,
        str(topic or ""),
        when(find(record, "created_at", "timestamp", "updated_at"), given),
        _end_of(find(record, "expiration_date")),
    )


def _end_of(last_day: object) -> datetime | None:
    """It counts until the end of that day."""
    if last_day is None:
        return None
    try:
        day = date.fromisoformat(str(last_day)[:10])
        return datetime.combine(day, time(), UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Unusable("its expiration date cannot be read") from None
