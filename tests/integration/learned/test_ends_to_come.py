"""The end of what is known is the end that was said last, whatever was learned last."""

from datetime import UTC, datetime, time, timedelta

import pytest

from tests.fakes import on_known, operation
from tests.remembered import NOW, fact, learn, say

YESTERDAY, SIX_DAYS_AGO = NOW - timedelta(days=1), NOW - timedelta(days=6)
SOON, LATER = (NOW + timedelta(days=3)).date(), (NOW + timedelta(days=20)).date()


def end_of(day):
    return datetime.combine(day + timedelta(days=1), time(), UTC)


@pytest.fixture
def told(memory, learner, model):
    """ "I am in Rome until ...": the words, what a model makes of them, and learning it; the live ends."""

    async def told(day, said_at=NOW, op="add"):
        words = f"until {day.day} {day:%B}"
        one = operation("Is in Rome", op=op, quote=f"I am in Rome {words}", topic="travel")
        model.otherwise = on_known(one | {"when": f"{said_at.date()}/{day} day: {words}"})
        await say(memory, f"I am in Rome {words}.", said_at=said_at, call_id=f"call of {said_at}")
        await learner.learn("ana")
        return [one.valid_until for one in await memory.facts.list("ana")]

    return told


@pytest.mark.parametrize("op", ["add", "confirm Is in Rome", "end Is in Rome"])
@pytest.mark.parametrize("before", [end_of(LATER), end_of(SOON - timedelta(days=1)), None])
async def test_the_end_of_the_newer_words_counts(op, before, memory, told):
    """A shorter stay, a longer one, one of which no end was known; "until Friday" does not end it today."""
    await learn(memory, fact("Is in Rome", said_at=YESTERDAY, topic="travel", valid_until=before))
    assert await told(SOON, op=op) == [end_of(SOON)]


async def test_older_words_that_come_late_do_not_lengthen_what_newer_ones_ended(memory, told):
    """A spool that is replayed, or an import: said six days ago, and learned after what was said since."""
    await learn(memory, fact("Is in Rome", said_at=YESTERDAY, topic="travel", valid_until=end_of(SOON)))
    assert await told(LATER, SIX_DAYS_AGO) == [end_of(SOON)]


@pytest.mark.parametrize("op", ["add", "end Is in Rome"])
async def test_nor_change_an_end_of_which_alone_the_newer_ones_spoke(op, memory, told):
    """They ended it, and did not say it again."""
    await learn(memory, fact("Is in Rome", said_at=NOW - timedelta(days=9), topic="travel"))
    assert await told(SOON, YESTERDAY, op="end Is in Rome") == [end_of(SOON)]
    for day in (LATER, SOON - timedelta(days=1)):
        assert await told(day, SIX_DAYS_AGO, op=op) == [end_of(SOON)]
