"""Relative dates become dates before a model reads them."""

from datetime import UTC, date, datetime

import pytest

from echoic.workers.extractors.dates import resolve, validity

SAID_ON = date(2026, 11, 12)  # a Thursday
SAID_AT = datetime(2026, 11, 12, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("I started yesterday.", "I started on 11 November 2026."),
        ("We fly the day after tomorrow.", "We fly on 14 November 2026."),
        ("I broke it two weeks ago.", "I broke it around 29 October 2026."),
        ("He died last month.", "He died in October 2026."),
        ("We marry on the 21st of August next year.", "We marry on the 21st of August in 2027."),
        ("I'm back in three days.", "I'm back on 15 November 2026."),
        ("My test is next Tuesday.", "My test is on Tuesday 17 November 2026."),
        ("I fell on Sunday.", "I fell on Sunday 8 November 2026."),
        ("I fly on Sunday.", "I fly on Sunday 15 November 2026."),
        ("I'm off until the end of January.", "I'm off until the end of January 2027."),
        ("Choir is on Tuesdays.", "Choir is on Tuesdays."),
        ("It's on Tuesday the 17th.", "It's on Tuesday the 17th."),
        ("We met in two years of war.", "We met in 2028 of war."),
    ],
)
def test_a_relative_date_is_replaced_by_what_it_meant(said, meant):
    """Relative to the day it was said; words that are no dates stay."""
    assert resolve(said, SAID_ON) == meant


def test_new_year_is_crossed():
    """Days before the second of January lie in the year before."""
    assert resolve("We moved three days ago.", date(2027, 1, 2)) == "We moved on 30 December 2026."


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("Lives in Malmo since 2019", "2019-01-01", None),
        ("Moved to Cardiff on 2 May 2026", "2026-05-02", None),
        ("Is on leave until the end of January 2027", None, "2027-02-01"),
        ("Flies to Rome on 13 November 2026", None, None),
        ("Was born on 31 February 1990", None, None),
        ("Has 2000 books", "2000-01-01", None),
        ("Dog is called Biscuit", None, None),
    ],
)
def test_a_facts_dates_say_when_it_is_true(text, begins, ends):
    """A past date begins it, "until" ends it; a plan has not begun."""
    assert [when and f"{when:%Y-%m-%d}" for when in validity(text, SAID_AT)] == [begins, ends]
