"""What gave way to what is found by its dates."""

from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.text.dates.succession import by_date, in_succession
from echoic.memory.types import Item

UTC_ZONE = ZoneInfo("UTC")


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fact(text, since, until=None, kind="fact"):
    return Item(kind, uuid4(), text, day(since), valid_from=day(since), valid_until=until and day(until))


WIEBKE, GORDON = (
    fact("Manager is Wiebke", "2025-11-03", "2026-09-18"),
    fact("Reports to Gordon", "2025-06-27", "2025-10-31"),
)
JOYCE, CHESS = fact("Manager is Joyce", "2026-09-18"), fact("Plays chess", "2025-02-03", "2026-03-05")
FOUND = [WIEBKE, CHESS, fact("Lives in Bath", "2020-01-01"), fact("Has a bike", "2025-06-30"), JOYCE, GORDON]


def texts(items):
    return [item.text for item in items]


def test_who_came_before_stands_behind_the_one_that_is_named():
    """Though it shares no word with the question; a few days between two are no gap."""
    assert texts(in_succession(FOUND, "Who was my boss before Wiebke?"))[:2] == [
        "Manager is Wiebke",
        "Reports to Gordon",
    ]


def test_who_came_after_too():
    """In the other direction."""
    assert texts(in_succession(FOUND, "Who came after Wiebke?"))[:2] == [
        "Manager is Wiebke",
        "Manager is Joyce",
    ]


def test_other_questions_keep_their_order():
    """And nothing is lost or doubled in any."""
    assert in_succession(FOUND, "Who is my manager?") == FOUND
    assert sorted(texts(in_succession(FOUND, "before or after?"))) == sorted(texts(FOUND))


def test_a_quote_gives_way_to_nothing():
    """Its end is that of what was learned from it."""
    quote = fact("My boss is Gordon", "2025-06-27", "2025-10-31", kind="turn")
    assert in_succession([WIEBKE, CHESS, quote], "Who was my boss before Wiebke?") == [WIEBKE, CHESS, quote]


def test_what_changed_since_a_month_is_what_began_or_ended_since():
    """Only where the words ask for changes."""
    now = day("2026-10-01")
    changed = by_date(FOUND, "What has changed since March?", now, UTC_ZONE)
    assert texts(changed)[:3] == ["Manager is Wiebke", "Plays chess", "Manager is Joyce"]
    assert by_date(FOUND, "I have been running since March", now, UTC_ZONE) == FOUND


@pytest.mark.parametrize(
    "question",
    ["Wer war mein Chef vor Wiebke?", "¿Quién fue mi jefe antes de Wiebke?", "Wiebke之前我的老板是谁?"],
)
def test_what_came_before_is_asked_for_in_any_language(question):
    """By the words of its file."""
    assert texts(in_succession(FOUND, question))[:2] == ["Manager is Wiebke", "Reports to Gordon"]


def test_what_changed_is_asked_for_in_any_language():
    """Since a month of the caller's calendar."""
    changed = by_date(FOUND, "Was hat sich seit März geändert?", day("2026-10-01"), UTC_ZONE)
    assert texts(changed)[:3] == ["Manager is Wiebke", "Plays chess", "Manager is Joyce"]
