"""The agent that remembers: it asks memory, then lets the model speak. Nothing here writes."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from livekit.agents import Agent, FlushSentinel, ModelSettings, llm
from livekit.agents.voice import SpeechHandle

from echoic.agent.call.call import shown_items
from echoic.agent.call.telemetry import record_recall
from echoic.agent.commands.memory_tools import TOOLS, ReplyPlan, Used, has_words, plan_reply
from echoic.agent.window import fit
from echoic.memory.call import CallMemory
from echoic.memory.recall.prompt import compose
from echoic.memory.types import Recall, TierResult

log = logging.getLogger("echoic.agent")

GREETING = (
    "The caller is back. Greet them in one short sentence that shows you remember them, and ask what you can "
    "do."
)
UNREACHED = Recall(tiers={"recent": TierResult("failed"), "facts": TierResult("failed")})
"""What `last_recall` says when memory itself broke: the reply went on without it."""


class RemembersCaller(Agent):
    """A LiveKit agent with its caller's memory in every reply; any number of them may hand a call to each
    other.

    Put it first among the bases of your own agents (`class Sales(RemembersCaller): …`, `class
    Ask(RemembersCaller, AgentTask[str]): …`). The memory of the call is `call_memory=`, or else
    `session.userdata.call_memory`.
    """

    def __init__(
        self,
        *args: Any,
        call_memory: CallMemory | None = None,
        tools: Sequence[Any] = (),
        model_calls_tools: bool = False,
        **kwargs: Any,
    ) -> None:
        """`model_calls_tools`: whether the model is shown the tools of agent/commands/memory_tools.py, for
        wishes that no rule recognises."""
        super().__init__(*args, tools=[*tools, *TOOLS], **kwargs)
        self._call_memory, self._model_calls_tools = call_memory, model_calls_tools
        self.used = Used()
        self.last_recall: Recall | None = None

    @property
    def call_memory(self) -> CallMemory:
        """This call's memory.

        Raises:
            LookupError: it was neither passed nor put into the session's userdata.
        """
        if self._call_memory is not None:
            return self._call_memory
        try:
            return self._userdata.call_memory
        except AttributeError as exc:
            raise LookupError(
                "Pass call_memory= to the agent, or a userdata with `call_memory` to the session."
            ) from exc

    @property
    def _userdata(self) -> Any:
        try:
            return self.session.userdata
        except ValueError:
            return None  # the session has none

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[llm.ChatChunk | str | FlushSentinel, None]:
        """Put what is remembered before the caller's unanswered words, in this call's copy only, and stream
        the model's answer."""
        # lists of our own: LiveKit shows its list to the next tool step, and blocks would stack up there
        said = self._heeded(shown_items(self._userdata, chat_ctx.items), tools)
        if said.first is not None:
            yield said.first
        if not said.call_model:
            return
        context, spoke = llm.ChatContext(said.items), False
        await self._remember(context.items)
        async with aclosing(Agent.default.llm_node(self, context, said.tools, model_settings)) as chunks:
            async for chunk in chunks:
                spoke = spoke or has_words(chunk)
                yield chunk
        if spoke and said.last:
            yield said.last

    def _heeded(self, items: list[llm.ChatItem], tools: list[llm.Tool]) -> ReplyPlan:
        try:
            return plan_reply(items, tools, self.call_memory, model_calls_tools=self._model_calls_tools)
        except Exception as exc:  # whatever is wrong with memory, the caller gets an answer
            log.error("turn.wish_broke", extra={"error": type(exc).__name__})
            return ReplyPlan(items, [tool for tool in tools if tool not in TOOLS])

    async def _remember(self, items: list[llm.ChatItem]) -> None:
        at = unanswered(items)
        if at is None:
            return
        message = items[at]
        assert isinstance(message, llm.ChatMessage)
        self.last_recall = await self._recall(message, items, at)
        if self.last_recall.block:
            # the items are history itself, only the list is ours: never edit one
            items[at] = message.model_copy(update={"content": [self.last_recall.block, *message.content]})

    async def _recall(self, message: llm.ChatMessage, items: Sequence[llm.ChatItem], at: int) -> Recall:
        began_ns, words, recall = time.time_ns(), message.text_content or "", UNREACHED
        try:
            memory = self.call_memory.memory
            recall = await self.call_memory.recall(
                words,
                context_item_ids=frozenset(item.id for item in items if item.type == "message"),
                previous_user_text=previous_words(items[:at]),
            )
            self.used.note(words, recall.used)
            record_recall(
                recall,
                began_ns=began_ns,
                settings=memory.settings,
                breakers=memory.recaller.breakers,
                words=words,
            )
        except Exception as exc:  # whatever is wrong with memory, the caller gets an answer
            log.error("turn.recall_broke", extra={"error": type(exc).__name__})
        if turn_log := getattr(self._userdata, "turn_log", None):
            turn_log.recalled(message.id, recall)
        return recall


class MemoryAgent(RemembersCaller):
    """Echoic's own agent: shows the model as much of the call as fits, and may greet a caller it knows."""

    def __init__(
        self, *, instructions: str, context_tokens: int, greet_on_return: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(instructions=instructions, **kwargs)
        self._context_tokens, self._greet = context_tokens, greet_on_return
        self._greeting: SpeechHandle | None = None
        self._entered = asyncio.Event()

    async def on_enter(self) -> None:
        """Greet a caller who is known, if the setting says so; not when a hand-off comes back to this agent."""
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
        """As `RemembersCaller`, with a context no longer than the model can take."""
        context = llm.ChatContext(fit(chat_ctx.items, self._context_tokens))
        async with aclosing(super().llm_node(context, tools, model_settings)) as chunks:
            async for chunk in chunks:
                yield chunk


def known_block(call_memory: CallMemory) -> str:
    """What is known about the caller when the call begins, as one block; empty for a new caller.

    No store is asked.
    """
    recent, settings, caller = call_memory.recent, call_memory.memory.settings, call_memory.caller
    zone, now = ZoneInfo(caller.timezone), datetime.now(UTC)
    limits = {"max_tokens": settings.recall_max_tokens, "max_items": settings.recall_items}
    return compose(
        [], recent.profile, recent.last_call, question="", context=(), now=now, zone=zone, **limits
    )[0]


def unanswered(items: Sequence[llm.ChatItem]) -> int | None:
    """Where the caller's last words stand, if nothing has answered them yet.

    A tool's result is not an answer, nor is what was said before the tool was called ("let me look").
    """
    in_tool_step = False
    for at in reversed(range(len(items))):
        item = items[at]
        if item.type == "function_call_output":
            in_tool_step = True
        elif item.type == "message" and item.role == "user":
            return at
        elif item.type == "message" and item.role == "assistant" and not in_tool_step:
            return None
    return None


def previous_words(items: Sequence[llm.ChatItem]) -> str:
    """The caller's last words in a conversation, or nothing."""
    said = (item.text_content for item in reversed(items) if item.type == "message" and item.role == "user")
    return next((text for text in said if text), "")
