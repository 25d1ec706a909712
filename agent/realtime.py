"""Memory for a speech-to-speech model, which has no `llm_node`: it is written into the model's instructions.

What that costs: the block follows the caller's words instead of standing before them, so a reply that begins
at once may not have it yet and the next one does; and each change of the instructions ends the provider's
prefix cache, some 400 tokens a turn.
"""

import asyncio
import logging
from typing import Any

from livekit.agents import ConversationItemAddedEvent, llm

from echoic.agent.call.call import Call
from echoic.agent.commands.memory_commands import speaks_of_forgetting
from echoic.agent.livekit_api import realtime_instructions, realtime_session
from echoic.agent.reply import known_block, rendered
from echoic.memory.recall.prompt import NOTHING_DELETED, noted

log = logging.getLogger("echoic.agent")


class RealtimeMemory:
    """Keeps the instructions of a session's speech-to-speech model up to date; idle for any other model."""

    def __init__(self, session: Any, call: Call) -> None:
        self._session, self._call = session, call
        self._updating: asyncio.Task[None] | None = None
        self._block = ""
        """The newest of whoever is heard."""
        self._told: tuple[Any, str] | None = None
        """Agent and instructions that hold a block: LiveKit sets them anew when another agent speaks, or an
        agent has others."""
        session.on("agent_state_changed", lambda _event: self._update())
        session.on("conversation_item_added", self._on_item)
        session.on("close", lambda _event: self._stop())
        call.on_changed.append(lambda _memory: self._start_over())

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if isinstance(event.item, llm.ChatMessage) and event.item.role == "user":
            self._update(event.item.text_content or "")

    def _start_over(self) -> None:
        """Another memory is in force: nothing of the one before stays in the instructions."""
        self._stop()
        self._block = ""
        self._update()

    def _update(self, words: str = "") -> None:
        if realtime_session(self._session) is None:
            return
        if words:
            self._stop()
        if self._updating is None or self._updating.done():
            self._updating = asyncio.create_task(self._write(words), name="realtime.instructions")

    def _stop(self) -> None:
        if self._updating is not None:
            self._updating.cancel()
            self._updating = None

    async def _write(self, words: str) -> None:
        """Whatever is wrong with memory, the conversation goes on."""
        try:
            await self._call.wait_identified(1.0)
            await self._call.call_memory.wait_loaded()
            found = await self._found(words) if words else ""
            self._block = found or self._block or known_block(self._call.call_memory)
            await self._tell()
        except Exception as exc:
            log.error("realtime.not_told", extra={"error": type(exc).__name__})

    async def _tell(self) -> None:
        model = realtime_session(self._session)
        if model is None or not (self._block or self._told):
            return
        own = realtime_instructions(self._session)
        told = self._session.current_agent, f"{own}\n\n{self._block}" if self._block else own
        if told == self._told:
            return
        await model.update_instructions(told[1])
        self._told = told

    async def _found(self, words: str) -> str:
        recall = await self._call.call_memory.recall(words)
        self._call.recalls.note(words, recall)
        return noted(rendered(self._call, recall), NOTHING_DELETED if speaks_of_forgetting(words) else "")
