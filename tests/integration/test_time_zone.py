"""A caller's days are theirs: where they are is kept with each turn, and known again in their next call."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

import echoic.testing
from echoic.memory.service import open_memory
from tests.remembered import caller


@pytest.fixture
async def memory(memory_settings, embedder):
    async with open_memory(memory_settings, embedder=embedder) as memory:
        yield memory


async def spoken_zone(memory, who):
    """The zone of a call's one turn, as it stands in its row."""
    call = await memory.open_call(who)
    await call.record("item", "user", "I have the dentist tomorrow.")
    await call.end()
    (turn,) = [turn for turn in await memory.turns.list(who.user_id) if turn.call_id == who.call_id]
    return turn.timezone


async def test_last_time_counts_until_something_else_is_known(memory):
    """The setting alone is not kept as anybody's own."""
    assert await spoken_zone(memory, caller()) == ""
    lima = replace(caller(), timezone="America/Lima", timezone_known=True)
    assert await spoken_zone(memory, lima) == "America/Lima"
    assert await spoken_zone(memory, caller()) == "America/Lima"
    tokyo = replace(caller(), timezone="Asia/Tokyo", timezone_known=True)
    assert await spoken_zone(memory, tokyo) == "Asia/Tokyo"


async def test_nobody_gets_the_zone_of_another(memory):
    """It is looked up by the user alone."""
    await spoken_zone(memory, replace(caller("bo"), timezone="Asia/Tokyo", timezone_known=True))
    assert await spoken_zone(memory, caller("ana")) == ""


@pytest.mark.parametrize("kept", ["held", "in_postgres", "in_memory"])
async def test_the_last_evening_of_a_month_is_of_it(memory, kept, monkeypatch):
    """In UTC it is of the next one. The same matter was told forty times before and after that month."""
    if kept != "held":
        monkeypatch.setattr("echoic.memory.recall.call_corpus.HELD_ROWS", 0)
    memory = echoic.testing.memory() if kept == "in_memory" else memory
    theirs = replace(caller(), timezone="America/Los_Angeles", timezone_known=True)
    evening = datetime(2024, 12, 31, 20, tzinfo=ZoneInfo(theirs.timezone))
    for days in (*range(-99, -39, 3), 0, *range(12, 72, 3)):
        call = await memory.open_call(replace(theirs, call_id=f"{days}"))
        text = f"We crossed the harbour on boat {days + 500}."
        await call.record("1", "user", text, evening + timedelta(days=days))
        await call.end()
    while kept != "in_memory" and memory.recorder._tasks:  # all have their vectors, or none does
        await asyncio.wait(memory.recorder._tasks)
    asking = await memory.open_call(replace(theirs, call_id="asking"))
    await memory.search.wait_held("asking") if kept == "held" else None
    found = await asking.recall("What did I tell you about the harbour in December?", budget_s=10)
    assert any("boat 500" in one.text for one in found.used)  # the newest of a matter stands first
