"""What is over since stays over, whenever older words that say it are learned."""

from datetime import timedelta

import pytest

from echoic.memory.privacy.forget import forget
from echoic.memory.types import ForgetRequest
from tests.fakes import on_known, operation
from tests.remembered import NOW, caller, say

SAID, LEFT = "I live in Berlin", "I left Berlin"
LIVES = operation("Lives in Berlin", quote=SAID)
GONE = operation("Lives in Berlin", op="end Lives in Berlin", quote=LEFT)


@pytest.fixture
def told(memory, learner, model):
    """Words of so many days ago, and what a model makes of them, learned now; what is live then."""

    async def told(days, said, *operations):
        model.otherwise = on_known(*operations)
        turns = await say(memory, f"{said}.", said_at=NOW - timedelta(days=days), call_id=f"{days} ago")
        await learner.learn("ana")
        return turns, [one.text for one in await memory.facts.list("ana")]

    return told


@pytest.mark.parametrize("when", ["", f"{(NOW - timedelta(days=60)).date()} day: 60 days ago"])
async def test_words_from_before_its_end_that_come_late_open_nothing(memory, told, when):
    """A spool, an import, a batch that was set aside: it was so then, and is not now."""
    assert (await told(90, SAID, LIVES))[1] == ["Lives in Berlin"]
    over = f"{LEFT} 60 days ago" if when else LEFT
    assert (await told(10, over, GONE | {"quote": over, "when": when}))[1] == []
    (late,), live = await told(50, SAID, LIVES)
    (known,) = await memory.facts.list("ana", include_closed=True)
    assert live == [] and known.turn_ids[-1] == late.turn_id


async def test_words_that_are_learned_again_open_nothing(memory, learner, model, told):
    """A turn beside them is forgotten, so that they are open again."""
    cat = operation("Has a cat", quote=SAID) | {"quote": "I have a cat"}
    (first,), _ = await told(95, "I have a cat", cat)
    both = on_known(LIVES, cat | {"quote": "still have a cat"})
    model.otherwise = both
    await say(memory, f"{SAID}, and I still have a cat.", said_at=NOW - timedelta(days=90), call_id="both")
    await learner.learn("ana")
    assert (await told(10, LEFT, GONE))[1] == ["Has a cat"]
    model.otherwise = both
    gone = await forget(await memory.open_call(caller()), ForgetRequest(frozenset({first.turn_id})))
    assert gone.reopened
    await learner.learn("ana")
    assert [one.text for one in await memory.facts.list("ana")] == ["Has a cat"]


async def test_words_from_after_its_end_begin_it_anew(told):
    await told(90, SAID, LIVES)
    await told(50, LEFT, GONE)
    assert (await told(10, SAID, LIVES))[1] == ["Lives in Berlin"]
