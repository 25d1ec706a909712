"""One call over text: the real AgentSession and agent, without ears and mouth."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit.agents import Agent, AgentSession, llm
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.agent_session import SessionConnectOptions
from livekit.agents.voice.io import TextOutput

from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.registry import attach
from echoic.agent.call.turn_log import TurnLog
from echoic.memory.call import CallMemory
from echoic.memory.types import Recall, Turn


@dataclass(frozen=True, slots=True)
class Answer:
    """One turn of a text call. Both rows are durable, or `unstored` says why not."""

    user: str
    reply: str
    recall: Recall
    turns: tuple[Turn, ...]
    fault: BaseException | None
    """Why the model gave no (whole) reply."""
    unstored: str = ""


@dataclass(slots=True)
class TextCall:
    """An open call. Made by `open_text_call`."""

    call: Call
    _session: AgentSession
    _capture: Capture
    _stored: list[Turn]
    _speaking: SpeechHandle | None = None

    @property
    def call_memory(self) -> CallMemory:
        """The memory of whoever is speaking."""
        return self.call.call_memory

    async def ask(self, words: str) -> Answer:
        """Say `words` and return the reply once both are durable.

        The reply's words go to the sink as they come.

        Never raises for a model or a store that fails: the answer says so.
        """
        self.call.recalls.last = None
        self._stored.clear()
        handle = self._speaking = self._session.generate_reply(user_input=words)
        await handle
        self._speaking = None
        await self._capture.drained()
        said = [
            item.text_content or ""
            for item in handle.chat_items
            if item.type == "message" and item.role == "assistant"
        ]
        recall = self.call.recalls.last or Recall()
        unstored = str(self._capture.fault) if self._capture.fault else ""
        return Answer(words, "\n".join(said), recall, tuple(self._stored), handle.exception(), unstored)

    def interrupt(self) -> None:
        """Stop the reply that is being given; what was heard of it is stored, marked as cut off."""
        if self._speaking is not None and not self._speaking.done():
            self._speaking.interrupt(force=True)


@asynccontextmanager
async def open_text_call(
    call_memory: CallMemory,
    agent: Agent,
    model: llm.LLM,
    *,
    sink: Callable[[str], None],
    patience: SessionConnectOptions,
    shows_tools: bool = False,
) -> AsyncIterator[TextCall]:
    """Start the session; at the end everything heard is durable and learning is enqueued.

    Args:
        shows_tools: as in `Call`.
    """
    stored: list[Turn] = []
    async with Capture(call_memory, on_stored=lambda turn, _elapsed_ms: stored.append(turn)) as capture:
        call = Call(call_memory, shows_tools=shows_tools)
        call.capture, call.turn_log = capture, TurnLog(call)
        session: AgentSession = AgentSession(
            llm=model,
            vad=None,
            turn_handling={"turn_detection": None},
            conn_options=patience,
            user_away_timeout=None,
        )
        attach(session, call)
        session.output.transcription = _Words(sink)
        try:
            await session.start(agent, record=False)
            yield TextCall(call, session, capture, stored)
        finally:
            await asyncio.shield(_hang_up(session, call))


async def _hang_up(session: AgentSession, call: Call) -> None:
    try:
        await session.aclose()
    finally:
        await call.hang_up()


class _Words(TextOutput):
    """Hands a reply on as it comes."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        super().__init__(label="talk", next_in_chain=None)
        self._sink = sink

    async def capture_text(self, text: str) -> None:
        self._sink(text)

    def flush(self) -> None:
        """Nothing is held back."""
