"""`echoic.pipecat.EchoicMemory`: a frame processor that gives a Pipecat pipeline its caller's memory."""

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    LLMContextFrame,
    StartFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup

from echoic.agent.pipecat.aggregators import Aggregators
from echoic.agent.pipecat.capture import Capture, Said, said_in
from echoic.agent.pipecat.context import Message, previous_words, put_block, unanswered, words_of
from echoic.agent.pipecat.session import Session
from echoic.memory.call import CallMemory
from echoic.memory.config import MemorySettings
from echoic.memory.observe.metrics import count_recall
from echoic.memory.recall.lookahead import Lookahead
from echoic.memory.recall.pending import PendingRecall
from echoic.memory.service import Memory
from echoic.memory.text.people import shown
from echoic.memory.types import Recall, Role

log = logging.getLogger("echoic.pipecat")

FLUSH_S = 8.0
"""Longest the end of a pipeline waits for its last words to be durable. A store has 2 s to be read and 2 s to
be written by default; then the disk takes them."""
GREETING_S = 1.0


class EchoicMemory(FrameProcessor):
    """The memory of one caller in one pipeline: recalled before each reply, stored after each turn.

    Its place is after the user aggregator and before the model:

    ```python
    memory = EchoicMemory("maya")
    Pipeline([transport.input(), stt, user_aggregator, memory, llm, tts, transport.output(), assistant])
    ```

    A reply waits for memory for the recall budget at most (`ECHOIC_RECALL_BUDGET_MS`), and memory that is
    slow, broken or not yet open never costs one. Lookups begin while the caller still speaks. The block
    stands in the context right before the caller's words, one at a time, and is never stored.

    Args:
        user_id: whose memory this is.
        scope: of which agent; `ECHOIC_AGENT_ID` by default.
        settings: instead of those of the environment.
        memory: an open one, such as `echoic.testing.memory()`, instead of the one that the settings name.
        aggregators: of this conversation, where they do not stand in the same list of processors.
        options: of Pipecat's `FrameProcessor`, such as `name`.

    Raises:
        ConfigInvalid: the user id, the scope or a setting is wrong.
    """

    def __init__(
        self,
        user_id: str,
        *,
        scope: str | None = None,
        settings: MemorySettings | None = None,
        memory: Memory | None = None,
        aggregators: LLMContextAggregatorPair | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._session = Session(user_id, scope, settings, memory)
        self._closed = False
        self._last_recall: Recall | None = None
        self._context: LLMContext | None = None
        self._capture = Capture(self._session.opened)
        self._lookahead = Lookahead(self._prefetch, self._give_up)
        self._aggregators = Aggregators(self._on_words, self._on_said)
        if aggregators is not None:
            self._aggregators.follow_user(aggregators.user())
            self._aggregators.follow_assistant(aggregators.assistant())

    @property
    def call_memory(self) -> CallMemory | None:
        """What this call sees of memory, for whoever needs more; None until it is open."""
        return self._session.call

    @property
    def last_recall(self) -> Recall | None:
        """What memory gave to the newest reply; None before the first, and where memory was not there."""
        return self._last_recall

    @property
    def fault(self) -> str:
        """Why nothing is remembered, as a sentence; empty while all is well."""
        return self._session.fault

    async def get_memories(self, *, limit_s: float = GREETING_S) -> list[str]:
        """What is known about the caller, most important first, for a greeting; empty when there is nothing,
        or not in time."""
        call = await self._session.wait(limit_s)
        return [] if call is None else [shown(item.text, item.about) for item in call.recent.profile]

    def keep(self, text: str, role: Role = "user") -> None:
        """Store something that no aggregator hears, such as text that your application appends itself."""
        self._on_said(Said(f"kept:{uuid.uuid4().hex}", role, text, datetime.now(UTC)))

    async def flush(self) -> None:
        """Return when every turn said so far is durable, or was tried."""
        self._capture.start()
        await self._capture.drained()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Begin to open memory; the pipeline does not wait for it."""
        await super().setup(setup)
        self._session.open_soon()
        self._capture.start()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Every frame goes on in its direction, whatever is wrong with memory."""
        await super().process_frame(frame, direction)
        try:
            self._notice(frame)
            if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
                await self._remember(frame)
        except Exception as exc:
            log.error("turn.memory_broke", extra={"error": type(exc).__name__})
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """The pipeline is over: every word is durable, and its learning enqueued, within `FLUSH_S`."""
        await super().cleanup()
        if self._closed:
            return
        self._closed = True
        self._aggregators.close()
        self._lookahead.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._end()
        except Exception as exc:
            log.error("call.not_closed", extra={"error": type(exc).__name__})
        await self._capture.close()
        await self._session.close()

    async def _end(self) -> None:
        await self._capture.drained()
        await (await self._session.opened()).end()

    def _notice(self, frame: Frame) -> None:
        if isinstance(frame, StartFrame):
            self._aggregators.find(self)
        elif isinstance(frame, (InterimTranscriptionFrame, TranscriptionFrame)):  # no aggregator took it
            self._on_words(frame.text, isinstance(frame, TranscriptionFrame))
        elif isinstance(frame, (EndFrame, CancelFrame)):
            self._take_block_out()  # what an application keeps of the conversation holds none
        elif (said := said_in(frame)) and (
            said.item_id.startswith("typed:") or not self._aggregators.follows(said.role)
        ):
            self._on_said(said)

    def _on_said(self, said: Said) -> None:
        self._capture.keep(said)
        if said.role == "user":
            self._lookahead.end_turn()
            self._take_block_out()  # also where a guess at this turn is answered already: no frame will come

    def _take_block_out(self) -> None:
        if (context := self._conversation) is not None:
            put_block(context, "")

    @property
    def _conversation(self) -> LLMContext | None:
        return self._aggregators.context or self._context

    def _on_words(self, words: str, is_final: bool) -> None:
        try:
            self._lookahead.follow(words, is_final)
        except Exception as exc:  # Pipecat would log its text
            log.error("turn.prefetch_broke", extra={"error": type(exc).__name__})

    def _prefetch(self, words: str) -> PendingRecall | None:
        if (call := self._session.call) is None:
            return None
        messages = [] if self._conversation is None else self._conversation.get_messages()
        return call.prefetch(
            words,
            context_item_ids=self._shown(messages),
            previous_user_text=previous_words(messages),
        )

    def _give_up(self, asked: PendingRecall) -> None:
        if self._session.call is not None:
            self._session.call.memory.recaller.give_up(asked)

    async def _remember(self, frame: LLMContextFrame) -> None:
        """Put what is remembered before the caller's unanswered words; a turn that is only guessed at has a
        context of its own."""
        began = time.monotonic()
        if not frame.speculation:
            self._context = frame.context
        messages = frame.context.get_messages()
        message = unanswered(messages)
        if message is None:
            return
        self._last_recall, words = None, words_of(message)
        try:
            self._last_recall = await self._recall(words, messages, message, began) if words else None
        finally:
            put_block(frame.context, self._last_recall.block if self._last_recall else "", message)

    async def _recall(
        self, words: str, messages: list[Message], message: Message, began: float
    ) -> Recall | None:
        call = await self._session.wait(self._session.budget_s)
        if call is None:
            log.warning("turn.recalled", extra={"memory": "not open"})
            return None
        budget_s = self._session.budget_s
        recall = await call.recall(
            words,
            context_item_ids=self._shown(messages),
            previous_user_text=previous_words(messages, message),
            budget_s=max(0.0, budget_s - (time.monotonic() - began)),
        )
        count_recall(recall, budget_s=budget_s, breakers=call.memory.recaller.breakers)
        tiers = {name: result.status for name, result in recall.tiers.items()}
        waited_ms = round((time.monotonic() - began) * 1000, 3)
        log.info(
            "turn.recalled", extra={**tiers, "prefetch": self._lookahead.outcome, "waited_ms": waited_ms}
        )
        return recall

    def _shown(self, messages: list[Message]) -> frozenset[str]:
        """Ids of what was said in this call and stands in the conversation: the model sees that anyway."""
        texts = {words_of(message) for message in messages}
        return frozenset(
            item_id for item_id, said in self._capture.said.items() if said.text.strip() in texts
        )
