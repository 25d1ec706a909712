"""How many requests are worked on at once: the others wait their turn, first come, first served.

Without it 200 clients at once stood before four connections of Postgres, each with a body in memory.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from echoic.api.problems import Problem

AT_ONCE = 16
WAIT_S = 20.0
MOST_WAITING = 2_000


class Desk:
    """Places of one process, first come, first served."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def place(self) -> Callable[[], None]:
        """Wait for a place; returns what gives it back, which may be called again.

        Raises:
            Problem: 503; too many wait, or for too long.
        """
        if self._waiting >= MOST_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self._places.acquire()
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        held = ExitStack()
        held.callback(self._places.release)
        return held.close


def _busy() -> Problem:
    return Problem(503, "busy", "Too many requests at once: try again.", headers={"Retry-After": "2"})
