"""A caller's days are theirs: where they are is kept with each turn, and known again in their next call."""

from dataclasses import replace

import pytest

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
