"""The last day of what ends: of a fact the day before its end, of a promise for a month the month's."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.relativedelta import relativedelta

from echoic.memory.text.dates.spoken import day
from echoic.memory.types import Fact, Item, Precision

BEHIND = timedelta(days=30)
"""How long a promise is brought up once it is late."""
INSTANT = timedelta(microseconds=1)
SPANS = {"month": relativedelta(months=1), "year": relativedelta(years=1)}
DAY = relativedelta(days=1)


def last_day(until: datetime, zone: ZoneInfo) -> str:
    """`8 May 2026` of what ends with that day: `until` itself is the first moment without it."""
    return day(until - INSTANT, zone)


def late_from(due: datetime, precision: Precision, zone: ZoneInfo | None = None) -> datetime:
    """From when on a promise is late: its day, month or year is over; at an hour, that hour.

    Args:
        due: the hour, or midnight of the first day, in the zone of who promised it, or in `zone`.
    """
    for first in (due.astimezone(zone) if zone else due, due):
        if first.time() == time():
            return first + SPANS.get(precision, DAY)
    return due


def is_due(promise: Fact | Item, now: datetime) -> bool:
    """Whether to bring it up: from the first day for which it was promised until `BEHIND` the last."""
    due = promise.due
    return due is not None and due <= now <= late_from(due, promise.precision) + BEHIND


def due_days(due: datetime, precision: Precision, zone: ZoneInfo) -> str:
    """`5 May 2026`, or `1 Jun 2026 to 30 Jun 2026` of what was promised for June."""
    first, last = day(due, zone), last_day(late_from(due, precision, zone), zone)
    return first if first == last else f"{first} to {last}"
