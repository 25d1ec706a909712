"""When something was said, as a person would say it, in the caller's time zone."""

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def day(when: datetime, zone: ZoneInfo) -> str:
    """`12 Nov 2026`, the date there and then."""
    local = _date(when, zone)
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}"


def ago(when: datetime, now: datetime, zone: ZoneInfo) -> str:
    """`9 days ago`; calendar days of the caller, so that yesterday evening is `yesterday` this morning."""
    seconds = (now - when).total_seconds()
    days = (_date(now, zone) - _date(when, zone)).days
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return _plural(int(seconds // 60), "minute")
    if days < 1:
        return "today"
    if days == 1:
        return "yesterday"
    if days < 60:
        return _plural(days, "day")
    if days < 730:
        return _plural(round(days / 30.44), "month")
    return _plural(round(days / 365.25), "year")


def said(when: datetime, now: datetime, zone: ZoneInfo) -> str:
    """`said 9 days ago, 12 Nov 2026`."""
    return f"said {ago(when, now, zone)}, {day(when, zone)}"


@lru_cache(maxsize=4_096)  # one block asks for the same dates four times over
def _date(when: datetime, zone: ZoneInfo) -> date:
    return when.astimezone(zone).date()


def _plural(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'} ago"
