"""The conversations that a program is having: each is a call, which ends when nothing is said for a while."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from echoic.memory.call import CallMemory
from echoic.memory.chat.messages import Asked
from echoic.memory.observe.metrics import count_recall
from echoic.memory.review.context import context_for
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory
from echoic.memory.store.turns import stored_item_id
from echoic.memory.types import Caller, Recall, Role

log = logging.getLogger("echoic.chat")
OPEN_S = 600.0
"""A longer conversation goes on as another call: what its person has chosen meanwhile is read anew."""
MOST_TURNS = 20_000
"""Turns of which it is known what they were in a request: 3 MB."""
MOST = 200
"""Conversations held at once; the longest silent one makes room. Each holds some 20 kB."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is talking."""

    user_id: str
    scope: str = ""
    """To which agent; empty: `ECHOIC_AGENT_ID`."""


@dataclass(slots=True)
class Said:
    """One exchange: what was asked, and how it was answered."""

    whom: Whom
    asked: Asked
    asked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    reply: str = ""
    interrupted: bool = False
    """The reply was cut off: its words are those that came."""


@dataclass(frozen=True, slots=True)
class _Words:
    item_id: str
    role: Role
    text: str
    said_at: datetime
    interrupted: bool = False


@dataclass(slots=True, eq=False)
class _Talk:
    call: CallMemory
    began_s: float = field(default_factory=time.monotonic)
    busy: int = 0
    ending: asyncio.TimerHandle | None = None
    _known: set[str] = field(default_factory=set)
    _unsaved: deque[_Words] = field(default_factory=deque)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.began_s > OPEN_S

    def keep(self, words: _Words) -> None:
        """These are to be saved, unless they are known or there are none."""
        if words.text.strip() and words.item_id not in self._known:
            self._known.add(words.item_id)
            self._unsaved.append(words)

    async def save(self) -> dict[str, UUID]:
        """Save what is kept, in its order; what fails stays, and is tried again with what comes next.

        Returns:
            Items and the turns that they are now.
        """
        saved: dict[str, UUID] = {}
        async with self._lock:
            while self._unsaved:
                one = self._unsaved[0]
                turn = await self.call.record(one.item_id, one.role, one.text, one.said_at, one.interrupted)
                self._unsaved.popleft()
                if turn is not None:
                    saved[one.item_id] = turn.turn_id
            return saved


