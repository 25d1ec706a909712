"""What one call sees of memory: recall for each question, one durable row for each turn."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from echoic.memory.clock import moment, monotonic_of
from echoic.memory.errors import MemoryFault, TurnVoid
from echoic.memory.identity.ids import check_agent_id, check_user_id, storable
from echoic.memory.recall.pending import PendingRecall
from echoic.memory.recall.prompt import estimate_tokens
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.settings.personal import Choices
from echoic.memory.store.consent import Consent, Pauses, Policy, keeps, must_ask
from echoic.memory.store.turns import kept_words, turn_id_for
from echoic.memory.stores import Beginning, Stores
from echoic.memory.types import Caller, Recall, Role, Turn

log = logging.getLogger("echoic.memory")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class CallMemory:
    """The memory of one call: recall for each question, one durable row for each turn."""

    memory: Stores
    caller: Caller
    persistent: bool = True
    """False: nothing of this call is written, looked up or learned; its words stay in this process until the
    call ends."""
    recent: RecentTurns = field(default_factory=RecentTurns)
    loaded: bool = False
    """False: the stores were down when the call began; what earlier calls said may be missing from tier 1."""
    load_ms: float = 0.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    """By this host's clock."""
    began_s: float = field(default_factory=moment)
    """The same by the monotonic clock."""
    load_fault: str = ""
    """Why earlier calls could not be read, as a sentence."""
    consent: Consent = "unknown"
    """What the caller has said about being remembered."""
    choices: Choices = field(default_factory=Choices)
    """What they have chosen for their memory, as it was when the call began."""
    names: tuple[str, ...] = ()  # that the call's ears should expect, the most important first
    forgotten_ids: set[UUID] = field(default_factory=set)
    """Turns and facts that were forgotten during the call: the model is not shown them either."""
    of_person: "Callable[[], Sequence[CallMemory]] | None" = None
    """The memories of the same person in this call, one for each agent; None: there is this one alone."""
    _next_position: int = 0
    _last_said: dict[Role, str] = field(default_factory=dict)
    _unrecorded: dict[str, Turn] = field(default_factory=dict)
    _adopted: "list[CallMemory]" = field(default_factory=list)
    _pauses: Pauses = field(default_factory=Pauses)
    _recalled: Recall | None = None  # what the reply that is being made was given
    _loading: asyncio.Task | None = None
    _taken_back: int = 0  # times that somebody was erased or unlinked, or had something forgotten
    _turns_waiting: int = 0
    _tokens_waiting: int = 0
    _jobs: set[asyncio.Task] = field(default_factory=set)

    def start_loading(self) -> None:
        """Begin to fill tier 1 with the last turns and the profile; a call that is not kept has none."""
        if not self.persistent:
            self.loaded = True
            return
        self.memory.calls.add(self)
        self.memory.hold(self.caller)
        self._loading = self._in_background(self._load(), "call.load")

    async def wait_loaded(self) -> None:
        """Return when tier 1 holds what could be read; `loaded` says whether it could."""
        if self._loading is not None:
            await asyncio.shield(self._loading)

    def see_as(self, also: tuple[str, ...]) -> None:
        """From now on the caller's memory is theirs under these ids too."""
        before, self.caller = self.caller, replace(self.caller, also=also)
        if self.caller.key != before.key:
            self.memory.hold(self.caller)
            self.memory.let_go(before)

    async def _load(self) -> None:
        await self._read()
        if not keeps(self._policy, self.consent) and not must_ask(self._policy, self.consent):
            self._pauses.begin(self.began_s)

    async def _read(self) -> None:
        began = time.perf_counter()
        try:
            read = await self._read_beginning()
        # whatever is wrong with memory, the call goes on, and its turns are recorded
        except Exception as exc:
            log.warning("call.not_loaded", extra={"error": (kind := type(exc).__name__)})
            self.load_fault = str(exc) if isinstance(exc, MemoryFault) else f"Memory failed ({kind})."
            return
        self.consent, self.choices = read.consent, read.choices
        if self.choices.memory:
            self.recent.load(read.before, read.profile, read.now, read.digest)
            self.names = read.names
        self.caller = read.applied_to(self.caller)
        self._next_position = max((turn.position + 1 for turn in read.now), default=0)
        self.loaded = True
        self.load_ms = round((time.perf_counter() - began) * 1000, 3)

    async def _read_beginning(self) -> Beginning:
        """What the stores know; read again when something of it was taken back meanwhile."""
        while True:
            taken_back = self._taken_back
            also = await self.memory.links.read_along(self.caller.user_id)
            if taken_back != self._taken_back:
                continue
            self.see_as(also)
            read = await self.memory.read_beginning(self.caller)
            if taken_back == self._taken_back:
                return read

    async def recall(
        self,
        text: str,
        *,
        context_item_ids: Collection[str] = (),
        previous_user_text: str = "",
        budget_s: float | None = None,
    ) -> Recall:
        """What is remembered for these words, within the budget; never raises a memory fault.

        Args:
            context_item_ids: ids of the conversation items that the model sees anyway.
            previous_user_text: the caller's words before these.
        """
        # a store that is down may still hold those
        context = {self._turn_id(item_id) for item_id in context_item_ids} | self.forgotten_ids
        self._recalled = await self.memory.recaller.recall(
            self.caller,
            text,
            self.recent,
            context=context,
            previous=previous_user_text,
            budget_s=budget_s,
            stores=self.persistent and self.choices.memory,
        )
        return self._recalled

    def prefetch(
        self, text: str, *, context_item_ids: Collection[str] = (), previous_user_text: str = ""
    ) -> PendingRecall | None:
        """Start looking up words that are still being spoken, as `recall` will; returns at once.

        None: there is nothing to look up, or nowhere.
        """
        if not self.persistent or self.paused or not self.choices.memory:
            return None
        context = {self._turn_id(item_id) for item_id in context_item_ids} | self.forgotten_ids
        return self.memory.recaller.prefetch(
            self.caller, text, self.recent, context=context, previous=previous_user_text
        )

    async def record(
        self,
        item_id: str,
        role: Role,
        text: str,
        said_at: datetime | None = None,
        interrupted: bool = False,
        *,
        told_now: bool = False,
        heard_at: datetime | None = None,
        labels: str = "",
    ) -> Turn | None:
        """Return when the turn is durable: its row committed, or its line in the spool fsynced.

        The same item is stored once.

        Args:
            said_at: by this host's clock; now by default.
            told_now: `said_at` is a date that somebody gives now, of something told about another day.
            heard_at: `said_at` is by another's clock, and this is when it counts as said.
            labels: what another program tells with it: see `Turn.labels`.

        Returns:
            The turn; None when it was said during a pause, or was forgotten or erased since, and is kept
            nowhere. In a call that is not kept, or whose caller has not agreed yet, it is known, and not
            durable.

        Raises:
            StoreUnavailable: neither could take it; the turn is still known to this call.
        """
        said_at = said_at or datetime.now(UTC)
        last_said = self._last_said if self.memory.settings.mask_secrets else None
        kept = await kept_words(role, text, last_said)
        await self.wait_loaded()
        is_unwanted = self._policy == "off" or self._pauses.cover(monotonic_of(said_at))
        if is_unwanted or self._turn_id(item_id) in self.forgotten_ids:
            return None
        if self.persistent:
            await self.flush()
        heard_at = self.memory.clock.now() if told_now else heard_at
        whose = self._turn_id(item_id), self.caller.user_id, self.caller.agent_id, self.caller.call_id
        said = Turn(*whose, 0, role, kept, said_at, interrupted, heard_at=heard_at, labels=labels)
        turn = self._unrecorded.get(item_id) or self._take_over(item_id, said)
        if self.persistent and not self.consent_pending and not await self._make_durable(item_id, turn):
            return None
        return turn

    async def flush(self) -> None:
        """Return when tier 1 is loaded, and what was adopted is durable.

        Raises:
            StoreUnavailable: Postgres and the spool took not all of it; it is tried again with the next turn,
                and at the end.
        """
        await self.wait_loaded()
        if self.consent_pending:
            return
        if not keeps(self._policy, self.consent):
            self._adopted.clear()
        for before in self._adopted:
            while held := next(iter(before._unrecorded.items()), None):
                item_id, said = held
                turn = self._unrecorded.get(item_id) or self._take_over(item_id, said)
                await self._make_durable(item_id, turn)
                before._unrecorded.pop(item_id, None)

    def merge_anonymous(self, before: "CallMemory") -> None:
        """What was said in a call that was not kept becomes this user's, before anything said later: it was
        the same person."""
        self._adopted.append(before)
        self._pauses.add(before._pauses)

    def pause(self) -> None:
        """From now on nothing that is said is kept, nor looked up ahead; what was known before is still
        recalled."""
        self._pauses.begin()

    def resume(self) -> None:
        """Keep again what is said from now on; what was said during the pause is gone."""
        self._pauses.end()

    async def decide(self, granted: bool) -> None:
        """The caller says whether to be remembered; it counts at once, for every agent of the call, and in
        later calls.

        What was said in this call while they had not answered yet is kept with a yes, and dropped with a no.

        Raises:
            StoreUnavailable: it counts for this call only, or words of this call could not be stored yet.
        """
        theirs = self.of_person() if self.of_person else (self,)
        told = await asyncio.gather(*(one._decide(granted) for one in theirs), return_exceptions=True)
        if fault := next(filter(None, told), None):
            raise fault

    async def _decide(self, granted: bool) -> None:
        await self.wait_loaded()
        consent_pending, self.consent = self.consent_pending, "on" if granted else "off"
        if granted:
            self.choices = replace(self.choices, memory=True)
            self.resume()
        else:
            self.pause()
        if consent_pending and not granted:
            self._unrecorded.clear()
            self._adopted.clear()
        if not self.persistent:
            return
        try:
            await self.memory.consents.write(self.caller.user_id, self.consent)
        finally:
            if consent_pending and granted:
                await self.flush()
                for item_id, turn in list(self._unrecorded.items()):
                    await self._make_durable(item_id, turn)

    @property
    def consent_pending(self) -> bool:
        """Has the caller yet to say whether to be remembered? Until then their words are here alone."""
        loaded = self._loading is not None and self._loading.done()
        return self.persistent and loaded and must_ask(self._policy, self.consent)

    @property
    def _policy(self) -> Policy:
        return self.memory.settings.consent

    def forget_read(self) -> None:
        """Whatever this call knows was taken back: somebody was erased, or lost an id."""
        self._taken_back += 1
        self.recent.clear()
        self.names = ()

    def forget_items(self, ids: Collection[UUID]) -> None:
        """These turns and facts are gone; what of them comes later is not kept."""
        self._taken_back += 1
        self.forgotten_ids.update(ids)
        self.recent.remove(ids)
        self._unrecorded = {key: one for key, one in self._unrecorded.items() if one.turn_id not in ids}
        for before in self._adopted:
            before.forget_items(ids)

    @property
    def paused(self) -> bool:
        return self._pauses.is_open

    async def end(self, *, hurry: bool = True) -> None:
        """The call is over: have its turns learned (`hurry`: at once), stop its lookups, forget tier 1."""
        if not self.persistent:
            self._unrecorded.clear()
            self.recent.clear()
            return
        try:
            await self.flush()
        except MemoryFault as exc:
            log.error("call.not_adopted", extra={"error": type(exc).__name__})
        if hurry:
            await self.memory.jobs.enqueue_learn(self.caller.user_id, hurry=True)
        self.memory.recaller.forget_call(self.caller)
        self.memory.let_go(self.caller)
        self.memory.calls.discard(self)
        for task in list(self._jobs):
            await task

    async def _make_durable(self, item_id: str, turn: Turn) -> bool:
        """False: it is void, and kept nowhere."""
        try:
            recorded = await self.memory.recorder.record(turn)
        except TurnVoid as void:
            self._unrecorded.pop(item_id, None)
            self.recent.leave_out(turn.turn_id)
            self.memory.search.leave_out(self.caller, turn.turn_id)
            if not void.refused:  # what is refused is still answered in this call
                self.forget_items([turn.turn_id])
            return False
        self._unrecorded.pop(item_id, None)
        if recorded:
            self._in_background(self._enqueue(turn), "call.enqueue")
        return True

    def _note_of(self, role: Role) -> str:
        given, self._recalled = self._recalled, None if role == "assistant" else self._recalled
        return given.note if given is not None and role == "assistant" else ""

    def _take_over(self, item_id: str, said: Turn) -> Turn:
        """Give the item its place in the call, once, however often it has to be recorded."""
        turn = replace(
            self.memory.clock.timed(said),
            turn_id=self._turn_id(item_id),
            user_id=self.caller.user_id,
            agent_id=self.caller.agent_id,
            call_id=self.caller.call_id,
            position=self._next_position,
            timezone=self.caller.timezone if self.caller.timezone_known else "",
            recall=self._note_of(said.role),
        )
        self._next_position += 1
        self.recent.add(turn)
        if self.persistent:
            self.memory.search.add(self.caller, turn)
        self._unrecorded[item_id] = turn
        return turn

    async def _enqueue(self, turn: Turn) -> None:
        """Learning begins after a pause, or at once when a whole batch waits."""
        settings = self.memory.settings
        self._turns_waiting += 1
        self._tokens_waiting += estimate_tokens(turn.text)
        full = self._turns_waiting >= settings.learn_turns or self._tokens_waiting >= settings.learn_tokens
        if await self.memory.jobs.enqueue_learn(self.caller.user_id, hurry=full) and full:
            self._turns_waiting = self._tokens_waiting = 0

    async def finish(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run `work` to its end even if whoever waits is cancelled: the end of the call waits for it."""
        return await asyncio.shield(self._in_background(work, name))

    def _turn_id(self, item_id: str) -> UUID:
        return turn_id_for(self.caller.call_id, item_id)

    def _in_background(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task


def start_call(stores: Stores, caller: Caller, *, persistent: bool = True) -> CallMemory:
    """The memory of one caller in one call, at once; what earlier calls said is read meanwhile.

    Raises:
        ConfigInvalid: the user's or the agent's id is empty or too long.
    """
    check_user_id(caller.user_id)
    check_agent_id(caller.agent_id)
    call = CallMemory(stores, replace(caller, call_id=storable(caller.call_id)), persistent)
    call.start_loading()
    return call
