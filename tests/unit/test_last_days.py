"""From a model's dates to what a reader is told: a fact's last day, and when a promise is late."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from echoic.memory.recall.prompt import line_of
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.store.facts import fact_from, payload_of
from echoic.memory.types import FACTS_TIER, Item, Turn
from echoic.workers.evidence.reading import read_answer
from echoic.workers.learn.extractor import VerifiedExtractor, always
from tests.remembered import fact

ROME = ZoneInfo("Europe/Rome")
SAID = datetime(2026, 5, 4, 18, 20)
"""A Monday."""


class Told:
    """A source that answers with this."""

    name = "scripted"

    def __init__(self, operation):
        self._operation = operation

    async def operations(self, portion, known):
        return read_answer({"operations": [self._operation]}, len(portion.turns), len(known))

    async def close(self): ...


async def learned(text, when, zone=ROME, topic="promises"):
    """What is stored of words that are said on a Monday at 18:20."""
    (fact,) = (await extracted(text, when, zone, topic=topic)).facts
    return fact_from(fact.fact_id, json.dumps(payload_of(fact)))


async def extracted(text, when, zone=ROME, *known, **fields):
    turn = Turn(
        uuid4(), "ana", "echoic", "c", 0, "user", f"{text}.", SAID.replace(tzinfo=zone), timezone=zone.key
    )
    plain = {"turns": [1], "quote": text, "about": "caller", "said": "stated", "op": "add", "weight": 5}
    source = Told(plain | {"fact": text, "when": when} | fields)
    return await VerifiedExtractor(source, ZoneInfo("UTC")).extract([turn], always(known))


def line(fact, now, zone=ROME):
    return line_of(Item.of_fact(fact, FACTS_TIER, 1.0), fact.text, now, zone)


def is_brought_up(fact, now):
    recent = RecentTurns()
    recent.load([], [fact])
    return bool(recent.due(now))


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_what_is_true_until_friday_is_told_with_friday(zone):
    """Its end is the midnight after it."""
    where = ZoneInfo(zone)
    fact = await learned(
        "I am in Porto until Friday", "2026-05-04/2026-05-08 day: until Friday", where, "travel"
    )
    assert "; until 8 May 2026;" in line(fact, datetime(2026, 5, 8, 20, tzinfo=where), where)
    assert "; true until 8 May 2026;" in line(fact, datetime(2026, 5, 9, tzinfo=where), where)


@pytest.mark.parametrize(
    ("words", "when", "last", "ended"),
    [
        ("on 8 May", "2026-05-08 day", "8 May 2026", False),
        ("in June", "2026-06 month", "30 Jun 2026", False),
        ("on Friday at nine", "2026-05-08T09:00 day", "8 May 2026", False),
        ("yesterday", "2026-05-03 day", "3 May 2026", True),
        ("in March", "2026-03 month", "31 Mar 2026", True),
        ("in 2025", "2025 year", "31 Dec 2025", True),
        ("today", "2026-05-04 day", "4 May 2026", True),
        ("this month", "2026-05 month", "4 May 2026", True),
    ],
)
async def test_what_ends_on_a_day_is_true_until_that_day(words, when, last, ended):
    """Of a month or a year until its last, and no longer than until it was said to be over."""
    siemens = fact("Works at Siemens", topic="work", said_at=datetime(2025, 1, 1, tzinfo=UTC))
    told = (f"I leave Siemens {words}", f"{when}: {words}", ROME, siemens)
    (ending,) = (await extracted(*told, op="end 1", topic="work")).endings
    now = SAID.replace(tzinfo=ROME)
    over = replace(siemens, valid_until=ending.ended_at)
    assert f"{'true until' if ended else 'until'} {last};" in line(over, now)


@pytest.mark.parametrize(
    ("words", "when", "days", "late"),
    [
        ("tomorrow", "2026-05-05 day", "5 May 2026", date(2026, 5, 6)),
        ("in June", "2026-06 month", "1 Jun 2026 to 30 Jun 2026", date(2026, 7, 1)),
        ("in March", "2027-03 month", "1 Mar 2027 to 31 Mar 2027", date(2027, 4, 1)),  # of 743 hours
        ("in 2027", "2027 year", "1 Jan 2027 to 31 Dec 2027", date(2028, 1, 1)),
    ],
)
async def test_a_promise_is_late_when_its_last_day_is_over(words, when, days, late):
    """And is brought up from its first day on, until thirty days after its last."""
    promise = await learned(f"I'll pay the deposit {words}", f"{when}: {words}")
    over = datetime.combine(late, time(), ROME)
    assert f"(due {days};" in line(promise, over - timedelta(minutes=1))
    assert f"(was due {days};" in line(promise, over)
    assert not is_brought_up(promise, promise.due - timedelta(minutes=1))
    assert all(is_brought_up(promise, at) for at in (promise.due, over, over + timedelta(days=29)))
    assert not is_brought_up(promise, over + timedelta(days=31))


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"])
@pytest.mark.parametrize("written", ["2026-05-05T09:00:00Z", "2026-05-05T09:00:00+20:00", "2026-05-05T09:00"])
async def test_an_hour_is_the_callers_whatever_offset_a_model_gives_it(zone, written):
    """It is told no zone."""
    where = ZoneInfo(zone)
    promise = await learned("I'll call on Tuesday at nine", f"{written} day: on Tuesday at nine", where)
    assert promise.due == datetime(2026, 5, 5, 9, tzinfo=where)
    assert "(was due 5 May 2026;" in line(promise, promise.due, where)
