"""A turn is durable in its row or in the spool, in order, whatever Postgres does."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.errors import StoreUnavailable
from echoic.memory.store import recorder as recorder_module
from echoic.memory.store.recorder import Recorder
from echoic.memory.store.spool import Spool
from echoic.memory.types import Turn
from tests.fake_stores import FakeTurns


def turn(position=0):
    return Turn(
        uuid4(),
        "ana",
        "echoic",
        "call",
        position,
        "user",
        f"words {position}",
        datetime(2026, 11, 21, tzinfo=UTC),
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(recorder_module, "PATIENCE_S", 0.05)
    monkeypatch.setattr(recorder_module, "RETRY_S", (0.01,))


@pytest.fixture
async def parts(tmp_path):
    turns, spool = FakeTurns(), Spool(tmp_path / "spool")
    recorder = Recorder(turns, spool)
    yield turns, spool, recorder
    await recorder.close()
    await spool.close()


async def test_a_row_when_postgres_answers(parts):
    """Nothing passes by the disk."""
    turns, spool, recorder = parts
    one = turn()
    assert await recorder.record(one)
    assert list(turns.rows) == [one.turn_id] and spool.waiting == 0


@pytest.mark.parametrize("fault", ["down", "hung"])
async def test_the_spool_when_it_does_not_and_the_row_afterwards(parts, fault):
    """A dead or hung Postgres costs no turn, and the order is kept when it is back."""
    turns, spool, recorder = parts
    setattr(turns, fault, True)
    said = [turn(n) for n in range(4)]
    assert not any([await recorder.record(one) for one in said[:3]])
    assert spool.waiting == 3 and recorder.spooled == 3
    setattr(turns, fault, False)
    assert not await recorder.record(said[3]) or not spool.waiting, (
        "a later turn never overtakes a spooled one"
    )
    await recorder._replaying
    assert list(turns.rows.values()) == said and spool.waiting == 0


async def test_only_the_first_turn_waits_for_a_hung_postgres(parts):
    """Those behind it are on the disk at once, and in order."""
    turns, spool, recorder = parts
    turns.hung = True
    await recorder.record(turn(0))
    assert not await recorder.record(turn(1))
    assert spool.waiting == 2
    assert turns.patience.count(0.05) == 1, "the second went to the spool without asking"


async def test_neither_is_an_error(parts, monkeypatch):
    """A full disk beside a dead Postgres is said, not swallowed."""
    turns, spool, recorder = parts
    turns.down = True

    async def full(turn):
        raise StoreUnavailable("The spool cannot be written (No space left on device)")

    monkeypatch.setattr(spool, "append", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        await recorder.record(turn())


async def test_a_long_conversation_does_not_fill_the_embedders_queue(parts, monkeypatch):
    """An edit of somebody else waits behind a few of its turns, and not behind all."""
    turns, _, recorder = parts
    monkeypatch.setattr(recorder_module, "EMBED_AFTER_S", 0.0)
    asked, most, done = 0, 0, asyncio.Event()

    async def embed(one):
        nonlocal asked, most
        asked, most = asked + 1, max(most, asked)
        await asyncio.sleep(0)
        asked -= 1
        if one.position == 49:
            done.set()

    monkeypatch.setattr(turns, "embed_turn", embed)
    for number in range(50):
        await recorder.record(turn(number))
    await asyncio.wait_for(done.wait(), 10)
    assert 1 <= most <= recorder_module.EMBED_AT_ONCE
