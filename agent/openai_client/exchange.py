"""One request of a client that remembers: what is put into it before, what is heard of its answer after."""

import asyncio
import concurrent.futures
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from echoic.agent.openai_client.background import Background
from echoic.memory.chat.conversations import Conversations, Said
from echoic.memory.chat.messages import with_block
from echoic.memory.chat.reply import ReplyReader
from echoic.memory.types import Recall

log = logging.getLogger("echoic.openai")
GRACE_S = 0.02
"""Memory keeps to the budget by itself, and then needs a moment to say what it found."""


@dataclass(slots=True, eq=False)
class Exchange:
    """Whatever is wrong with memory, nothing of this raises or outlasts the budget."""

    background: Background
    said: Said
    _reader: ReplyReader | None = None
    _is_over: bool = False
    _is_reading: bool = False

    def recalled(self) -> str:
        """The block for this request; empty where there is none in time."""
        if self.background.is_here:
            log.warning("openai.waits_in_its_loop", extra={"hint": "use AsyncOpenAI in this event loop"})
            return ""
        asked, limit_s = self._ask()
        with suppress(Exception):
            return asked.result(limit_s).block
        asked.cancel()
        return ""

    async def recalled_async(self) -> str:
        """As `recalled`, without blocking the loop of the client."""
        asked, limit_s = self._ask()
        with suppress(Exception):
            async with asyncio.timeout(limit_s):
                return (await asyncio.wrap_future(asked)).block
        return ""

    def with_block(self, options: Any, block: str) -> Any:
        """The request's options with the block in a copy of its body."""
        if not block:
            return options
        return options.model_copy(update={"json_data": with_block(options.json_data, self.said.asked, block)})

    def follow(self, response: Any, *, is_async: bool) -> None:
        """Listen to the answer: it is here, or it is read as the program reads it."""
        self._reader = ReplyReader(response.headers.get("content-type", ""))
        if response.is_closed:
            self._reader.feed(response.content)
            self.finish()
        elif is_async:
            response.aiter_bytes, response.aclose = self._heard_async(response), self._closed_async(response)
        else:
            response.iter_bytes, response.close = self._heard(response), self._closed(response)

    def finish(self) -> None:
        """It is over, once: what was said goes to be stored, as far as it came."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if self._reader is not None:
                self.said.reply = self._reader.text.strip()
                self.said.interrupted = not self._reader.is_complete
            self.background.record(self.said)
        except Exception as exc:
            log.error("openai.not_stored", extra={"error": type(exc).__name__})

    def _ask(self) -> "tuple[concurrent.futures.Future[Recall], float]":
        budget_s = self.background.settings.recall_budget_s
        deadline = time.monotonic() + budget_s

        async def recall(conversations: Conversations) -> Recall:
            left_s = max(0.001, deadline - time.monotonic())
            return await conversations.recall(self.said.whom, self.said.asked, budget_s=left_s)

        return self.background.submit(recall), budget_s + GRACE_S

    def _hear(self, data: bytes) -> None:
        if self._reader is not None and not self._is_over:
            self._reader.feed(data)

    def _heard(self, response: Any) -> Callable[..., Iterator[bytes]]:
        original = response.iter_bytes

        def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
            pieces = original(chunk_size)
            try:
                while (data := self._next(pieces)) is not None:
                    self._hear(data)
                    yield data
            finally:
                self.finish()

        return iter_bytes

    def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        self._is_reading = True
        try:
            return next(pieces, None)
        finally:
            self._is_reading = False

    def _closed(self, response: Any) -> Callable[[], None]:
        original = response.close

        def close() -> None:
            original()
            if not self._is_reading:  # else it closes itself at its end, and the last piece is still to come
                self.finish()

        return close

    def _heard_async(self, response: Any) -> Callable[..., AsyncIterator[bytes]]:
        original = response.aiter_bytes

        async def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
            pieces = original(chunk_size)
            try:
                while (data := await self._anext(pieces)) is not None:
                    self._hear(data)
                    yield data
            finally:
                self.finish()

        return aiter_bytes

    async def _anext(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        self._is_reading = True
        try:
            return await anext(pieces, None)
        finally:
            self._is_reading = False

    def _closed_async(self, response: Any) -> Callable[[], Any]:
        original = response.aclose

        async def aclose() -> None:
            await original()
            if not self._is_reading:
                self.finish()

        return aclose
