"""The memory of one pipeline: opened while it runs, and closed with it."""

import asyncio
import logging
import uuid

from echoic.agent.commands.warm import warm
from echoic.agent.process_memory import SharedMemory, share_memory
from echoic.memory.call import CallMemory, start_call
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.identity.ids import check_agent_id, check_user_id
from echoic.memory.in_memory import open_in_memory
from echoic.memory.service import Memory
from echoic.memory.types import Caller

log = logging.getLogger("echoic.pipecat")


class Session:
    """Opens beside the pipeline, which waits for nothing.

    Args:
        scope: `ECHOIC_AGENT_ID` by default.
        settings: instead of those of the environment.
        memory: an open one, instead of the one that the settings name.

    Raises:
        ConfigInvalid: the user id, the scope or a setting is wrong.
    """

    def __init__(
        self, user_id: str, scope: str | None, settings: MemorySettings | None, memory: Memory | None
    ) -> None:
        check_user_id(user_id)
        if scope is not None:
            check_agent_id(scope)
        self._user_id, self._scope, self._settings, self._memory = user_id, scope, settings, memory
        self.budget_s = (settings or (memory.settings if memory else load_settings())).recall_budget_s
        """Longest a reply waits for memory, in seconds."""
        self.call: CallMemory | None = None
        """None until it is open."""
        self._shared: SharedMemory | None = None
        self._opening: asyncio.Task[CallMemory] | None = None

    @property
    def fault(self) -> str:
        """Why nothing is remembered, as a sentence; empty while all is well."""
        return "" if self._shared is None else self._shared.fault

    def open_soon(self) -> None:
        """Begin to open; safe to repeat."""
        self._opening = self._opening or asyncio.create_task(self._open(), name="pipecat.open")

    async def opened(self) -> CallMemory:
        """Return when it is open, and what earlier calls said is read."""
        self.open_soon()
        assert self._opening is not None
        return await asyncio.shield(self._opening)

    async def wait(self, limit_s: float) -> CallMemory | None:
        """As `opened`, or what there is after `limit_s` seconds: perhaps not all is read yet."""
        self.open_soon()
        assert self._opening is not None
        if not self._opening.done():
            await asyncio.wait({self._opening}, timeout=limit_s)
        return self.call

    async def close(self) -> None:
        """Let the memory of the process go."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if self._shared is not None:
            await self._shared.close()

    async def _open(self) -> CallMemory:
        warm()
        self._shared = await self._share()
        settings = self._shared.memory.settings
        call_id = f"pipecat.{uuid.uuid4().hex}"
        caller = Caller(self._user_id, self._scope or settings.agent_id, call_id, settings.timezone)
        self.call, self.budget_s = start_call(self._shared.memory, caller), settings.recall_budget_s
        await self.call.wait_loaded()
        return self.call

    async def _share(self) -> SharedMemory:
        if self._memory is not None:
            return SharedMemory(self._memory)
        try:
            return await share_memory(self._settings)
        except Exception as exc:  # a defect: the pipeline has a memory for as long as it lasts
            log.error("call.not_opened", extra={"error": type(exc).__name__})
            fault = f"Memory could not be opened ({type(exc).__name__})."
            return SharedMemory(open_in_memory(self._settings), fault)
