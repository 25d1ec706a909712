"""What was really said and heard aloud -> stored turns, once each, in order."""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from livekit.agents import AgentSession, ConversationItemAddedEvent, UserInputTranscribedEvent, llm

from echoic.agent.call.transcripts import UNANSWERED_AFTER_S, Segment, Waiting, joined
from echoic.memory.call import CallMemory
from echoic.memory.errors import MemoryFault
from echoic.memory.types import Role, Turn

log = logging.getLogger("echoic.capture")

MOST_CHANGES = 64
"""Changes of caller or agent within which what was begun before them is still stored where it belongs; a
reply that is cut off ends within a second."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One committed conversation item, or words that became none, before it is a turn."""

    call_memory: CallMemory
    """Whose words these are: the call's memory when they were heard."""
    item_id: str
    role: Role
    text: str
    said_at: datetime
    interrupted: bool
    seen_s: float
    """When the event came, by the monotonic clock."""


class Capture:
    """The only write path of a call: `conversation_item_added` -> `CallMemory.record`.

    A caller's words that never become an item (spoken over a reply that cannot be interrupted, or during a
    hand-off) are kept from the final transcripts, marked `interrupted`: when the next item leaves them
    behind, after 6 s of silence, or at the end of the call.

    Words that could not be made durable (database and disk both refuse) stay in memory and are tried again,
    in order, with the next.

    Args:
        on_stored: called with each durable turn and the milliseconds from its event to its being durable.
    """

    def __init__(
        self, call_memory: CallMemory, *, on_stored: Callable[[Turn, float], None] | None = None
    ) -> None:
        self._on_stored = on_stored
        self._memories = deque([(datetime.min.replace(tzinfo=UTC), call_memory)], MOST_CHANGES)
        """Each memory, and since when it takes what is said; the one in force last."""
        self._session: AgentSession | None = None
        self._waiting = Waiting()
        self._silence: asyncio.TimerHandle | None = None
        self._seen: set[str] = set()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._unsaved: deque[Heard] = deque()
        self._writer: asyncio.Task[None] | None = None
        self.fault: MemoryFault | None = None
        """Why the last attempt stored nothing; None when everything heard is durable."""

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="capture.write")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep_unanswered()
        await self.drained()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        await self._save_all()  # a last try for what could not be stored before
        while not self._queue.empty():  # it came meanwhile
            self._unsaved.append(self._queue.get_nowait())
            self._queue.task_done()
            await self._save_all()

    def listen(self, session: AgentSession) -> None:
        """Take every item of this session from now on, whichever agent of a hand-off chain said it."""
        self._session = session
        session.on("conversation_item_added", self.on_item)
        session.on("user_input_transcribed", self.on_transcribed)
        session.on("close", lambda _: self.keep_unanswered())

    def on_item(self, event: ConversationItemAddedEvent) -> None:
        """Queue one committed item: an interrupted reply comes here only as far as it was heard."""
        item = event.item
        if (
            not isinstance(item, llm.ChatMessage)
            or item.role not in ("user", "assistant")
            or item.id in self._seen
        ):
            return
        self._seen.add(item.id)
        text = self._not_stored_yet(item) if item.role == "user" else item.text_content
        if text:
            self._queue_turn(
                item.id, item.role, text, datetime.fromtimestamp(item.created_at, UTC), item.interrupted
            )

    def on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        """Hold the final words until their item comes, or it is certain that none will."""
        if self._silence is not None:
            self._silence.cancel()
        if event.is_final:
            self._waiting.hear(event)
        if any(not segment.item_id for segment in self._waiting.segments):
            self._silence = asyncio.get_running_loop().call_later(UNANSWERED_AFTER_S, self._on_silence)

    def keep_unanswered(self) -> None:
        """Queue the words that wait for an item: there will be none."""
        if self._silence is not None:
            self._silence.cancel()
        self._keep(self._waiting.segments)

    def switch_memory(self, call_memory: CallMemory) -> None:
        """From now on, and at once, this memory takes what is heard; what was heard until now is still stored
        where it was heard."""
        if call_memory is not self._memories[-1][1]:
            # their item would be made after the change; when it comes, its words are known as stored
            self.keep_unanswered()
            self._memories.append((datetime.now(UTC), call_memory))

    async def switch_memory_and_flush(self, call_memory: CallMemory) -> None:
        """As `turn_to`; returns when everything heard before is durable, or `fault` says why not."""
        self.switch_memory(call_memory)
        await self.drained()

    async def drained(self) -> None:
        """Return when every item seen so far is durable, or `fault` says why not."""
        await self._queue.join()

    def conversation(self) -> list[llm.ChatItem]:
        """What was said in the session, ended by the words of whoever is heard that were kept though they
        became no item of it."""
        if self._session is None:
            return []
        user_id = self._memories[-1][1].caller.user_id
        kept = [segment for segment in self._waiting.segments if segment.item_id]
        said = [one for one in kept if self._memory_at(one.heard_at).caller.user_id == user_id]
        items = list(self._session.history.items)
        if said:
            words, began = [joined(said)], said[0].heard_at.timestamp()
            items.append(llm.ChatMessage(id=said[-1].item_id, role="user", content=words, created_at=began))
        return items

    @property
    def unsaved(self) -> int:
        """Turns that are held in memory only."""
        return len(self._unsaved)

    def _not_stored_yet(self, message: llm.ChatMessage) -> str | None:
        """The words of a user's item, without those that were stored before, when no item seemed to come."""
        behind, held = self._waiting.take(message)
        self._keep(behind)
        if any(segment.item_id for segment in held):
            return joined([segment for segment in held if not segment.item_id])
        return message.text_content

    def _keep(self, segments: Sequence[Segment]) -> None:
        segments = [segment for segment in segments if not segment.item_id]
        item_id = f"heard:{uuid.uuid4().hex}"
        for segment in segments:
            segment.item_id = item_id
        if segments:
            self._queue_turn(item_id, "user", joined(segments), segments[0].heard_at, interrupted=True)

    def _on_silence(self) -> None:
        # an ear without partial transcripts
        if self._session is not None and self._session.user_state == "speaking":
            self._silence = asyncio.get_running_loop().call_later(UNANSWERED_AFTER_S, self._on_silence)
        else:
            self.keep_unanswered()

    def _queue_turn(self, item_id: str, role: Role, text: str, said_at: datetime, interrupted: bool) -> None:
        whose = self._memory_at(said_at)
        self._queue.put_nowait(Heard(whose, item_id, role, text, said_at, interrupted, time.perf_counter()))

    def _memory_at(self, said_at: datetime) -> CallMemory:
        """Whose words of that moment are: a reply that was cut off ends after its caller has gone."""
        known = (memory for since, memory in reversed(self._memories) if since <= said_at)
        return next(known, self._memories[0][1])

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
                self.fault = (
                    exc
                    if isinstance(exc, MemoryFault)
                    else MemoryFault(f"A turn could not be stored ({type(exc).__name__}).")
                )
                log.error("turn.unsaved", extra={"error": type(exc).__name__, "unsaved": len(self._unsaved)})

    async def _save(self, heard: Heard) -> None:
        turn = await heard.call_memory.record(
            heard.item_id, heard.role, heard.text, heard.said_at, heard.interrupted
        )
        if turn is None:
            return  # said while the caller did not want to be remembered
        elapsed_ms = (time.perf_counter() - heard.seen_s) * 1000
        durable = heard.call_memory.persistent and not heard.call_memory.consent_pending
        if self._on_stored is not None and durable:
            self._on_stored(turn, elapsed_ms)
