"""A caller's open turns -> facts: in order, one batch at a time, never two at once, each learned exactly
once."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import asyncpg

from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import ModelAnswerInvalid, StoreUnavailable
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.privacy.locked_connection import LEARNING, locked, within
from echoic.memory.profile.episodes import note_episode
from echoic.memory.profile.reorganise import reorganise
from echoic.memory.profile.slots import ProfileSettings, read_profile
from echoic.memory.service import Memory
from echoic.memory.store import batches
from echoic.memory.store.batches import Batch
from echoic.memory.store.database import UNAVAILABLE, unreachable
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.memory.types import Fact, Turn
from echoic.workers.attempts import MOST_FAILURES, Attempts
from echoic.workers.learn.extractor import Extraction, Extractor
from echoic.workers.learn.known_facts import in_order, known_facts, only_new, says_nothing
from echoic.workers.model.chat import SPENT, Spent

log = logging.getLogger("echoic.learn")


@dataclass(slots=True)
class LearnReport:
    """What came of a user's open turns."""

    batches: int = 0
    turns: int = 0
    facts: int = 0
    closed: int = 0
    dead: int = 0
    failed: bool = False
    """A batch failed, and may be tried again after a while."""
    busy: bool = False
    """Another worker is learning this user; it will take the open turns."""

    def add(self, later: "LearnReport") -> None:
        """Sum up; how the last one ended counts."""
        for name in ("batches", "turns", "facts", "closed", "dead"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.failed, self.busy = later.failed, later.busy


@dataclass(frozen=True, slots=True)
class Learned:
    """What a batch came to, before it is committed."""

    turns: Sequence[Turn]
    extraction: Extraction
    vectors: Vector
    profile: ProfileSettings
    spent: Spent


class Learner:
    """Learns one user at a time.

    The lock lives on the very connection that commits: a lost connection cannot commit.
    """

    def __init__(self, memory: Memory, extractor: Extractor) -> None:
        self._memory, self._extractor, self._attempts = memory, extractor, Attempts("learn")

    async def learn(
        self, user_id: str, *, hurry: bool = False, most_batches: float = math.inf
    ) -> LearnReport:
        """Learn the turns that are open now, batch by batch; what is said meanwhile is left for the next
        time.

        Args:
            hurry: a batch that failed before need not wait before it is tried again.
            most_batches: after so many the rest is left too.

        Raises:
            StoreUnavailable, ModelUnavailable: the turns stay open, nothing is counted; try again later.
        """
        report = LearnReport()
        try:
            async with locked(self._memory.db, user_id, LEARNING) as connection:
                if connection is None:
                    return LearnReport(busy=True)
                waiting = await batches.open_turns(self._memory.db, user_id)
                taken = tries = 0
                while taken < waiting and tries < most_batches and not report.failed:
                    tries += 1
                    learned = await self._next(connection, user_id, report, hurry)
                    if not learned:
                        break
                    taken += learned
        except UNAVAILABLE as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return report

    async def _next(
        self, connection: asyncpg.Connection, user_id: str, report: LearnReport, hurry: bool
    ) -> int:
        """Learn one batch; how many turns it held, 0 if there is none to learn now."""
        before = await within(connection, batches.running(connection, user_id, "learn", hurry=hurry))
        if before is not None and before.waits:
            report.failed = True
            return 0
        if before is not None and await self._attempts.gave_up(connection, user_id, before, report):
            return len(before.ids)
        begun = await within(connection, self._begin(connection, user_id, before))
        if begun is None:
            return 0
        batch, turns = begun
        work = self._learn_batch(connection, user_id, batch, turns, report)
        await self._attempts.run(connection, user_id, batch, work, report)
        return max(len(turns), 1)

    async def _begin(
        self, connection: asyncpg.Connection, user_id: str, before: Batch | None
    ) -> tuple[Batch, list[Turn]] | None:
        """Take a batch, committed before any model is called."""
        settings = self._memory.settings
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), user_id)
            if before is not None:
                ids = list(before.ids)
            else:
                ids = await batches.oldest_of_one_call(
                    connection, user_id, settings.learn_turns, settings.learn_tokens
                )
                if not ids:
                    return None
            batch = await batches.begin(connection, user_id, "learn", ids, before)
            return batch, await batches.turns_of(connection, user_id, ids)

    async def _learn_batch(
        self,
        connection: asyncpg.Connection,
        user_id: str,
        batch: Batch,
        turns: Sequence[Turn],
        report: LearnReport,
    ) -> bool:
        """Whether a model was asked."""
        SPENT.set(spent := Spent())
        file = self._memory.settings.profile_file
        profile = await within(connection, read_profile(connection, file))
        extraction, vectors = await self._extract(turns, profile)
        if extraction.unread and batch.failures + 1 < MOST_FAILURES:
            raise ModelAnswerInvalid(next(iter(extraction.unread.values())))
        learned = Learned(turns, extraction, vectors, profile, spent)
        await within(connection, self._commit(connection, user_id, batch, learned, report))
        return not says_nothing(turns)

    async def _extract(self, turns: Sequence[Turn], profile: ProfileSettings) -> tuple[Extraction, Vector]:
        extraction = Extraction()
        if not says_nothing(turns):
            known, embedder = partial(known_facts, self._memory), self._memory.embedder
            extraction = await self._extractor.extract(turns, known, profile, embedder)
        return await only_new(self._memory, turns, extraction)

    async def _commit(
        self,
        connection: asyncpg.Connection,
        user_id: str,
        batch: Batch,
        learned: Learned,
        report: LearnReport,
    ) -> None:
        """All changes, ledger and turn states in one transaction; nothing of it if the person was erased
        meanwhile."""
        facts, closed = self._memory.facts, 0
        turns = learned.turns
        async with connection.transaction():
            await connection.execute(query("lock_user_shared"), user_id)
            if await batches.is_void(connection, user_id, turns):
                await batches.drop(connection, user_id, batch.batch_id)
                return
            extraction = await in_order(connection, user_id, learned.extraction)
            new = [labelled(fact, turns) for fact in extraction.facts]
            await facts.add(connection, new, learned.vectors, batch_id=batch.batch_id)
            for one in extraction.endings:
                ends = (user_id, one.fact_id, one.ended_at)
                closed += await facts.end(
                    connection, *ends, batch_id=batch.batch_id, by=one.by, said_at=one.said_at
                )
            for again in extraction.confirmed:
                said = (user_id, again.fact_id, again.evidence)
                await facts.confirm(connection, *said, batch_id=batch.batch_id, until=again.until)
            await self._file(connection, user_id, batch, learned)
            ended = [one.fact_id for one in extraction.endings]
            ended += [again.fact_id for again in extraction.confirmed if again.until]
            await graph_ledger.mark_due(connection, user_id, turns[0].agent_id, ended)
            spent = (learned.spent.tokens_in, learned.spent.tokens_out)
            await batches.finish(connection, user_id, batch.batch_id, len(extraction.facts), *spent)
            if extraction.unread:
                why = next(iter(extraction.unread.values()))
                await batches.give_up(connection, user_id, list(extraction.unread), why)
            if extraction.facts or ended:
                await notify(connection, user_id)
        report.dead += bool(extraction.unread)
        report.batches, report.turns = report.batches + 1, report.turns + len(turns)
        report.facts, report.closed = report.facts + len(extraction.facts), report.closed + closed
        counts = {"turns": len(turns), "facts": len(extraction.facts), "closed": closed}
        counts |= {"unread": len(extraction.unread)} if extraction.unread else {}
        refused = {reason.replace(" ", "_"): count for reason, count in extraction.refused.items()}
        log.info("learn.done", extra={"batch_id": str(batch.batch_id), **counts, "refused": refused})

    async def _file(
        self, connection: asyncpg.Connection, user_id: str, batch: Batch, learned: Learned
    ) -> None:
        """What was learned is an event; a topic that has too many slots now is reorganised."""
        extraction, batch_id = learned.extraction, batch.batch_id
        if extraction.facts or extraction.endings or extraction.confirmed:
            await note_episode(connection, user_id, batch_id, learned.turns, extraction.tags)
        if topics := {fact.topic for fact in extraction.facts if fact.sub_topic}:
            now = self._memory.now()
            await reorganise(connection, user_id, topics, learned.profile, now, batch_id=batch_id)


def labelled(fact: Fact, turns: Sequence[Turn]) -> Fact:
    """The fact with the labels of the turns that it was learned from; it ends when one of them says so."""
    labels: dict[str, Any] = {}
    for turn in turns:
        if turn.labels and turn.turn_id in fact.turn_ids:
            labels |= json.loads(turn.labels)
    if not labels:
        return fact
    ends = [when for when in (fact.valid_until, _moment(labels.get("valid_until"))) if when]
    return replace(fact, labels=labels, valid_until=min(ends, default=None))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
