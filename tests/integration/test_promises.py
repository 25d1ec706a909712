"""Which promises a call begins with, and which are proposed: those that are due, or late for no long time."""

from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.profile.proactive import proposals
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.remembered import caller, fact, learn

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
LONG_AGO = [NOW - timedelta(days=300 + n) for n in range(8)]
JUNE, MAY, YEAR = (datetime(2026, month, 1, tzinfo=UTC) for month in (6, 5, 1))


def promise(text, due, **fields):
    return fact(text, due=due, topic="promises", kind="promise", scope="agent", **fields)


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder(), now=lambda: NOW) as memory:
        yield memory


async def test_what_was_due_long_ago_leaves_room_for_what_is_due_and_who_the_caller_is(memory):
    """Nobody ended eight promises; they weigh what they weigh."""
    old = [promise(f"The agent sends brochure {n}", due, importance=0.7) for n, due in enumerate(LONG_AGO)]
    allergy = fact("Is allergic to penicillin", topic="health", importance=1.0)
    await learn(memory, *old, promise("The agent calls back", NOW - timedelta(hours=2)), allergy)
    call = await memory.open_call(caller())
    await call.wait_loaded()
    assert [one.text for one in call.recent.due(NOW)] == ["The agent calls back"]
    first, second = await memory.facts.profile(caller(), 2)
    assert (first.text, second.text) == ("The agent calls back", "Is allergic to penicillin")


async def test_a_promise_for_a_month_or_a_year_is_late_when_that_is_over(memory):
    """May's is late, and June's and this year's are due; those of the years before are long ago."""
    await learn(
        memory,
        promise("Pays in May", MAY, precision="month"),
        promise("Pays in June", JUNE, precision="month", importance=0.9),
        promise("Pays in 2026", YEAR, precision="year"),
        promise("Pays in April", YEAR.replace(month=4), precision="month", importance=1.0),
        promise("Pays in 2025", YEAR.replace(year=2025), precision="year"),
    )
    found = [(one.reason, one.fact.text) for one in await proposals(memory, caller(), 9) if one.fact]
    assert found == [("overdue", "Pays in May"), ("coming", "Pays in 2026"), ("coming", "Pays in June")]
    known = [one.text for one in await memory.facts.profile(caller(), 9)]
    assert known[0] == "Pays in June" and {*known[1:3]} == {"Pays in May", "Pays in 2026"}


async def test_of_many_late_promises_the_latest_are_proposed(memory):
    """However few are asked for; what is due and not late is no reason to leave one out."""
    late = [promise(f"The agent sends brochure {n}", NOW - timedelta(days=n)) for n in range(2, 9)]
    await learn(memory, *late, promise("Pays in June", JUNE, precision="month"))
    for limit in (1, 3):
        found = [one.fact.text for one in await proposals(memory, caller(), limit)]
        assert found == [one.text for one in late[:limit]]
