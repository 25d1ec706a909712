"""What was said in a Pipecat pipeline -> stored turns, once each, in order."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pipecat.frames.frames import Frame, LLMContextAssistantTurnFrame, LLMContextUserTurnFrame
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame

from echoic.memory.call import CallMemory
from echoic.memory.types import Role

log = logging.getLogger("echoic.capture")


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that was said, before it is a turn."""

    item_id: str
    role: Role
    text: str
    said_at: datetime
    interrupted: bool = False


def said_in(frame: Frame, *, interrupted: bool = False) -> Said | None:
    """What a frame says was said; both copies of a broadcast give the same id. None for other frames."""
    match frame:
        case LLMContextUserTurnFrame():
            role: Role = "user"
        case LLMContextAssistantTurnFrame():
            role = "assistant"
        case RTVISendTextFrame():  # typed by the client
            return Said(f"typed:{frame.id}", "user", frame.text, datetime.now(UTC))
        case _:
            return None
    one = min(frame.id, frame.broadcast_sibling_id or frame.id)
    return Said(f"frame:{one}", role, frame.text, _date(frame.timestamp), interrupted)


class Capture:
    """The only write path of a pipeline.

    Nobody waits for it: `keep` returns at once. Words that could not be made durable (database and disk both
    refuse) stay in memory and are tried again, in order, with the next and at the end.

    Args:
        opened: gives the call's memory once it is open.
    """

    def __init__(self, opened: Callable[[], Awaitable[CallMemory]]) -> None:
        self._opened = opened
        self.said: dict[str, Said] = {}
        """Everything of this call, oldest first, by item id."""
        self._queue: asyncio.Queue[Said] = asyncio.Queue()
        self._unsaved: deque[Said] = deque()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to store what is kept; safe to repeat."""
        self._writer = self._writer or asyncio.create_task(self._write(), name="pipecat.capture")

    def keep(self, said: Said) -> None:
        """Queue one thing that was said; the same one twice is one."""
        if said.text.strip() and said.item_id not in self.said:
            self.said[said.item_id] = said
            self._queue.put_nowait(said)

    async def drained(self) -> None:
        """Return when everything kept so far is durable, or was tried."""
        await self._queue.join()
        if self._unsaved:
            await self._save_all(await self._opened())

    async def close(self) -> None:
        """Stop at once; call `drained` before."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        if lost := self._queue.qsize() + len(self._unsaved):
            log.error("turn.lost", extra={"unsaved": lost})

    async def _write(self) -> None:
        call = await self._opened()
        while True:
            self._unsaved.append(await self._queue.get())
            try:
                await self._save_all(call)
            finally:
                self._queue.task_done()

    async def _save_all(self, call: CallMemory) -> None:
        for _ in range(len(self._unsaved)):
            said = self._unsaved[0]
            try:
                await call.record(said.item_id, said.role, said.text, said.said_at, said.interrupted)
            except Exception as exc:
                log.error("turn.unsaved", extra={"error": type(exc).__name__, "unsaved": len(self._unsaved)})
                return
            self._unsaved.popleft()


def _date(text: str) -> datetime:
    """Of an ISO timestamp; now where there is none: a turn that no strategy began."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
