"""Agents that remember: `Remembers` for an agent of your own, `MemoryAgent` is Echoic's."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from livekit.agents import Agent, FlushSentinel, ModelSettings, llm
from livekit.agents.voice import SpeechHandle

from echoic.agent.call.registry import call_of
from echoic.agent.commands.warm import warm
from echoic.agent.livekit_api import current_session
from echoic.agent.reply import known_block, remembering
from echoic.agent.window import fit
from echoic.memory.call import CallMemory

GREETING = (
    "The caller is back. Greet them in one short sentence that shows you remember them, "
    "and ask what you can do."
)


class Remembers:
    """Put it before `Agent` among the bases of an agent: every reply is given what is remembered.

    It holds nothing: the memory belongs to the session (`echoic.remember`), so that one instance may serve
    many calls, and agents may hand a call to each other.

    ```python
    class Sales(echoic.Remembers, Agent):
        memory_scope = "sales"  # turns, and facts of scope `agent`, are this agent's own
    ```
    """

    memory_scope: str | None = None
    """Whose memory this agent sees, as `ECHOIC_AGENT_ID`; None for that of the session."""

    @property
    def call_memory(self) -> CallMemory:
        """The memory of the call that this code runs for.

        Raises:
            LookupError: the session is not remembered: call `echoic.remember(session, ctx)` before.
        """
        call = call_of(current_session(self))  # type: ignore[arg-type]
        if call is None:
            raise LookupError("This session has no memory: await echoic.remember(session, ctx) before.")
        return call.call_memory

    def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> Any:
        """Put what is remembered before the caller's unanswered words, and stream the model's answer."""
        node = super().llm_node  # type: ignore[misc]
        return remembering(self, node)(chat_ctx, tools, model_settings)  # type: ignore[arg-type]


class MemoryAgent(Remembers, Agent):
    """Echoic's own agent: shows the model as much of the call as fits, and may greet a caller it knows."""

    def __init__(
        self, *, instructions: str, context_tokens: int, greet_on_return: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(instructions=instructions, **kwargs)
        warm()
        self._context_tokens, self._greet = context_tokens, greet_on_return
        self._greeting: SpeechHandle | None = None
        self._entered = asyncio.Event()

    async def on_enter(self) -> None:
        """Greet a caller who is known, if the setting says so; not when a hand-off comes back here."""
        try:
            if (
                self._greet
                and not self.session.history.messages()
                and (known := known_block(self.call_memory))
            ):
                self._greeting = self.session.generate_reply(instructions=f"{known}{GREETING}")
        finally:
            self._entered.set()

    async def wait_greeted(self) -> SpeechHandle | None:
        """Return once the call may begin: the greeting that was spoken, or None."""
        await self._entered.wait()
        return await self._greeting if self._greeting is not None else None

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[llm.ChatChunk | str | FlushSentinel, None]:
        """As `Remembers`, with a context no longer than the model can take."""
        context = llm.ChatContext(fit(chat_ctx.items, self._context_tokens))
        async with aclosing(super().llm_node(context, tools, model_settings)) as chunks:
            async for chunk in chunks:
                yield chunk
