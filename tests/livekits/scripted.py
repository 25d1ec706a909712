"""Models whose words are known, written so that they run on every livekit-agents from 1.5 on."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, llm


class ScriptedLLM(llm.LLM):
    """Gives one scripted reply a call; keeps each prompt as text, and the names of the tools it was shown."""

    def __init__(self, *replies: str | llm.FunctionToolCall) -> None:
        super().__init__()
        self._replies = list(replies)
        self.prompts: list[str] = []
        self.tools: list[list[str]] = []

    def chat(
        self, *, chat_ctx: Any, tools: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> llm.LLMStream:
        shown, _ = chat_ctx.to_provider_format("openai")
        self.prompts.append(json.dumps(shown, ensure_ascii=False))
        self.tools.append([tool.info.name for tool in tools or [] if hasattr(tool, "info")])
        reply = self._replies.pop(0) if self._replies else "ok"
        return _Said(self, reply, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Said(llm.LLMStream):
    def __init__(self, model: llm.LLM, reply: str | llm.FunctionToolCall, **options: Any) -> None:
        self._reply = reply
        super().__init__(model, **options)

    async def _run(self) -> None:
        said: dict[str, Any] = (
            {"content": self._reply} if isinstance(self._reply, str) else {"tool_calls": [self._reply]}
        )
        delta = llm.ChoiceDelta(role="assistant", **said)
        self._event_ch.send_nowait(llm.ChatChunk(id="scripted", delta=delta))


class ScriptedRealtime(llm.RealtimeModel):
    """A speech-to-speech model that answers in text, and keeps the instructions that it was told."""

    def __init__(self, *replies: str) -> None:
        names = [field.name for field in dataclasses.fields(llm.RealtimeCapabilities)]
        able = {name: name in ("message_truncation", "mutable_instructions") for name in names}
        able |= {name: True for name in names if name.startswith("mutable_")}
        super().__init__(capabilities=llm.RealtimeCapabilities(**able))
        self.replies, self.told = list(replies), list[str]()
        self._changed = asyncio.Event()

    def session(self, **_: Any) -> llm.RealtimeSession:
        return _RealtimeSession(self)

    async def aclose(self) -> None:
        """Nothing is open."""

    def tell(self, instructions: str) -> None:
        self.told.append(instructions)
        self._changed.set()

    async def wait_told(self, words: str) -> None:
        """Return when the instructions hold these words; told before then is forgotten."""
        while not self.told or words not in self.told[-1]:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)
        del self.told[:-1]


class _RealtimeSession(llm.RealtimeSession):
    def __init__(self, model: ScriptedRealtime) -> None:
        super().__init__(model)
        self._model, self._chat_ctx = model, llm.ChatContext.empty()
        self._tools = llm.ToolContext.empty()

    @property
    def chat_ctx(self) -> llm.ChatContext:
        return self._chat_ctx.copy()

    @property
    def tools(self) -> llm.ToolContext:
        return self._tools

    async def update_instructions(self, instructions: str) -> None:
        self._model.tell(instructions)

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        self._chat_ctx = chat_ctx.copy()

    async def update_tools(self, tools: list[Any]) -> None:
        self._tools = llm.ToolContext(tools)

    def update_options(self, **_: Any) -> None:
        """Nothing to set."""

    def push_audio(self, frame: Any) -> None:
        """Nobody speaks."""

    def push_video(self, frame: Any) -> None:
        """Nobody is seen."""

    def generate_reply(self, **_: Any) -> asyncio.Future[llm.GenerationCreatedEvent]:
        words = self._model.replies.pop(0) if self._model.replies else "ok"
        modalities: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        modalities.set_result(["text"])
        message = llm.MessageGeneration(
            message_id="said", text_stream=_each(words), audio_stream=_each(), modalities=modalities
        )
        created: asyncio.Future[llm.GenerationCreatedEvent] = asyncio.get_running_loop().create_future()
        event = llm.GenerationCreatedEvent(
            message_stream=_each(message), function_stream=_each(), user_initiated=True
        )
        created.set_result(event)
        self.emit("generation_created", event)
        return created

    def commit_audio(self) -> None:
        """Nothing was pushed."""

    def clear_audio(self) -> None:
        """Nothing was pushed."""

    def interrupt(self) -> None:
        """Nothing is being said."""

    def truncate(self, **_: Any) -> None:
        """Everything was heard."""

    async def aclose(self) -> None:
        """Nothing is open."""


async def _each(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value
