"""What every store of turns must do: the fake of the unit tests and Postgres alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from echoic.memory.store.database import Database
from echoic.memory.store.turns import TurnStore
from echoic.memory.types import Caller, Turn
from tests.fake_stores import FakeTurns

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class FlatEmbedder:
    name, dimensions = "flat", 3

    async def embed(self, text, *, across=False):
        return np.ones(3, np.float32)

    async def embed_batch(self, texts):
        return np.ones((len(texts), 3), np.float32)


@pytest.fixture(params=["fake", "postgres"])
async def turns(request):
    if request.param == "fake":
        yield FakeTurns()
        return
    db = Database(request.getfixturevalue("database_url"))
    yield TurnStore(db, FlatEmbedder())
    await db.close()


def turn(text="words", **fields):
    known = {
        "user_id": "ana",
        "agent_id": "echoic",
        "call_id": "call-1",
        "position": 0,
        "role": "user",
        "said_at": NOW,
    }
    return Turn(turn_id=uuid4(), text=text, **known | fields)


async def test_recorded_once(turns):
    """The first time is new; every other time changes nothing."""
    one = turn()
    assert await turns.record(one)
    assert not await turns.record(replace(one, text="other words"))
    assert await turns.list("ana") == [one]


async def test_read_back_as_it_was(turns):
    """Not a microsecond of the time and not the cut-off is lost on the way into the store and back."""
    cut = turn("half a sent", role="assistant", interrupted=True, said_at=NOW + timedelta(microseconds=7))
    await turns.record(cut)
    await turns.embed_turn(cut)
    assert await turns.list("ana") == [cut]


async def test_in_the_order_they_were_said(turns):
    """By time and then by place in the call, whatever the order in which they were stored."""
    said = [turn(str(n), said_at=NOW + timedelta(seconds=n // 2), position=n) for n in range(6)]
    for one in reversed(said):
        await turns.record(one)
    assert await turns.list("ana") == said


async def test_a_clock_that_is_set_back_during_a_call_changes_no_order(turns):
    """By position within a call; calls by when they began."""
    hour = timedelta(hours=1)
    first = [turn(f"first {n}", call_id="b", position=n, said_at=NOW - n * hour) for n in range(4)]
    then = [turn(f"then {n}", call_id="a", position=n, said_at=NOW + hour + n * hour) for n in range(3)]
    for one in [*then, *first]:
        await turns.record(one)
    assert await turns.list("ana") == [*first, *then]
    assert await turns.before(Caller("ana", "echoic", "now"), 10) == [*first, *then]
    assert await turns.of_call(Caller("ana", "echoic", "b"), 10) == first


async def test_earlier_calls_and_this_call_are_told_apart(turns):
    """Last turns first counted, oldest first given; another agent's or user's are never among them."""
    earlier = [
        turn(f"earlier {n}", call_id="call-0", position=n, said_at=NOW - timedelta(hours=1)) for n in range(5)
    ]
    now = [turn(f"now {n}", position=n) for n in range(3)]
    for one in [*earlier, *now, turn(agent_id="other", call_id="x"), turn(user_id="bob", call_id="y")]:
        await turns.record(one)
    caller = Caller("ana", "echoic", "call-1")
    assert await turns.before(caller, 2) == earlier[-2:]
    assert await turns.of_call(caller, 10) == now


async def test_nothing_known_is_empty(turns):
    """A stranger's turns are an empty list, and no error."""
    assert await turns.list("nobody") == [] and await turns.before(Caller("nobody", "echoic", "c"), 5) == []
