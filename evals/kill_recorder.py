"""A process that records what users say, and tells which turns were acknowledged, until it is killed."""

import asyncio
import itertools
import logging
import os
from collections.abc import Sequence
from uuid import uuid4

from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from tests.embedders import WordEmbedder

PAUSE_S = 0.02
"""Between two turns of a user: without it, what waits on the disk takes longer to arrive than the kills."""


def record(database_url: str, redis_url: str, data_dir: str, users: Sequence[str], told: int) -> None:
    """Record turns for ever. Each acknowledged one is a line in the pipe `told`: call, user, number, how.

    Nothing is embedded by a model: what is tried is whether an acknowledged turn is kept.
    """
    logging.disable(logging.CRITICAL)  # of a store that is halted there is a line for each turn
    # the number of a call may look like that of a card
    addresses = {"database_url": database_url, "redis_url": redis_url, "data_dir": data_dir}
    settings = load_settings(**addresses, mask_secrets=False)
    asyncio.run(_record(settings, users, told))


async def _record(settings: MemorySettings, users: Sequence[str], told: int) -> None:
    async with open_memory(settings, embedder=WordEmbedder(), need_stores=False) as memory:
        stored: dict[str, str] = {}
        memory.recorder.watchers.append(lambda turn, how: stored.update({turn.text: how}))
        calls = await asyncio.gather(
            *(memory.open_call(Caller(user, "echoic", uuid4().hex)) for user in users)
        )
        os.write(told, b"ready\n")
        for number in itertools.count():
            for call in calls:
                user, call_id = call.caller.user_id, call.caller.call_id
                text = words(call_id, user, number)
                await call.record(str(number), "user", text)
                os.write(told, f"{call_id} {user} {number} {stored.pop(text)}\n".encode())
            await asyncio.sleep(PAUSE_S)


def words(call_id: str, user: str, number: int) -> str:
    """What is said: nobody else says it."""
    return f"{user} says number {number} in {call_id}"
