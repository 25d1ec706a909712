"""`echoic.remember`: one line gives a session its caller's memory, whichever agents it has."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakKeyDictionary, WeakSet

from livekit import rtc
from livekit.agents import AgentTask, ConversationItemAddedEvent, JobContext
from livekit.agents.job import DEFAULT_PARTICIPANT_KINDS

from echoic.agent.assistant import Remembers
from echoic.agent.call.call import Call
from echoic.agent.call.callers import Callers
from echoic.agent.call.capture import Capture
from echoic.agent.call.key_terms import KeyTerms
from echoic.agent.call.prefetch import Prefetch
from echoic.agent.call.registry import attach, detach
from echoic.agent.call.turn_log import TurnLog
from echoic.agent.commands.memory_tools import carry_out_last_words
from echoic.agent.commands.warm import warm
from echoic.agent.config import load_agent_settings
from echoic.agent.identity.identity import CONSOLE_USER, Identified, Rules, anonymous, awaited
from echoic.agent.livekit_api import check_version, room_io_of, said_by
from echoic.agent.process_memory import SharedMemory, share_memory
from echoic.agent.realtime import RealtimeMemory
from echoic.agent.reply import remembering
from echoic.memory.call import CallMemory, start_call
from echoic.memory.config import MemorySettings
from echoic.memory.errors import MemoryFault
from echoic.memory.identity.ids import check_user_id
from echoic.memory.identity.phone import open_phone_key
from echoic.memory.service import Memory, spool_folder
from echoic.memory.types import Recall

log = logging.getLogger("echoic")

NOBODY = (
    "Nobody in particular is calling, so this call is forgotten when it ends: pass user_id=…, sign a user "
    "token, or set ECHOIC_STABLE_IDENTITIES=true if your LiveKit identities stand for people."
)
SESSION_S = 10.0
"""Longest that the end of a job waits for a session to close; what was heard by then is kept."""
_remembered: WeakKeyDictionary[Any, "Remembered"] = WeakKeyDictionary()
_beginning: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()
"""Session -> held while its memory is opened: who asks meanwhile is given the same handle."""
_call_ids: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Session -> the name of its call, from before anything is waited for: those of a room begin together."""
_spoken: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
"""Agent -> ids of what was said in its sessions that have ended: until 1.8 an agent object keeps it, and
would show it to the next caller's model."""


async def remember(
    session: Any,
    ctx: JobContext | None = None,
    *,
    user_id: str | None = None,
    scope: str | None = None,
    settings: MemorySettings | None = None,
    tools: bool = True,
    render: Callable[[Recall], str] | None = None,
    memory: Memory | None = None,
) -> "Remembered":
    """Give a session the memory of its caller: recalled before each reply, stored after each turn.

    Works for every agent of the session, unchanged: hand-offs, `AgentTask`s, tool steps, typed text. A model
    or a store that is slow or broken never costs a reply. Call it before `session.start`; after it works too.

    Args:
        session: an `AgentSession` (`LiveSession` on livekit-agents 2.0).
        ctx: of the job: it says who is calling (docs/callers.md), and lets the last words be stored.
        user_id: who is calling, where the application knows it.
        scope: whose memory this is: `ECHOIC_AGENT_ID` by default. An agent class may name its own in
            `memory_scope`.
        settings: instead of those of the environment.
        tools: whether the model is shown tools for what callers ask of their memory ("forget that"). Plain
            wishes are carried out in any case.
        render: makes the text that stands before the caller's words of what was recalled; empty for none. By
            default it is the block of docs/guide.md.
        memory: an open one, such as `echoic.testing.memory()`, instead of the one that the settings name.

    Returns:
        A handle; nothing needs to be done with it.

    Raises:
        ConfigInvalid: this livekit-agents is too old or too new, a setting or the user id is wrong. Stores
            that are away are no reason: the log says so, and the session goes on.
    """
    check_version()
    async with _beginning.setdefault(session, asyncio.Lock()):
        if (known := _remembered.get(session)) is not None:
            if user_id is not None:
                await known.confirm(user_id)
            return known
        if user_id is not None:
            check_user_id(user_id)
        call_id = _reserve_call_id(session, ctx)
        warm()
        shared = SharedMemory(memory) if memory is not None else await share_memory(settings)
        settings = settings or shared.memory.settings
        try:
            call_options = {"shows_tools": tools, "render": render}
            scope = scope or settings.agent_id
            handle = await _remember(session, ctx, shared, user_id, scope, call_id, call_options)
        except BaseException:
            await shared.close()
            raise
        return handle


