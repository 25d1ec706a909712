"""Ask every tier at once, under one deadline, and make one block of what arrived."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.breaker import CallerBreaker, TierBreaker
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import MemoryFault
from echoic.memory.recall.lookahead import Pace
from echoic.memory.recall.pending import Composed, Ingredients, PendingRecall, Question, Tier, TierLookup
from echoic.memory.recall.prompt import LAST_CALL_LINES, compose
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.store.versions import Version, Versions
from echoic.memory.text.words import clean, is_follow_up, is_small_talk, normalise, spelled_end
from echoic.memory.types import Caller, CallKey, Item, Recall, TierResult

log = logging.getLogger("echoic.recall")

LOOKUPS_HELD = 32
"""Questions whose lookups are kept, for all calls of this process: preemptive attempts, tool steps and
retries ask again in seconds."""
LOOKUP_AGE_S = 30.0
QUESTION_CHARS = 2_000
"""The end of a longer text is asked: the question of a monologue comes last."""

EMBEDDER = "embedder"
VECTOR_SHARE = 0.8
"""Share of the budget that a question's vector may take; the rest finds by words alone what a slow endpoint
would have lost."""

Key = tuple[CallKey, Version, str]


class Recaller:
    """Asks the tiers.

    One for a process; what it holds is keyed by user, agent, call, memory version and words.
    """

    def __init__(
        self,
        tiers: Sequence[Tier],
        embedder: Embedder,
        versions: Versions,
        settings: MemorySettings,
        *,
        extras: Collection[str] = (),
        across: Callable[[Caller], bool] = lambda caller: False,
        held: Mapping[str, Callable[[Caller], bool]] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        Args:
            extras: tiers that a reply can do without; once the breaker holds one back, no reply waits for it
                until it is well again.
            across: whether this caller's memory may be in several languages.
            held: of a tier, whether it answers this caller from this process: then no breaker is asked, and
                none is told.
        """
        self._tiers, self._embedder, self._versions, self._settings = tiers, embedder, versions, settings
        self._extras, self._across, self._held = frozenset(extras), across, held
        self._clock, self._now = clock, now
        self.pace = Pace()
        """Of all calls whose words are looked up while they are spoken."""
        self._asked: OrderedDict[Key, PendingRecall] = OrderedDict()
        self._tasks: set[asyncio.Task] = set()
        self.breakers = {name: self._breaker() for name in (EMBEDDER, *(tier.name for tier in tiers))}

    async def recall(
        self,
        caller: Caller,
        text: str,
        recent: RecentTurns,
        *,
        context: Collection[UUID] = frozenset(),
        previous: str = "",
        budget_s: float | None = None,
        stores: bool = True,
    ) -> Recall:
        """Ask every tier at once and return what arrived in time, as items and as one block.

        A tier that is late or broken is named in the result and never raised: memory may make a reply poorer,
        not lose it. A late lookup runs on to its hard limit; its answer serves the same words, and is a
        candidate, scored anew, for the next.

        Args:
            text: the caller's words as heard; never logged.
            recent: tier 1 of this call.
            context: turns that the model sees anyway.
            previous: the caller's words before these; asked along when these lean on them ("and hers?").
            budget_s: longest wait in seconds, for all tiers together; default `recall_budget_ms`.
            stores: False asks nobody outside this process: tier 1 alone.
        """
        began = self._clock()
        text = clean(text)
        if is_small_talk(text):
            skipped = {name: TierResult("skipped") for name in self._names()}
            block, used = self._made(caller, text, [], recent, context, only_due=True)
            return Recall(skipped, block, used, _ms(self._clock() - began))
        question = asked_text(text, clean(previous))
        limit_s = self._settings.recall_budget_s if budget_s is None else budget_s
        asked = None
        if stores:
            asked = self._join_or_start(caller, question, recent, limit_s * VECTOR_SHARE)
            results = await self._ask(asked, began, limit_s)
        else:
            results = {tier.name: TierResult("skipped") for tier in self._tiers}
        near, result = self._near(question, recent, results, context)
        found = [*(item for one in results.values() for item in one.items), *near]
        block, used = self._compose(caller, question, recent, found, context, asked)
        return Recall({RecentTurns.name: result} | results, block, used, _ms(self._clock() - began))

    def prefetch(
        self,
        caller: Caller,
        text: str,
        recent: RecentTurns,
        *,
        context: Collection[UUID] = frozenset(),
        previous: str = "",
    ) -> PendingRecall | None:
        """Start the lookups for words still being spoken; a `recall` for the same words adopts them.

        It adopts their block too, if its context leaves out the same items.

        Returns at once.

        Returns:
            What was started, or joined, to be watched or given up; None for small talk, which nobody will
            look up.
        """
        text = clean(text)
        if is_small_talk(text):
            return None
        question = asked_text(text, clean(previous))
        asked = self._join_or_start(caller, question, recent, None)
        tasks = [lookup.task for lookup in asked.lookups.values() if lookup.task is not None]
        if asked.composed is None and asked.running:
            for task in tasks:
                task.add_done_callback(
                    lambda _task: self._compose_ahead(caller, question, recent, context, asked)
                )
        return asked

    def _compose_ahead(
        self,
        caller: Caller,
        text: str,
        recent: RecentTurns,
        context: Collection[UUID],
        asked: PendingRecall,
    ) -> None:
        """The block of a prefetch whose last lookup has ended: 1.2 ms that no reply waits for."""
        ended = [one.task for one in asked.lookups.values() if one.task is not None]
        if asked.claimed is not None or not all(task.done() for task in ended):
            return
        if any(one.error for one in asked.lookups.values()):
            return
        found = [item for one in asked.lookups.values() for item in one.result(self._clock()).items]
        self._compose(caller, text, recent, found, context, asked)

    def give_up(self, asked: PendingRecall) -> None:
        """Stop a prefetch whose words were superseded, unless a `recall` has adopted it."""
        if asked.claimed is None:
            for key in [key for key, held in self._asked.items() if held is asked]:
                self._drop(self._asked.pop(key))

    def forget(self, user_id: str) -> None:
        """Drop everything held for a user."""
        for key in [key for key in self._asked if user_id in key[0][0]]:
            self._drop(self._asked.pop(key))

    def forget_call(self, caller: Caller) -> None:
        """The call ended: stop and drop its lookups."""
        for key in [key for key in self._asked if key[0] == caller.key]:
            self._drop(self._asked.pop(key))
        for breaker in self.breakers.values():
            breaker.forget(caller.user_id)

    async def close(self) -> None:
        for asked in self._asked.values():
            self._drop(asked)
        self._asked.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    async def _ask(self, asked: PendingRecall, began: float, limit_s: float) -> dict[str, TierResult]:
        if asked.claimed is None:
            asked.claimed, asked.claimed_at = "late" if asked.running else "hit", self._clock()
        asked.vector.set_deadline(
            limit_s * VECTOR_SHARE
        )  # of a prefetch, which had no patience: nobody waited
        await self._wait(asked, limit_s - (self._clock() - began))
        return {tier: lookup.result(self._clock()) for tier, lookup in asked.lookups.items()}

    def _breaker(self) -> TierBreaker:
        return TierBreaker(
            failures=self._settings.breaker_failures,
            pause_s=self._settings.breaker_pause_s,
            clock=self._clock,
        )

    def _names(self) -> list[str]:
        return [RecentTurns.name, *(tier.name for tier in self._tiers)]

    def _join_or_start(
        self, caller: Caller, text: str, recent: RecentTurns, timeout_s: float | None
    ) -> PendingRecall:
        key = (caller.key, self._versions.of(caller), normalise(text))
        held = self._asked.get(key)
        if (
            held is not None
            and self._clock() - held.at < LOOKUP_AGE_S
            and not self._worth_again(held, caller)
        ):
            self._asked.move_to_end(key)
            return held
        if held is not None:
            self._drop(self._asked.pop(key))
        asked = self._asked[key] = self._start(caller, text, recent, timeout_s)
        while len(self._asked) > LOOKUPS_HELD:
            _, oldest = self._asked.popitem(last=False)
            if oldest.claimed is None:  # else a reply may be waiting for it; it ends by its own limit
                self._drop(oldest)
        return asked

    def _worth_again(self, asked: PendingRecall, caller: Caller) -> bool:
        """Did a lookup fail, while its tier may be asked again?"""
        failed = [tier for tier, lookup in asked.lookups.items() if lookup.task is None or lookup.error]
        breakers = [self._breaker_of(tier, caller) for tier in failed]
        return any(breaker is None or breaker.state == "closed" for breaker in breakers)

    def _breaker_of(self, tier: str, caller: Caller) -> CallerBreaker | None:
        if tier in self._held and self._held[tier](caller):
            return None
        return self.breakers[tier].of(caller.user_id)

    def _start(
        self, caller: Caller, text: str, recent: RecentTurns, timeout_s: float | None
    ) -> PendingRecall:
        asked = self._embedder.embed(text, across=self._across(caller))
        vector = QueryVector.start(asked, timeout_s, self.breakers[EMBEDDER], self._hold)
        question = Question(caller, text, vector, self._now())
        lookups = {tier.name: self._look_up(tier, question, recent) for tier in self._tiers}
        return PendingRecall(lookups, vector, self._clock())

    def _look_up(self, tier: Tier, question: Question, recent: RecentTurns) -> TierLookup:
        breaker = self._breaker_of(tier.name, question.caller)
        lookup = TierLookup(None, self._clock(), breaker)
        if breaker is not None:
            if not breaker.allows():
                return lookup
            lookup.is_probe = tier.name in self._extras and breaker.state == "trial"
        lookup.task = self._hold(self._bounded(tier, question), f"recall.{tier.name}")
        lookup.task.add_done_callback(lambda task: self._ended(tier.name, lookup, task, recent))
        return lookup

    async def _bounded(self, tier: Tier, question: Question) -> Sequence[Item]:
        async with asyncio.timeout(self._settings.store_timeout_s):
            return await tier.search(question)

    def _ended(
        self, tier: str, lookup: TierLookup, task: asyncio.Task[Sequence[Item]], recent: RecentTurns
    ) -> None:
        lookup.ended = self._clock()
        if not task.cancelled() and (error := task.exception()):
            log.warning("recall.failed", extra={"tier": tier, "error": type(error).__name__})
        elif not task.cancelled() and lookup.counted_late:
            recent.offer(task.result())
        lookup.count(self._settings.recall_budget_s)

    async def _wait(self, asked: PendingRecall, budget_s: float) -> None:
        lookups = [lookup for lookup in asked.lookups.values() if not lookup.is_probe]
        running = [lookup.task for lookup in lookups if lookup.task is not None and not lookup.task.done()]
        if running:
            await asyncio.wait(running, timeout=max(budget_s, 0))

    def _near(
        self, text: str, recent: RecentTurns, stores: dict[str, TierResult], context: Collection[UUID]
    ) -> tuple[list[Item], TierResult]:
        """What tier 1 adds.

        It is searched only for those tiers that did not answer: one that did has weighed what is its own.
        """
        began = self._clock()
        answered = [name for name, result in stores.items() if result.status in ("ok", "empty")]
        near = (
            []
            if stores and len(answered) == len(stores)
            else recent.search(text, context, answered=answered, now=self._now())
        )
        held = (*near, *recent.profile, *recent.last_call[:LAST_CALL_LINES])
        return near, TierResult("ok" if held else "empty", held, _ms(self._clock() - began))

    def _compose(
        self,
        caller: Caller,
        text: str,
        recent: RecentTurns,
        found: Sequence[Item],
        context: Collection[UUID],
        asked: PendingRecall | None,
    ) -> Composed:
        due = recent.due(self._now())
        items = [item for part in (due, found, recent.profile, recent.last_call) for item in part]
        made_of = Ingredients(items, context, caller.timezone)
        if asked is not None and asked.composed is not None and asked.composed[0].make_the_same(made_of):
            return asked.composed[1]
        composed = self._made(caller, text, found, recent, context)
        if asked is not None:
            asked.composed = made_of, composed
        return composed

    def _made(
        self,
        caller: Caller,
        text: str,
        found: Sequence[Item],
        recent: RecentTurns,
        context: Collection[UUID],
        *,
        only_due: bool = False,
    ) -> Composed:
        now = self._now()
        return compose(
            found,
            () if only_due else recent.profile,
            () if only_due else recent.last_call,
            question=text,
            context=context,
            now=now,
            zone=ZoneInfo(caller.timezone),
            max_tokens=self._settings.recall_max_tokens,
            max_items=self._settings.recall_items,
            due=recent.due(now),
        )

    def _hold(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._let_go)
        return task

    def _let_go(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if (
            not task.cancelled()
            and (error := task.exception())
            and not isinstance(error, (MemoryFault, TimeoutError))
        ):
            log.error("recall.defect", extra={"task": task.get_name(), "error": type(error).__name__})

    def _drop(self, asked: PendingRecall) -> None:
        asked.vector.cancel()
        for lookup in asked.lookups.values():
            if lookup.task is not None:
                lookup.task.cancel()


def asked_text(text: str, previous: str) -> str:
    """The words to look up: these, or with the ones before when they lean on them; the end of a very long
    text."""
    joined = f"{previous} {text}" if previous and is_follow_up(text) else text
    return spelled_end(joined, QUESTION_CHARS)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
