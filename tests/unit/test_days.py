"""Dates in questions, and the terms of the days on which something was said."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.text.days import asked_days, day_terms
from echoic.memory.text.words import terms

SATURDAY = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
GREENWICH, LOS_ANGELES = ZoneInfo("UTC"), ZoneInfo("America/Los_Angeles")


def asked(text: str) -> list[str]:
    return asked_days(text, SATURDAY, GREENWICH)


def test_a_turn_has_its_year_month_and_day() -> None:
    """In UTC, whatever zone it was said in."""
    assert day_terms(datetime(2023, 5, 7, 23, 30, tzinfo=LOS_ANGELES)) == ["@2023", "@05", "@05-08"]


def test_no_spoken_word_is_a_day_term() -> None:
    """Otherwise words of a caller could pass for dates."""
    assert not any(term.startswith("@") for term in terms("@05 @2023 me@05-08.example @@"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did I say in May?", ["@05"]),
        ("on May 7th, 2023", ["@05", "@05-07", "@2023"]),
        ("on the 7th of march", ["@03", "@03-07"]),
        ("between 3 June and August 2022", ["@06", "@08", "@06-03", "@2022"]),
        ("31 February", ["@02"]),
        ("29 February", ["@02", "@02-29"]),
        ("today", ["@11-21"]),
        ("what was it yesterday?", ["@11-20"]),
        ("the day before yesterday", ["@11-19"]),
        ("on Monday", ["@11-16"]),
        ("last Saturday", ["@11-14"]),
        ("last weekend", ["@11-14", "@11-15"]),
        ("two weeks ago", ["@11-02", "@11-03", "@11-04", "@11-05", "@11-06", "@11-07", "@11-08"]),
        ("3 days ago", ["@11-18"]),
        ("zero days ago", ["@11-21"]),
        ("last month", ["@2026", "@10"]),
        ("eleven", []),
        ("11 months ago", ["@2025", "@12"]),
        ("a year ago", ["@2025"]),
        ("this year", ["@2026"]),
    ],
)
def test_dates_of_a_question(text: str, expected: list[str]) -> None:
    """As the calendar of the caller has them."""
    assert asked(text) == expected


@pytest.mark.parametrize(
    "text",
    ["may I ask you something", "we march on", "room 2043", "99999 junebugs", "", "第五章", "tomorrow"],
)
def test_other_words_are_no_dates(text: str) -> None:
    """ "May" and "march" are verbs, too."""
    assert not any(term.startswith(("@0", "@1")) for term in asked(text))


def test_a_day_of_the_caller_may_touch_two_days_in_utc() -> None:
    """Yesterday evening in Los Angeles is today in UTC."""
    assert asked_days("yesterday", SATURDAY, LOS_ANGELES) == ["@11-20", "@11-21"]
    assert set(day_terms(datetime(2026, 11, 20, 20, 0, tzinfo=LOS_ANGELES))) & {"@11-20", "@11-21"}


def test_since_a_month_is_every_month_from_it():
    """Each with its year; one that lies ahead was last year's."""
    now = datetime(2026, 2, 10, tzinfo=UTC)
    found = asked_days("what changed since December?", now, ZoneInfo("UTC"))
    assert set(found) == {"@12", "@2025", "@2026", "@01", "@02"}
    assert {"@2024", "@03", "@2025"} <= set(
        asked_days("since the beginning of March 2024", datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
    )
    assert "@01" not in asked_days("since last November", datetime(2026, 11, 21, tzinfo=UTC), ZoneInfo("UTC"))
