"""`echoic.open`: memory for code without LiveKit."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from echoic.memory.chat.written import Words, keep_words
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import MemoryFault
from echoic.memory.identity.ids import check_user_id
from echoic.memory.privacy.erase import erase_person, erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory, open_memory
from echoic.memory.settings.overrides import with_stored
from echoic.memory.settings.personal import Choices
from echoic.memory.store.turns import PROBE
from echoic.memory.text.first_use import read_as_a_turn
from echoic.memory.types import Caller, Fact, Recall, Role, Turn

FIRST, FIRST_S = "What is my dog called?", 5.0


@dataclass(frozen=True, slots=True)
class Memories:
    """What is remembered about one person."""

    facts: tuple[Fact, ...]
    """What was learned and is still true, oldest first."""
    turns: tuple[Turn, ...]
    """What was said, word for word, oldest first."""


@asynccontextmanager
async def open_direct(settings: MemorySettings | None = None) -> AsyncIterator["OpenMemory"]:
    """Open memory for code that has no LiveKit session.

    ```python
    async with echoic.open() as memory:
        await memory.record("maya", "My dog is called Biscuit.")
        found = await memory.recall("maya", "What is my dog called?")
        print(found.block)
    ```

    Args:
        settings: instead of those of the environment.

    Raises:
        ConfigInvalid: ECHOIC_DATABASE_URL is not set, or a setting is wrong.
        SchemaMismatch: the database is older or newer than this code: `echoic migrate`.
        StoreUnavailable: Postgres does not answer.
    """
    async with open_memory(settings or await with_stored(load_settings())) as memory:
        await _warm(memory)
        yield OpenMemory(memory)


async def _warm(memory: Memory) -> None:
    """The first question is as quick as the next: cold, it was later than memory may be and found nothing."""
    nobody = Caller(PROBE, PROBE, PROBE)
    await asyncio.gather(
        asyncio.to_thread(read_as_a_turn, FIRST, FIRST),
        memory.recaller.recall(nobody, FIRST, RecentTurns(), budget_s=FIRST_S),
    )


class OpenMemory:
    """Memory that is open; made by `echoic.open`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def recall(
        self, user_id: str, text: str, *, scope: str | None = None, budget_s: float | None = None
    ) -> Recall:
        """What is remembered about this person for these words: `block` for a prompt, `used` as items.

        A store that is slow or broken is named in `tiers` and never raised.

        Args:
            scope: of which agent; `ECHOIC_AGENT_ID` by default.
            budget_s: longest wait in seconds; `ECHOIC_RECALL_BUDGET_MS` by default.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        check_user_id(user_id)
        began = time.monotonic()
        limit_s = self._memory.settings.recall_budget_s if budget_s is None else budget_s
        caller, choices = await self._reader(user_id, scope, limit_s)
        left_s = max(0.0, limit_s - (time.monotonic() - began))
        return await self._memory.recaller.recall(
            caller, text, RecentTurns(), budget_s=left_s, stores=choices.memory
        )

    async def get_conversation_context(self, user_id: str, character_name: str, current_message: str) -> str:
        """What a character may know of this person for these words, as a block; empty where that is nothing,
        or no store answers in time."""
        return (await self.recall(user_id, current_message, scope=character_name)).block

    async def enhance_system_prompt(
        self, user_id: str, character_name: str, current_message: str, base_system_prompt: str
    ) -> str:
        """The system prompt, and behind it that block, if there is one."""
        context = await self.get_conversation_context(user_id, character_name, current_message)
        return f"{base_system_prompt}\n\n{context}" if context else base_system_prompt

    async def _reader(self, user_id: str, scope: str | None, limit_s: float) -> tuple[Caller, Choices]:
        """This person and what they chose; the defaults where no store says so in time."""
        caller = self._caller(user_id, scope)
        try:
            async with asyncio.timeout(limit_s):
                return await reader(self._memory, user_id, scope, call_id=caller.call_id)
        except (MemoryFault, TimeoutError):
            return caller, Choices()

    async def record(
        self,
        user_id: str,
        text: str,
        *,
        role: Role = "user",
        scope: str | None = None,
        said_at: datetime | None = None,
    ) -> Turn | None:
        """Store one thing that was said; returns when it is durable, and learning is enqueued.

        Returns:
            The turn; None if this person does not want to be remembered, or has yet to agree (`ask`).

        Raises:
            ConfigInvalid: the user id is empty or too long.
            StoreUnavailable: neither Postgres nor the disk took it.
        """
        turns = await self.record_all(user_id, [(role, text)], scope=scope, said_at=said_at)
        return turns[0] if turns else None

    async def record_all(
        self,
        user_id: str,
        said: Sequence[tuple[Role, str]],
        *,
        scope: str | None = None,
        said_at: datetime | None = None,
    ) -> list[Turn]:
        """Store one conversation, in its order; as `record`."""
        told = said_at is not None
        words = [Words(uuid.uuid4().hex, role, text, said_at, told) for role, text in said]
        kept = await keep_words(self._memory, self._caller(user_id, scope), words, hurry=True)
        return [turn for turn in kept if turn is not None]

    async def link(self, user_id: str, other_id: str) -> bool:
        """These two are one person, as the application has made sure: each recalls from its next call on what
        was said as the other. False: they were linked already.

        Raises:
            ConfigInvalid: an id cannot be one.
            MemoryFault: they are not linked.
        """
        return await self._memory.links.add(user_id, other_id, made_by="application")

    async def unlink(self, user_id: str, other_id: str) -> bool:
        """Take a link back: both are as if it had never been. False: there was none.

        Raises:
            StoreUnavailable: they are linked as before.
        """
        return await self._memory.links.remove(user_id, other_id)

    async def memories(self, user_id: str) -> Memories:
        """Everything that is remembered about one person.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        facts, turns = await self._memory.facts.list(user_id), await self._memory.turns.list(user_id)
        return Memories(tuple(facts), tuple(turns))

    async def export(self, user_id: str) -> dict[str, Any]:
        """Everything that any store holds about one person, as JSON.

        Raises:
            StoreUnavailable: a store did not answer.
        """
        return await export_user(self._memory, user_id)

    async def erase(self, user_id: str, *, person: bool = False) -> dict[str, Any]:
        """Erase one user from every store, for good; says how much there was and what is not finished.

        Args:
            person: all ids that are linked with this one too.

        Raises:
            StoreUnavailable: Postgres did not do it.
        """
        return asdict(await (erase_person if person else erase_user)(self._memory, user_id))

    def _caller(self, user_id: str, scope: str | None) -> Caller:
        settings = self._memory.settings
        return Caller(user_id, scope or settings.agent_id, f"direct.{uuid.uuid4().hex}", settings.timezone)
