"""Who listens to Postgres's notices ends when the process does."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from echoic.memory.review import events
from echoic.memory.review.events import EventFeed
from echoic.memory.store import versions
from echoic.memory.store.versions import Versions


class Pinged:
    """A connection whose ping is answered when the test says so."""

    def __init__(self):
        self.asked, self.answered = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def add_listener(self, *_):
        pass

    async def fetchval(self, *_, **__):
        return "salt"

    def add_termination_listener(self, _):
        pass

    def is_closed(self):
        return False

    async def execute(self, _):
        if self.answered.done():
            await asyncio.Event().wait()
        self.asked.set()
        await self.answered


@pytest.mark.parametrize("moment", range(6))
@pytest.mark.parametrize("listener", [Versions, EventFeed])
async def test_who_listens_ends_when_told_also_as_a_ping_is_answered(listener, moment, monkeypatch):
    """`asyncio.wait_for` of Python 3.11 forgets to be cancelled then, and a process never ended."""
    monkeypatch.setattr(versions, "PING_S", 0.01)
    monkeypatch.setattr(events, "PING_S", 0.01)
    connection = Pinged()

    @asynccontextmanager
    async def dedicated():
        yield connection

    listening = listener(SimpleNamespace(dedicated=dedicated))
    task = asyncio.create_task(listening._listen())
    await connection.asked.wait()
    connection.answered.set_result(None)
    for _ in range(moment):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=2)
    task.cancel()
    assert done
