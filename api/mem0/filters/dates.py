"""Dates as Mem0's clients send them: a moment, or a day."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from echoic.api.mem0.faults import invalid
from echoic.memory.chat.dates import date_in

YEARS = range(1900, 2200)
"""Beyond them Postgres, Python or an addition of a few days goes wrong."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(value: Any, field: str) -> datetime:
    """The moment that is meant; a day is its beginning, in UTC.

    Raises:
        Problem: 400; it is none, or in no year that a store can hold.
    """
    found = date_in(value)
    if found is not None and found.year in YEARS:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    raise invalid(
        f"{field} is a day (2026-11-27), an ISO 8601 time or Unix seconds, from {YEARS[0]} to {YEARS[-1]}."
    )


def is_day(value: Any) -> bool:
    """Whether a whole day is meant."""
    return isinstance(value, str) and _DAY.fullmatch(value) is not None


def end_of_day(value: Any, field: str = "expiration_date") -> datetime:
    """When something is over that counts on this day for the last time.

    Raises:
        Problem: 400; it is no day.
    """
    if not is_day(value):
        raise invalid(f"{field} is a day: YYYY-MM-DD.")
    return moment(value, field) + timedelta(days=1)
