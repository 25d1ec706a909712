"""One vector a question, waited for only so long: an endpoint that is slow or hung leaves the words to find
what they can."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from echoic.memory.breaker import Breaker
from echoic.memory.embedding.spaces import Vector

log = logging.getLogger("echoic.embed")


class QueryVector:
    """The vector of one question, computed in the background; None while the embedder is skipped."""

    def __init__(self, task: asyncio.Task[Vector] | None, breaker: Breaker) -> None:
        self._task, self._breaker = task, breaker
        self._done = asyncio.Event()
        self._patience: asyncio.TimerHandle | None = None
        self._given_up = False

    @classmethod
    def start(
        cls,
        asked: Coroutine[Any, Any, Vector],
        timeout_s: float | None,
        breaker: Breaker,
        hold: Callable[..., asyncio.Task],
    ) -> "QueryVector":
        """Begin to embed; `hold` keeps the task.

        Without a limit it takes as long as it takes, until `set_deadline`.
        """
        task = hold(asked, "recall.embed") if breaker.allows() else None
        vector = cls(task, breaker)
        if task is not None:
            task.add_done_callback(vector._ended)
        else:
            asked.close()
        if timeout_s is not None:
            vector.set_deadline(timeout_s)
        return vector

    def set_deadline(self, timeout_s: float) -> None:
        """A reply waits from now on: give up after `timeout_s`, unless an earlier limit ends before."""
        if self._task is not None and not self._task.done() and self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(timeout_s, self._done.set)

    async def get(self) -> Vector | None:
        """The vector, or None if it failed or took longer than the question's patience."""
        if self._task is None:
            return None
        await self._done.wait()
        if not self._task.done():
            self._give_up()
            return None
        if self._task.cancelled() or self._task.exception() is not None:
            return None
        return self._task.result()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _give_up(self) -> None:
        if not self._given_up:
            self._given_up = True
            self._breaker.failed()

    def _ended(self, task: asyncio.Task[Vector]) -> None:
        self._done.set()
        if self._patience is not None:
            self._patience.cancel()
        if task.cancelled():
            self._breaker.forget_trial()
        elif error := task.exception():
            log.warning("embed.failed", extra={"error": type(error).__name__})
            if not self._given_up:
                self._breaker.failed()
        elif not self._given_up:
            self._breaker.succeeded()