class Conversations:
    """Recalls before an answer and records after it; to be used in one event loop.

    What it does in the background belongs to no request: it runs in a context of its own.
    """

    def __init__(self, memory: Memory, name: str) -> None:
        """`name` begins the ids of the calls."""
        self._memory, self._name = memory, name
        self._talks: OrderedDict[Whom, _Talk] = OrderedDict()
        self._turn_ids: OrderedDict[tuple[Whom, str], UUID] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def recall(self, whom: Whom, asked: Asked, *, budget_s: float) -> Recall:
        """What is remembered for these words, within the budget; a store that fails is never raised.

        Raises:
            ConfigInvalid: the user's or the agent's id cannot be one.
        """
        began = time.monotonic()
        async with self._talking(whom) as talk:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(budget_s):
                    await talk.call.wait_loaded()
            found = await talk.call.recall(
                asked.text,
                context_item_ids=self._context(whom, asked),
                previous_user_text=asked.previous,
                budget_s=max(0.0, budget_s - (time.monotonic() - began)),
            )
        count_recall(found, budget_s=budget_s, breakers=self._memory.recaller.breakers)
        return found

    async def prompt(self, whom: Whom, text: str) -> str:
        """The block for a prompt that somebody else makes; without words, what is known of the person.

        Raises:
            ConfigInvalid, StoreUnavailable: it cannot be made.
        """
        settings = self._memory.settings
        if text.strip():
            asked = Asked("", None, text, "", True, "", frozenset(), text)
            return (await self.recall(whom, asked, budget_s=settings.recall_budget_s)).block
        caller, choices = await reader(
            self._memory, whom.user_id, whom.scope, call_id=self._caller(whom).call_id
        )
        if not choices.memory:
            return ""
        found = await context_for(
            self._memory,
            caller,
            "",
            max_tokens=settings.recall_max_tokens,
            max_items=settings.recall_items,
            topics=frozenset(),
        )
        return found.block

    async def record(self, said: Said) -> None:
        """Return when both are durable: the caller's words, unless they are known, and the reply.

        Raises:
            StoreUnavailable: neither Postgres nor the disk took it.
        """
        asked, now = said.asked, datetime.now(UTC)
        async with self._talking(said.whom) as talk:
            if asked.is_new:
                talk.keep(_Words(asked.item_id, "user", asked.text, said.asked_at))
            reply_id = asked.reply_id(said.reply)
            talk.keep(_Words(reply_id, "assistant", said.reply, now, said.interrupted))
            for item_id, turn_id in (await talk.save()).items():
                self._turn_ids[said.whom, item_id] = turn_id
        while len(self._turn_ids) > MOST_TURNS:
            self._turn_ids.popitem(last=False)

    def record_soon(self, said: Said) -> None:
        """As `record`, in the background; what cannot be stored is counted in the log."""
        self._hold(self._record_logged(said), "chat.record")

    async def settle(self) -> None:
        """Return when everything handed over is durable, and each conversation has ended: it is learned."""
        while waiting := [task for task in self._tasks if task.get_name() == "chat.record"]:
            await asyncio.wait(waiting)
        for whom in list(self._talks):
            self._end_soon(whom, self._talks[whom])
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    @asynccontextmanager
    async def _talking(self, whom: Whom) -> AsyncIterator[_Talk]:
        """The conversation, which does not end meanwhile."""
        talk = self._talks.get(whom)
        if talk is not None and talk.is_old and not talk.busy:
            self._end_soon(whom, talk)
            talk = None
        talk = talk or self._begin(whom)
        self._talks.move_to_end(whom)
        talk.busy += 1
        if talk.ending is not None:
            talk.ending.cancel()
        try:
            yield talk
        finally:
            talk.busy -= 1
            if not talk.busy:
                idle_s, loop = self._memory.settings.learn_idle_s, asyncio.get_running_loop()
                talk.ending = loop.call_later(idle_s, self._end_soon, whom, talk, context=Context())

    def _begin(self, whom: Whom) -> _Talk:
        talk = self._talks[whom] = _Talk(self._memory.start_call(self._caller(whom)))
        silent = next((one for one in self._talks.items() if not one[1].busy and one[1] is not talk), None)
        if len(self._talks) > MOST and silent is not None:
            self._end_soon(*silent)
        return talk

    def _context(self, whom: Whom, asked: Asked) -> list[str]:
        """Ids of what the request shows anyway, also of what was said before this call began."""
        known = ((item_id, self._turn_ids.get((whom, item_id))) for item_id in asked.context_ids)
        return [stored_item_id(turn_id) if turn_id else item_id for item_id, turn_id in known]

    def _caller(self, whom: Whom) -> Caller:
        settings, call_id = self._memory.settings, f"{self._name}.{uuid4().hex}"
        return Caller(whom.user_id, whom.scope or settings.agent_id, call_id, settings.timezone)

    def _end_soon(self, whom: Whom, talk: _Talk) -> None:
        if self._talks.get(whom) is talk and not talk.busy:
            del self._talks[whom]
            if talk.ending is not None:
                talk.ending.cancel()
            self._hold(_end(talk), "chat.end")

    async def _record_logged(self, said: Said) -> None:
        try:
            await self.record(said)
        except Exception as exc:  # the reply was given: nobody waits for this
            log.error("chat.not_stored", extra={"error": type(exc).__name__})

    def _hold(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _end(talk: _Talk) -> None:
    try:
        await talk.save()
    except Exception as exc:
        log.error("chat.lost", extra={"error": type(exc).__name__})
    await talk.call.end()
