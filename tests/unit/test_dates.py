"""Times as a person says them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.text.dates.spoken import ago, said

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(minutes=59), "59 minutes ago"),
        (timedelta(hours=5), "today"),
        (timedelta(hours=13), "yesterday"),
        (timedelta(days=9), "9 days ago"),
        (timedelta(days=90), "3 months ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_ago(before, words):
    """By the caller's calendar where a day has changed, in ever coarser units, and never in the future."""
    assert ago(NOW - before, NOW, ZoneInfo("UTC")) == words


def test_said_names_the_callers_day():
    """Half past eleven at night in UTC is the next day in Tokyo, in the date and in the count of days."""
    late = datetime(2026, 11, 12, 23, 30, tzinfo=UTC)
    assert said(late, NOW, ZoneInfo("UTC")) == "said 9 days ago, 12 Nov 2026"
    assert said(late, NOW, ZoneInfo("Asia/Tokyo")) == "said 8 days ago, 13 Nov 2026"
