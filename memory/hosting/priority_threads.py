"""Threads for a model that many ask: what is urgent goes first."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

log = logging.getLogger("echoic.hosting")

STUCK_S = 30.0  # healthy work takes a second at most; a model that needs this long will not come back

Result = asyncio.Future[Any]


class PriorityThreads:
    """Work in threads: urgent before other work, each first in, first out.

    Work that is not urgent never takes the last thread of several, so that urgent work waits for its like
    only. What is cancelled while it waits is not done at all; what runs already keeps its thread until it is
    done, as a thread cannot be stopped.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = {True: threads, False: max(1, threads - 1)}
        """Threads that may still be taken by urgent work, which is all of them, and by other work."""
        self._waiting: dict[bool, deque[tuple[Result, Callable[[], Any]]]] = {True: deque(), False: deque()}

    def submit(self, work: Callable[..., Any], *arguments: Any, urgent: bool) -> Result:
        """The result of `work(*arguments)`, once a thread was free for it."""
        result = asyncio.get_running_loop().create_future()
        self._waiting[urgent].append((result, partial(work, *arguments)))
        self._start_next()
        return result

    def _start_next(self) -> None:
        loop = asyncio.get_running_loop()
        for urgent, waiting in self._waiting.items():
            while waiting and self._free[True] and self._free[urgent]:
                result, work = waiting.popleft()
                if not result.cancelled():
                    self._free[True] -= 1
                    self._free[False] -= not urgent
                    stuck = loop.call_later(STUCK_S, _give_up)
                    working = loop.run_in_executor(self._pool, work)
                    working.add_done_callback(partial(self._end, result, urgent, stuck))

    def _end(
        self, result: Result, urgent: bool, stuck: asyncio.TimerHandle, done: asyncio.Future[Any]
    ) -> None:
        stuck.cancel()
        self._free[True] += 1
        self._free[False] += not urgent
        error = done.exception()
        if error and not result.cancelled():
            result.set_exception(error)
        elif not result.cancelled():
            result.set_result(done.result())
        self._start_next()


def _give_up() -> None:
    """A thread cannot be ended; the daemon starts the program again, with new ones."""
    log.error("hosting.work_stuck after_s=%s", STUCK_S)
    os._exit(1)
