"""When something was said, as other programs write it down."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MILLISECONDS_FROM = 1e11
"""A larger number is milliseconds since 1970: as seconds it would be the year 5138."""
_SECONDS = ("seconds", "_seconds")
"""A document store's timestamp, as its two libraries turn it into JSON."""
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_COMPACT = re.compile(r"\d{8}")
"""A day as ISO 8601 may have it: 20260504."""
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(?!\d)")
_OFFSET = re.compile(r"\b(?:GMT|UTC)(?=[+-]\d{4}\b)")
"""JavaScript writes `GMT+0100`, mail `+0100`."""


def date_in(value: Any) -> datetime | None:
    """Seconds or milliseconds since 1970, ISO 8601, a day that begins with its year, a date as mail or
    JavaScript write it, or a document store's timestamp; None: it is none of these.

    Without a zone, where none was written. Days such as 3/1/2026 are none: they are two.
    """
    if isinstance(value, dict):
        value = next((value[name] for name in _SECONDS if name in value), None)
    if isinstance(value, str):
        text = _OFFSET.sub("", value.strip())
        if not _NUMBER.fullmatch(text) or _COMPACT.fullmatch(text):
            return _written(text)
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(value / 1000 if abs(value) > MILLISECONDS_FROM else value, UTC)
    return None


def _written(text: str) -> datetime | None:
    year_first = _YEAR_FIRST.sub(lambda found: f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}", text, count=1)
    with suppress(ValueError, OverflowError):
        return datetime.fromisoformat(year_first)
    with suppress(ValueError, TypeError, OverflowError):
        return parsedate_to_datetime(text)
    return None
