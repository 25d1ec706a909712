"""What was really said and heard aloud -> stored turns, once each, in order."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from livekit.agents import AgentSession, ConversationItemAddedEvent, llm

from memory.errors import MemoryFault
from memory.service import CallMemory
from memory.types import Role, Turn

log = logging.getLogger("echoic.capture")


@dataclass(frozen=True, slots=True)
class Heard:
    """One committed conversation item, before it is a turn."""

    item_id: str
    role: Role
    text: str
    said_at: datetime
    interrupted: bool
    seen_s: float
    """When the event came, by the monotonic clock."""


class Capture:
    """The only write path of a call: `conversation_item_added` -> `CallMemory.record`.

    Words that could not be made durable (database and disk both refuse) stay in memory and are tried again, in order, with the next.

    Args:
        on_stored: called with each durable turn and the milliseconds from its event to its being durable.
    """

    def __init__(self, call_memory: CallMemory, *, on_stored: Callable[[Turn, float], None] | None = None) -> None:
        self._call_memory, self._on_stored = call_memory, on_stored
        self._seen: set[str] = set()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._unsaved: deque[Heard] = deque()
        self._writer: asyncio.Task[None] | None = None
        self.fault: MemoryFault | None = None
        """Why the last attempt stored nothing; None when everything heard is durable."""

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="capture.write")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        await self.drained()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        await self._save_all()  # a last try for what could not be stored before

    def listen(self, session: AgentSession) -> None:
        """Take every item of this session from now on, whichever agent of a hand-off chain said it."""
        session.on("conversation_item_added", self.on_item)

    def on_item(self, event: ConversationItemAddedEvent) -> None:
        """Queue one committed item: an interrupted reply comes here only as far as it was heard."""
        item = event.item
        if not isinstance(item, llm.ChatMessage) or item.role not in ("user", "assistant") or item.id in self._seen:
            return
        if text := item.text_content:
            self._seen.add(item.id)
            said_at = datetime.fromtimestamp(item.created_at, UTC)
            self._queue.put_nowait(Heard(item.id, item.role, text, said_at, item.interrupted, time.perf_counter()))

    async def drained(self) -> None:
        """Return when every item seen so far is durable, or `fault` says why not."""
        await self._queue.join()

    @property
    def unsaved(self) -> int:
        """Turns that are held in memory only."""
        return len(self._unsaved)

    async def _write(self) -> None:
        while True:
            self._unsaved.append(await self._queue.get())
            try:
                await self._save_all()
            finally:
                self._queue.task_done()

    async def _save_all(self) -> None:
        self.fault = None
        for _ in range(len(self._unsaved)):
            heard = self._unsaved.popleft()
            try:
                await self._save(heard)
            except Exception as exc:
                self._unsaved.append(heard)
                self.fault = exc if isinstance(exc, MemoryFault) else MemoryFault(f"A turn could not be stored ({type(exc).__name__}).")
                log.error("turn.unsaved", extra={"error": type(exc).__name__, "unsaved": len(self._unsaved)})

    async def _save(self, heard: Heard) -> None:
        turn = await self._call_memory.record(heard.item_id, heard.role, heard.text, heard.said_at, heard.interrupted)
        elapsed_ms = (time.perf_counter() - heard.seen_s) * 1000
        fields = {"turn_id": str(turn.turn_id), "role": turn.role, "interrupted": turn.interrupted}
        log.info("turn.captured", extra={**fields, "elapsed_ms": round(elapsed_ms, 1)})
        if self._on_stored is not None:
            self._on_stored(turn, elapsed_ms)
