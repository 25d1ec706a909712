"""A language model for LiveKit whose words are known; what it says, and does before, are methods."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from livekit.agents import APIConnectOptions, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

Reply = str | llm.FunctionToolCall | BaseException


class FakeLLM(llm.LLM):
    """Thinks, then says its reply."""

    @abstractmethod
    def reply(self, context: llm.ChatContext) -> Reply | Sequence[Reply]:
        """What is said to this context: words, a tool's call, a fault to raise, or several of them in turn.

        Asked once a call: a retry says the same.
        """

    async def think(self, context: llm.ChatContext) -> None:
        """Returns when the first word may come: at once, unless a subclass takes its time."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        reply = self.reply(chat_ctx)
        parts = [reply] if isinstance(reply, str | llm.FunctionToolCall | BaseException) else reply
        return _Said(self, parts, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Said(llm.LLMStream):
    def __init__(self, model: FakeLLM, parts: Sequence[Reply], **options: Any) -> None:
        self._model, self._parts = model, parts
        super().__init__(model, **options)

    async def _run(self) -> None:
        await self._model.think(self._chat_ctx)
        for part in self._parts:
            if isinstance(part, BaseException):
                raise part
            said = {"tool_calls": [part]} if isinstance(part, llm.FunctionToolCall) else {"content": part}
            self._event_ch.send_nowait(
                llm.ChatChunk(id="fake", delta=llm.ChoiceDelta(role="assistant", **said))
            )
