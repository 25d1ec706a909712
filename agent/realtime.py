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
from echoic.agent.livekit_api import realtime_session
from echoic.agent.reply import known_block
from echoic.memory.recall.prompt import NOTHING_DELETED, noted

log = logging.getLogger("echoic.agent")


class RealtimeMemory:
    """Keeps the instructions of a session's speech-to-speech model up to date; idle for any other model."""

    def __init__(self, session: Any, call: Call) -> None:
        self._session, self._call = session, call
        self._updating: asyncio.Task[None] | None = None
        self._written = ""
        session.on("agent_state_changed", lambda _event: self._update(""))
        session.on("conversation_item_added", self._on_item)
        session.on("close", lambda _event: self._stop())

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if isinstance(event.item, llm.ChatMessage) and event.item.role == "user":
            self._update(event.item.text_content or "")

    def _update(self, words: str) -> None:
        model = realtime_session(self._session)
        if model is None or (not words and self._written):
            return
        self._stop()
        self._updating = asyncio.create_task(self._write(model, words), name="realtime.instructions")

    def _stop(self) -> None:
        if self._updating is not None:
            self._updating.cancel()

    async def _write(self, model: llm.RealtimeSession, words: str) -> None:
        """Whatever is wrong with memory, the conversation goes on."""
        try:
            await self._call.wait_identified(1.0)
            block = await self._block(words)
            if block and block != self._written:
                self._written = block
                await model.update_instructions(f"{self._session.current_agent.instructions}\n\n{block}")
        except Exception as exc:
            log.error("realtime.not_told", extra={"error": type(exc).__name__})

    async def _block(self, words: str) -> str:
        memory = self._call.call_memory
        if not words:
            await memory.wait_loaded()
            return known_block(memory)
        recall = await memory.recall(words)
        self._call.recalls.note(words, recall)
        return noted(self._call.render(recall), NOTHING_DELETED if speaks_of_forgetting(words) else "")
