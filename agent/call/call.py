"""One call: whose memory it is now, and what happens when that changes.

It is the session's userdata, which all its agents share.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from livekit.agents import llm

from echoic.agent.call.capture import Capture
from echoic.agent.call.identity import Identified
from echoic.agent.call.turn_log import TurnLog
from echoic.memory.call import CallMemory, check_user_id, start_call

log = logging.getLogger("echoic.call")
SAID = ("message", "function_call", "function_call_output")
"""Items that hold somebody's words, or what came of them; the rest is what the agent was told to be."""
ALWAYS_SHOWN = ("system", "developer")


class Call:
    """What the agents of one call share.

    `call_memory` is the memory of whoever is speaking; it changes when that changes.

    Every person who speaks in a call has a memory of their own, kept open until the call ends: nothing is
    loaded twice when the link moves back and forth, and nothing of one can be seen by another.

    Args:
        identified: who is speaking; None for a user that the application itself chose.
        keep_before_confirmed: whether what an anonymous caller said becomes theirs once it is known who they
            are.
    """

    def __init__(
        self,
        call_memory: CallMemory,
        identified: Identified | None = None,
        *,
        keep_before_confirmed: bool = True,
    ) -> None:
        self.call_memory = call_memory
        self.identified = identified or Identified(
            call_memory.caller.user_id, "application", proven=True, persistent=True
        )
        self.since: datetime | None = None
        """When this person began to speak; None for the one whom the call began with."""
        self.capture: Capture | None = None
        """Set by whoever wires the call; it is told of every change."""
        self.turn_log: TurnLog | None = None
        """Set by whoever wires the call."""
        self.on_changed: list[Callable[[CallMemory], None]] = []
        """Called at once with the new memory when another user's memory is in force: consent is asked for
        anew, a prefetch dropped."""
        self._keep_before_confirmed = keep_before_confirmed
        self._call_id = call_memory.caller.call_id
        self._memories: dict[str, CallMemory] = {self.identified.user_id: call_memory}
        self._changing: set[asyncio.Task[None]] = set()

    @property
    def paused(self) -> bool:
        """Does the caller not want to be remembered just now?"""
        return self.call_memory.paused

    async def confirm(self, user_id: str) -> None:
        """The application knows now who the caller is. Returns when what became theirs by that is durable.

        A caller who was proven to be somebody else before counts as another person.

        Raises:
            ConfigInvalid: the user id is empty or too long.
            StoreUnavailable: neither Postgres nor the spool took the words so far; they are tried again with
                the next turn.
        """
        await self.switch(
            Identified(user_id, "application", proven=True, persistent=True),
            same_person=not self.identified.proven,
        )

    async def switch(self, identified: Identified, *, same_person: bool) -> None:
        """From now on, and at once, this is the user.

        Returns when everything said before is durable where it belongs.

        Args:
            same_person: the caller became known. False: another person speaks, who is shown nothing of what
                was said before.

        Raises:
            ConfigInvalid: the user id is empty or too long.
            StoreUnavailable: as `confirm`.
        """
        before = self.begin_switch(identified, same_person=same_person)
        await self._finish(before)

    def begin_switch(self, identified: Identified, *, same_person: bool) -> CallMemory | None:
        """The part of `switch` that takes effect at once; returns the memory that was in force if another is
        now.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        check_user_id(identified.user_id)
        self.identified, before_who = identified, self.identified
        if identified.user_id == before_who.user_id:
            return None
        before, adopts = (
            self.call_memory,
            same_person and not before_who.persistent and self._keep_before_confirmed,
        )
        if not same_person:
            self.since = datetime.now(UTC)
        self.call_memory = self._memory_of(identified)
        if self.capture is not None:
            self.capture.switch_memory(self.call_memory)
        if adopts and identified.persistent:
            self.call_memory.merge_anonymous(before)
            self._memories.pop(before_who.user_id)
        elif same_person and before.paused:
            self.call_memory.pause()
        log.info(
            "call.user_changed",
            extra={"how": identified.how, "proven": identified.proven, "kept": identified.persistent},
        )
        for changed in self.on_changed:
            changed(self.call_memory)
        return before

    def switch_soon(self, identified: Identified, *, same_person: bool) -> None:
        """As `switch`, for handlers of events: what takes time is done meanwhile, and `hang_up` waits for it."""
        before = self.begin_switch(identified, same_person=same_person)
        self.in_background(self._finish_quietly(before), "call.switch")

    def in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work that nobody waits for now, but `hang_up` does."""
        task = asyncio.create_task(work, name=name)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    def shown(self, items: Sequence[llm.ChatItem]) -> list[llm.ChatItem]:
        """What of a conversation the model may see: nothing that another person said, or was told, before
        this one began to speak."""
        if self.since is None:
            return list(items)
        began = self.since.timestamp()
        return [item for item in items if item.created_at >= began or not _said(item)]

    async def hang_up(self) -> None:
        """The call is over: every word heard is durable, and its learning enqueued, for each person who
        spoke."""
        if self._changing:
            await asyncio.wait(self._changing)
        if self.capture is not None:
            await self.capture.drained()
        for memory in self._memories.values():
            await memory.end()
        if self.turn_log is not None:
            self.turn_log.finish()

    def _memory_of(self, identified: Identified) -> CallMemory:
        """The memory of a user in this call: the one they had, or a new one, being loaded."""
        if (known := self._memories.get(identified.user_id)) is not None:
            return known
        caller = replace(
            self.call_memory.caller, user_id=identified.user_id, call_id=self._call_id_for(identified.user_id)
        )
        opened = self._memories[identified.user_id] = start_call(
            self.call_memory.memory, caller, persistent=identified.persistent
        )
        return opened

    def _call_id_for(self, user_id: str) -> str:
        """The call's own id for the first person whose words are kept, one derived from it for each other."""
        if not any(
            memory.persistent and memory.caller.call_id == self._call_id for memory in self._memories.values()
        ):
            return self._call_id
        return f"{self._call_id}.{hashlib.sha256(user_id.encode()).hexdigest()[:8]}"

    async def _finish(self, before: CallMemory | None) -> None:
        if before is None:
            return
        if self.capture is not None:
            await self.capture.switch_memory_and_flush(self.call_memory)
        if self.call_memory.persistent:
            await self.call_memory.flush()

    async def _finish_quietly(self, before: CallMemory | None) -> None:
        try:
            await self._finish(before)
        except Exception as exc:  # an event has nobody to tell; the words are tried again with the next turn
            log.error("call.switch_unfinished", extra={"error": type(exc).__name__})


def shown_items(userdata: object, items: Sequence[llm.ChatItem]) -> list[llm.ChatItem]:
    """`Call.shown`, where the session's userdata is a call; else everything, as a new list."""
    return userdata.shown(items) if isinstance(userdata, Call) else list(items)


def _said(item: llm.ChatItem) -> bool:
    return item.type in SAID and getattr(item, "role", None) not in ALWAYS_SHOWN
