"""A Pipecat pipeline without sound: its own aggregators and OpenAI service, and a scripted model.

What a transport does with a voice stands in `Mouth`; who speaks is played by `Conversation`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_stop import ExternalUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from echoic.pipecat import EchoicMemory
from tests.inference_gateway import Gateway

LIMIT_S = 20.0
Placed = Callable[[LLMContextAggregatorPair, FrameProcessor, FrameProcessor], list[FrameProcessor]]
"""Makes the parts of a pipeline of the aggregators, the model and the mouth."""


class Mouth(FrameProcessor):
    """Speaks: words go on as they are said. `falls_silent_after` that many, the rest is never heard."""

    def __init__(self) -> None:
        super().__init__()
        self.falls_silent_after: int | None = None
        self.silent = asyncio.Event()
        self._said = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame) and self._said:
            self._said, self.falls_silent_after = 0, None
        elif self.falls_silent_after is not None and isinstance(frame, LLMTextFrame):
            self._said += 1
            if self._said > self.falls_silent_after:
                self.silent.set()
                return
        elif self.falls_silent_after is not None and isinstance(frame, LLMFullResponseEndFrame):
            return
        await self.push_frame(frame, direction)


class Conversation:
    """One running pipeline, and who talks to it."""

    def __init__(self, memory: EchoicMemory | Placed, gateway: Gateway) -> None:
        self.memory, self.context = memory, LLMContext()
        strategies = UserTurnStrategies(
            start=[ExternalUserTurnStartStrategy()], stop=[ExternalUserTurnStopStrategy(timeout=0.02)]
        )
        pair = LLMContextAggregatorPair(
            self.context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies)
        )
        self.llm = OpenAILLMService(
            api_key="test",
            base_url=f"{gateway.address}/v1",
            settings=OpenAILLMService.Settings(model="scripted", system_instruction="You are helpful."),
        )
        self.mouth, self.replies = Mouth(), asyncio.Queue[str]()
        pair.assistant().add_event_handler("on_assistant_turn_stopped", self._on_reply)
        parts = [pair.user(), memory, self.llm, self.mouth, pair.assistant()]
        if not isinstance(memory, EchoicMemory):
            parts = memory(pair, self.llm, self.mouth)
        self.worker = PipelineWorker(Pipeline(parts), cancel_on_idle_timeout=False, enable_rtvi=False)

    async def hear(self, words: str, *partials: str) -> None:
        """The caller speaks one sentence, and their turn ends."""
        await self.begin(*partials)
        await self.finally_(words)
        await self.end()

    async def begin(self, *partials: str) -> None:
        """The caller begins to speak, and is understood so far."""
        await self.send(ProposedUserStartedSpeakingFrame())
        await self.worker.flush_pipeline()
        for words in partials:
            await self.partly(words)

    async def partly(self, words: str) -> None:
        """More words are coming: no turn ends after these."""
        await self.send(InterimTranscriptionFrame(words, "caller", time_now_iso8601()))

    async def finally_(self, words: str) -> None:
        """Words that are certain."""
        await self.send(TranscriptionFrame(words, "caller", time_now_iso8601(), finalized=True))

    async def end(self) -> None:
        """The caller stops speaking."""
        await self.send(ProposedUserStoppedSpeakingFrame())

    async def say(self, words: str, *partials: str) -> str:
        """As `hear`; returns what was answered."""
        await self.hear(words, *partials)
        return await self.answer()

    async def answer(self) -> str:
        return await asyncio.wait_for(self.replies.get(), LIMIT_S)

    async def send(self, frame: Frame) -> None:
        await self.worker.queue_frame(frame)

    def _on_reply(self, _: Any, message: Any) -> None:
        self.replies.put_nowait(message.content or "")


@asynccontextmanager
async def talking(
    memory: EchoicMemory | Placed, gateway: Gateway, *, cancel: bool = False
) -> AsyncIterator[Conversation]:
    """A conversation that runs while the block does, and then ends as a bot's does.

    Args:
        cancel: the caller hangs up, for which Pipecat's examples cancel the worker.
    """
    talk, started = Conversation(memory, gateway), asyncio.Event()
    talk.worker.add_event_handler("on_pipeline_started", lambda *_: started.set())
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(started.wait(), LIMIT_S)
        yield talk
    finally:
        await (talk.worker.cancel() if cancel else talk.worker.stop_when_done())
        await asyncio.wait_for(running, LIMIT_S)
