"""One call: whose memory it is now, and what happens when that changes.

A session has one, which all its agents share (`agent/call/registry.py`).
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from livekit.agents import SpeechCreatedEvent, llm
from livekit.agents.voice import SpeechHandle

from echoic.agent.call.capture import Capture
from echoic.agent.call.recall_history import RecallHistory
from echoic.agent.call.turn_log import TurnLog
from echoic.agent.conversation import said_since
from echoic.agent.identity.identity import Identified
from echoic.agent.livekit_api import current_speech
from echoic.memory.call import CallMemory, start_call
from echoic.memory.errors import MemoryFault
from echoic.memory.identity.ids import check_user_id
from echoic.memory.types import ForgetRequest, Recall

log = logging.getLogger("echoic.call")


class CallerGone(MemoryFault):
    """Somebody else is heard by now: the caller whom this reply is for cannot be confirmed any more."""


@dataclass(frozen=True, slots=True)
class PendingForget:
    """What the caller was asked about: it is forgotten at a yes."""

    memory: CallMemory
    """Whose it is: somebody else's yes is none."""
    wanted: ForgetRequest
    what: str
    """As it was named."""
    question: str
    """As it was read back: an answer is one to these words alone."""


class Call:
    """What the agents of one call share.

    `call_memory` is the memory of whoever is speaking; it changes when that changes.

    Every person who speaks in a call has a memory of their own, kept open until the call ends: nothing is
    loaded twice when the link moves back and forth, and nothing of one can be seen by another.

    Args:
        identified: who is speaking; None for a user that the application itself chose.
        keep_before_confirmed: whether what an anonymous caller said becomes theirs once it is known who they
            are.
        shows_tools: whether the model is shown the tools of agent/commands/memory_tools.py, for wishes that
            no sentence of the language files is like.
        render: makes the text that stands before the caller's words; by default the recall's own block.
    """

    def __init__(
        self,
        call_memory: CallMemory,
        identified: Identified | None = None,
        *,
        keep_before_confirmed: bool = True,
        shows_tools: bool = False,
        render: Callable[[Recall], str] | None = None,
    ) -> None:
        self.call_memory = call_memory
        self.identified = identified or Identified(
            call_memory.caller.user_id, "application", proven=True, persistent=True
        )
        self.since: datetime | None = None
        """When this person began to speak; None for the one whom the call began with."""
        self.others_ids: set[str] = set()
        """Items that an agent object still holds of a session before this one."""
        self.capture: Capture | None = None
        """Set by whoever wires the call; it is told of every change."""
        self.turn_log: TurnLog | None = None
        """Set by whoever wires the call."""
        self.at_end: Callable[[Call, Sequence[llm.ChatItem]], Awaitable[None]] | None = None
        """Set by whoever wires the call: does what the words at the end of the conversation ask, if no agent
        has answered them."""
        self.shows_tools = shows_tools
        self.names_taken: set[str] = set()
        """Names of Echoic's tools that the application's own have too: in this call they are its own."""
        self.pending: PendingForget | None = None
        self.likely: dict[tuple[str, str], str] = {}
        """Kinds of wishes and answers (agent/commands/likely.py), by what was asked and said, where the model
        is shown no tools."""
        self.render = render or _block
        self.recalls = RecallHistory()
        self.identity_known = asyncio.Event()
        """Set once somebody is identified; until then replies wait a moment for it."""
        if identified is None or identified.how != "awaited":
            self.identity_known.set()
        self.on_changed: list[Callable[[CallMemory], None]] = []
        """Called at once with the new memory when another user's memory is in force: consent is asked for
        anew, a prefetch dropped."""
        self._keep_before_confirmed = keep_before_confirmed
        self._call_id = call_memory.caller.call_id
        self._memories: dict[tuple[str, str], CallMemory] = {}
        """By user and by scope."""
        self._keep(call_memory)
        self._speeches: WeakKeyDictionary[SpeechHandle, CallMemory] = WeakKeyDictionary()
        """Reply -> the memory of whom it is for: its tools may end when somebody else is heard."""
        self._confirmed: dict[str, Identified] = {}
        """By the id of nobody in particular: who that is, as was found when they were heard no longer."""
        self._changing: set[asyncio.Task[None]] = set()

    @property
    def scope(self) -> str:
        """The agent whose memory is in force: facts of its scope and its turns are seen."""
        return self.call_memory.caller.agent_id

    @property
    def memory_of_turn(self) -> CallMemory:
        """In a reply and its tools the memory of whom the reply is for, also when somebody else is heard by
        now; else the one in force."""
        speech = current_speech()
        held = self._speeches.get(speech) if speech is not None else None
        is_gone = held is not None and held.caller.user_id != self.call_memory.caller.user_id
        return held if held is not None and is_gone else self.call_memory

    def on_speech(self, event: SpeechCreatedEvent) -> None:
        """A reply begins: it is for whoever is heard now."""
        self._speeches[event.speech_handle] = self.call_memory

    def enter_scope(self, scope: str) -> None:
        """From now on, and at once, another agent speaks, with a memory of its own of the same person.

        Facts about the person in general are seen in every scope; turns, and facts of one agent, in its own.
        """
        if scope == self.scope:
            return
        before = self.call_memory
        self.call_memory = self._memory_of(self.identified, scope)
        if self.capture is not None:
            self.capture.switch_memory(self.call_memory)
        if before.paused:
            self.call_memory.pause()
        for changed in self.on_changed:
            changed(self.call_memory)

    async def wait_identified(self, limit_s: float) -> None:
        """Return when it is known who is speaking, or after `limit_s` seconds."""
        if not self.identity_known.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await self.identity_known.wait()

    @property
    def paused(self) -> bool:
        """Does the caller not want to be remembered just now?"""
        return self.call_memory.paused

    async def confirm(self, user_id: str) -> None:
        """The application knows now who the caller is. Returns when what became theirs by that is durable.

        A caller who was proven to be somebody else before counts as another person. Where a tool asks for it
        that was called for nobody in particular, and somebody else is heard by now, it is who they are when
        they are heard again.

        Raises:
            CallerGone: a tool asks for it that was called for somebody who is heard no longer, and was known.
            ConfigInvalid: the user id is empty or too long.
            StoreUnavailable: neither Postgres nor the spool took the words so far; they are tried again with
                the next turn.
        """
        confirmed = Identified(user_id, "application", proven=True, persistent=True)
        if (theirs := self.memory_of_turn) is not self.call_memory:
            await self._confirm_absent(theirs, confirmed)
            return
        before = self.begin_switch(confirmed, same_person=not self.identified.proven)
        if (speech := current_speech()) is not None:
            self._speeches[speech] = self.call_memory  # what its tools do from now on, they do for this user
        await self._finish(before)

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
        identified = self._confirmed.get(identified.user_id, identified)
        self.identified, before_who = identified, self.identified
        self.identity_known.set()
        if identified.user_id == before_who.user_id:
            return None
        before, adopts = (
            self.call_memory,
            same_person and not before_who.persistent and self._keep_before_confirmed,
        )
        if not same_person:
            self.since = datetime.now(UTC)
        self.call_memory = self._memory_of(identified, self.scope)
        if same_person:
            self._move_speeches(before_who.user_id)
        if self.capture is not None:
            self.capture.switch_memory(self.call_memory)
        if adopts and identified.persistent:
            self._adopt(before_who.user_id, identified)
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
        """As `switch`, for event handlers: what takes time goes on meanwhile, and `hang_up` waits for it."""
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
        return [item for item in said_since(items, self.since) if item.id not in self.others_ids]

    async def hang_up(self) -> None:
        """The call is over: every word heard is durable, and its learning enqueued, for each person who
        spoke."""
        if self._changing:
            await asyncio.wait(self._changing)
        if self.capture is not None:
            await self._do_last_wish(self.capture)
            await self.capture.drained()
        for memory in self._memories.values():
            await memory.end()
        if self.turn_log is not None:
            self.turn_log.finish()

    async def _confirm_absent(self, theirs: CallMemory, confirmed: Identified) -> None:
        check_user_id(confirmed.user_id)
        nobody, scope = theirs.caller.user_id, theirs.caller.agent_id
        if theirs.persistent:  # another with the same number would be told what this user said
            raise CallerGone()
        self._confirmed[nobody] = confirmed
        if self._keep_before_confirmed:
            self._adopt(nobody, confirmed)
        if (speech := current_speech()) is not None:
            self._speeches[speech] = self._memory_of(confirmed, scope)
        await self._flush(confirmed)

    def _adopt(self, nobody: str, user: Identified) -> None:
        """What was said to each agent while nobody in particular spoke is what the user said to it."""
        for scope in [scope for user_id, scope in self._memories if user_id == nobody]:
            self._memory_of(user, scope).merge_anonymous(self._memories.pop((nobody, scope)))

    def _move_speeches(self, before: str) -> None:
        for speech, memory in list(self._speeches.items()):
            if memory.caller.user_id == before:
                self._speeches[speech] = self.call_memory

    async def _do_last_wish(self, capture: Capture) -> None:
        try:
            if self.at_end is not None:
                await self.at_end(self, self.shown(capture.conversation()))
        except Exception as exc:  # the call ends whatever was wished
            log.error("turn.wish_broke", extra={"error": type(exc).__name__})

    def _memory_of(self, identified: Identified, scope: str) -> CallMemory:
        """The memory of a user in this call and scope: the one they had, or a new one, being loaded."""
        user_id = identified.user_id
        if (known := self._memories.get((user_id, scope))) is not None:
            return known
        before, call_id = self.call_memory.caller, self._call_id_for(user_id, scope)
        caller = identified.caller(scope, call_id, self.call_memory.memory.settings.timezone)
        if identified.how == "application" and not identified.timezone:  # who calls is still where they were
            caller = replace(caller, timezone=before.timezone, timezone_known=before.timezone_known)
        opened = start_call(self.call_memory.memory, caller, persistent=identified.persistent)
        return self._keep(opened)

    def _keep(self, memory: CallMemory) -> CallMemory:
        """One of those of a person in this call: what they answer to one counts for each."""
        whose, scope = memory.caller.user_id, memory.caller.agent_id
        self._memories[whose, scope] = memory
        memory.of_person = lambda: self._memories_of(whose)
        return memory

    def _memories_of(self, user_id: str) -> list[CallMemory]:
        return [memory for (whose, _), memory in self._memories.items() if whose == user_id]

    def _call_id_for(self, user_id: str, scope: str) -> str:
        """The call's own id for the first whose words are kept, one derived from it for each other."""
        taken = {memory.caller.call_id for memory in self._memories.values() if memory.persistent}
        if self._call_id not in taken:
            return self._call_id
        digest = hashlib.sha256(f"{user_id}\0{scope}".encode()).hexdigest()[:8]
        return f"{self._call_id}.{digest}"

    async def _finish(self, before: CallMemory | None) -> None:
        if before is None:
            return
        if self.capture is not None:
            await self.capture.switch_memory_and_flush(self.call_memory)
        await self._flush(self.identified)

    async def _flush(self, identified: Identified) -> None:
        for memory in self._memories_of(identified.user_id):
            if memory.persistent:
                await memory.flush()

    async def _finish_quietly(self, before: CallMemory | None) -> None:
        try:
            await self._finish(before)
        except Exception as exc:  # an event has nobody to tell; the words are tried again with the next turn
            log.error("call.switch_unfinished", extra={"error": type(exc).__name__})


def _block(recall: Recall) -> str:
    return recall.block
