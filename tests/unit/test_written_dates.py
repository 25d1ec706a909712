"""Dates as other programs write them: one reader for imports, Memobase, Mem0 and the channels."""

from datetime import UTC, datetime

import pytest

from echoic.memory.chat.dates import date_in

AT = datetime(2025, 3, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        1740823200,
        1740823200.0,
        1740823200000,
        "1740823200",
        "1740823200000",
        "2025-03-01T10:00:00Z",
        "2025-03-01 11:00:00+01:00",
        "20250301T100000Z",
        "2025/03/01T10:00Z",
        "Sat, 01 Mar 2025 10:00:00 GMT",
        "Sat, 1 Mar 2025 05:00:00 -0500",
        "Sat Mar 01 2025 11:00:00 GMT+0100 (Central European Standard Time)",
        {"_seconds": 1740823200, "_nanoseconds": 0},
        {"seconds": 1740823200, "nanoseconds": 0},
    ],
)
def test_a_moment(written):
    assert date_in(written) == AT


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2025-03-01", datetime(2025, 3, 1)),
        ("20250301", datetime(2025, 3, 1)),
        ("2025/3/1", datetime(2025, 3, 1)),
        ("2025.03.01 10:05", datetime(2025, 3, 1, 10, 5)),
        ("  2025/03/01 10:05:06 ", datetime(2025, 3, 1, 10, 5, 6)),
    ],
)
def test_without_a_zone_it_has_none(written, day):
    assert date_in(written) == day


@pytest.mark.parametrize(
    "written",
    [
        *("3/1/2025", "01.03.2025", "yesterday", "", "32637-01-01", "2025/13/01", "nan", "inf", "1e400"),
        *(True, None, [], {}, {"seconds": None}, {"_seconds": "x"}, float("nan"), float("inf"), 1e30, -1e30),
        10**400,
    ],
)
def test_what_is_no_date_or_two(written):
    assert date_in(written) is None