async def _remember(
    session: Any,
    ctx: JobContext | None,
    shared: SharedMemory,
    user_id: str | None,
    scope: str,
    call_id: str,
    options: dict[str, Any],
) -> "Remembered":
    room = _room_of(ctx)
    agent_settings = load_agent_settings()
    callers = None
    if room is not None and ctx is not None:
        key = open_phone_key(agent_settings, spool_folder(shared.memory.settings).parent)
        callers = Callers(room, Rules.of(agent_settings, key), ctx.job.metadata)
    who = _who(user_id, ctx, callers, room)
    caller = who.caller(scope, call_id, shared.memory.settings.timezone)
    call_memory = start_call(shared.memory, caller, persistent=who.persistent)
    await call_memory.wait_loaded()
    call = Call(call_memory, who, keep_before_confirmed=agent_settings.keep_before_confirmed, **options)
    handle = Remembered(session, call, shared, callers if user_id is None else None)
    await handle.start()
    if ctx is not None and hasattr(ctx, "add_shutdown_callback"):
        ctx.add_shutdown_callback(handle.close_session)
    return handle


class Remembered:
    """The memory of one session."""

    def __init__(self, session: Any, call: Call, shared: SharedMemory, callers: Callers | None) -> None:
        self._session, self._call, self._shared, self._callers = session, call, shared, callers
        self._capture, self._prefetch = Capture(call.call_memory), Prefetch(call)
        self._scope = call.scope
        self._agents: WeakSet[Any] = WeakSet()
        self._closing: asyncio.Task[None] | None = None
        self._followed = False

    @property
    def user_id(self) -> str:
        """Whose memory this is now; begins with `anonymous:` while it is not known who is calling."""
        return self._call.identified.user_id

    @property
    def fault(self) -> str:
        """Why nothing is remembered, as a sentence; empty while all is well."""
        return self._shared.fault

    @property
    def call_memory(self) -> CallMemory:
        """What this call sees of memory, for whoever needs more than this handle."""
        return self._call.call_memory

    @property
    def last_recall(self) -> Recall | None:
        """What memory gave to the newest reply; None before the first."""
        return self._call.recalls.last

    async def confirm(self, user_id: str) -> None:
        """The application knows now who is calling, from a tool that asked for a code, say. If somebody else
        is heard by now, it counts when the caller whom the tool was called for is heard again.

        Raises:
            MemoryFault: that caller was known as somebody already: nobody is confirmed.
            ConfigInvalid: the user id is empty or too long.
        """
        await self._call.confirm(user_id)

    async def link(self, user_id: str) -> None:
        """Who is calling is this user too, as the application has made sure, from a tool that asked for a
        code, say: from their next call on both ids are one person, until the link is taken back.

        Raises:
            ConfigInvalid: the user id is empty or too long, or nobody in particular is calling.
            MemoryFault: they are not linked.
        """
        caller = self._call.memory_of_turn.caller
        await self._shared.memory.links.add(caller.user_id, user_id, made_by="caller")

    async def recall(self, text: str) -> Recall:
        """What is remembered for these words, within the budget; never raises a memory fault."""
        return await self._call.memory_of_turn.recall(text)

    async def note(self, text: str) -> None:
        """Remember something that was not said aloud, such as what a tool found out about the caller.

        Raises:
            StoreUnavailable: neither Postgres nor the disk took it.
        """
        await self._call.memory_of_turn.record(f"note:{uuid.uuid4().hex}", "user", text)

    async def flush(self) -> None:
        """Return when every turn said so far is durable."""
        await self._capture.drained()

    async def start(self) -> None:
        """Listen to the session from now on."""
        session, call = self._session, self._call
        _remembered[session] = self
        await self._capture.__aenter__()
        call.capture, call.turn_log = self._capture, TurnLog(call, self._prefetch)
        call.at_end = carry_out_last_words
        session.on("conversation_item_added", self._on_item)
        attach(session, call, self._prefetch)
        self._warn_of_nobody()
        call.on_changed.append(lambda _memory: self._warn_of_nobody())
        self._key_terms = KeyTerms(session, call)
        RealtimeMemory(session, call)
        session.on("close", lambda _event: self._close_soon())
        session.aclose = self._closing_after(session.aclose)
        if getattr(session, "_activity", None) is not None:
            self._enter(session.current_agent)  # it runs already

    async def close(self) -> None:
        """The call is over: every word is durable, and its learning enqueued. Safe to repeat."""
        self._close_soon()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def close_session(self) -> None:
        """As `close`, once the session has said its last words: of several in a job LiveKit closes one."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SESSION_S):
                await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _warn_of_nobody(self) -> None:
        if self._call.identified.how == "anonymous":
            log.warning(NOBODY)

    def _on_item(self, event: ConversationItemAddedEvent) -> None:
        if event.item.type == "agent_handoff":  # LiveKit says so before the new agent's `on_enter` runs
            self._enter(self._session.current_agent)

    def _enter(self, agent: Any) -> None:
        """An agent begins to speak in this session."""
        if not isinstance(agent, Remembers) and not hasattr(agent.llm_node, "remembers"):
            agent.llm_node = remembering(agent, agent.llm_node)
        self._agents.add(agent)
        self._call.others_ids |= _spoken.get(agent, set())
        # a task works for the agent that awaits it: what is told to it is told to that agent
        around = self._call.scope if isinstance(agent, AgentTask) else self._scope
        try:
            self._call.enter_scope(getattr(agent, "memory_scope", None) or around)
        finally:  # also where a scope is wrong: LiveKit's log says so, and somebody else may come
            self._follow_callers()
        self._key_terms.tell()  # an agent may have ears of its own

    def _follow_callers(self) -> None:
        if self._callers is not None and not self._followed and room_io_of(self._session) is not None:
            self._followed = True
            self._callers.follow(self._session, self._call)

    def _closing_after(self, aclose: Any) -> Any:
        async def close() -> None:
            try:
                await aclose()
            finally:
                await self.close()

        return close

    def _close_soon(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="remember.close")

    async def _close(self) -> None:
        try:
            self._capture.keep_unanswered()
            await self._call.hang_up()
        except MemoryFault as exc:
            log.error("call.not_closed", extra={"error": type(exc).__name__})
        finally:
            await self._capture.__aexit__(None, None, None)
            for agent in self._agents:
                _spoken.setdefault(agent, set()).update(said_by(agent))
            detach(self._session)
            _remembered.pop(self._session, None)
            _call_ids.pop(self._session, None)
            await self._shared.close()


def memory_of(session: Any) -> Remembered | None:
    """The memory of a session that `remember` was called for, in a tool for instance; else None."""
    return _remembered.get(session)


def _room_of(ctx: JobContext | None) -> rtc.Room | None:
    if ctx is None or ctx.is_fake_job():
        return None
    return getattr(ctx, "room", None)


def _who(
    user_id: str | None, ctx: JobContext | None, callers: Callers | None, room: rtc.Room | None
) -> Identified:
    if user_id is not None:
        return Identified(user_id, "application", proven=True, persistent=True)
    if callers is not None and room is not None:
        present = [one for one in room.remote_participants.values() if one.kind in DEFAULT_PARTICIPANT_KINDS]
        return callers.identify(present[0]) if present else awaited()
    if ctx is not None and ctx.is_fake_job():
        return Identified(CONSOLE_USER, "application", proven=True, persistent=True)
    return anonymous()


def _reserve_call_id(session: Any, ctx: JobContext | None) -> str:
    """The room's sid names the call; another session of the same room is a call of its own."""
    sid = ctx.job.room.sid if ctx is not None and not ctx.is_fake_job() else ""
    taken = {call_id for other, call_id in _call_ids.items() if other is not session}
    call_id = sid if sid and sid not in taken else f"{sid or 'session'}.{uuid.uuid4().hex[:12]}"
    _call_ids[session] = call_id
    return call_id
