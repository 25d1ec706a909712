"""Threads for a model that many ask: what is urgent goes first."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

log = logging.getLogger("echoic.hosting")

STUCK_S = 30.0  # healthy work takes a second at most; a model that needs this long will not come back

Result = TypeVar("Result")


class PriorityThreads:
    """Work in threads: urgent before other work, each first in, first out.

    Work that is not urgent never takes the last thread of several, so that urgent work waits for its like
    only. What is cancelled while it waits is not done at all.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = {True: threads, False: max(1, threads - 1)}
        """Threads that may still be taken by urgent work, which is all of them, and by other work."""
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}

    async def run(self, work: Callable[..., Result], *arguments: Any, urgent: bool) -> Result:
        """The work's result, from a thread."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[urgent].append(turn)
        self._give_turns()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came at this very moment
                self._end_turn(urgent)
            raise
        loop = asyncio.get_running_loop()
        stuck = loop.call_later(STUCK_S, _give_up)

        def end(_: object) -> None:
            stuck.cancel()
            self._end_turn(urgent)

        working = loop.run_in_executor(self._pool, partial(work, *arguments))
        working.add_done_callback(end)
        return await asyncio.shield(working)  # a thread cannot be stopped: its turn ends when it does

    def _give_turns(self) -> None:
        for urgent in (True, False):
            waiting = self._waiting[urgent]
            while waiting and self._free[True] and self._free[urgent]:
                turn = waiting.popleft()
                if not turn.cancelled():
                    self._free[True] -= 1
                    self._free[False] -= not urgent
                    turn.set_result(None)

    def _end_turn(self, urgent: bool) -> None:
        self._free[True] += 1
        self._free[False] += not urgent
        self._give_turns()


def _give_up() -> None:
    """A thread cannot be ended; the daemon starts the program again, with new ones."""
    log.error("hosting.work_stuck after_s=%s", STUCK_S)
    os._exit(1)
