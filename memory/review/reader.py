"""A person as whoever reads without a call knows them: their ids, their choices, and where they are."""

import asyncio
from dataclasses import replace

from echoic.memory.recall.recent_turns import TURNS_BEFORE
from echoic.memory.settings.personal import Choices
from echoic.memory.stores import Stores
from echoic.memory.types import Caller


async def reader(
    memory: Stores, user_id: str, agent_id: str | None = None, *, call_id: str
) -> tuple[Caller, Choices]:
    """This person, to that agent or the default one, and what they chose.

    In the time zone that they chose; else where they were last time, as in a call; else that of the settings.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    settings = memory.settings
    choices, also = await asyncio.gather(memory.choices.read(user_id), memory.links.read_along(user_id))
    caller = Caller(user_id, agent_id or settings.agent_id, call_id, settings.timezone, also=also)
    if not choices.timezone:
        before = await memory.turns.before(caller, TURNS_BEFORE)
        zone = next((turn.timezone for turn in reversed(before) if turn.timezone), "")
        caller = replace(caller, timezone=zone, timezone_known=True) if zone else caller
    return choices.applied_to(caller), choices
