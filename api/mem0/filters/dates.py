"""Dates as Mem0's clients send them: Unix seconds, ISO 8601, or a day."""

import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from echoic.api.mem0.faults import invalid

YEARS = range(1900, 2200)
"""Beyond them Postgres, Python or an addition of a few days goes wrong."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def moment(value: Any, field: str) -> datetime:
    """The moment that is meant; a day is its beginning, in UTC.

    Raises:
        Problem: 400; it is none, or in no year that a store can hold.
    """
    try:
        found = _moment(value)
        if found.year in YEARS:
            return found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        pass
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


def _moment(value: Any) -> datetime:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError
        return datetime.fromtimestamp(value, UTC)
    if re.fullmatch(r"-?\d+(\.\d+)?", value) and not re.fullmatch(r"\d{8}", value):
        return datetime.fromtimestamp(float(value), UTC)
    if is_day(value):
        day = date.fromisoformat(value)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
