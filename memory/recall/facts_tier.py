"""Tier 2: facts and verbatim turns of one caller, found by meaning and by words; held in process while that
is fresh."""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.embedding.spaces import Vector
from echoic.memory.errors import MemoryFault, StoreUnavailable
from echoic.memory.recall.call_corpus import CallCorpus, load_corpus
from echoic.memory.recall.pending import Question
from echoic.memory.recall.postgres_search import search_postgres
from echoic.memory.store.database import Database
from echoic.memory.store.versions import Version, Versions
from echoic.memory.text.dates.days import asked_days
from echoic.memory.text.forms import asked_forms
from echoic.memory.text.words import asked_terms
from echoic.memory.types import FACTS_TIER, Caller, CallKey, Item, Turn

log = logging.getLogger("echoic.search")

FOUND = 40
"""Items handed on: more than any block holds, so that what stands in the context already can be left out."""
MAX_TERMS = 48
"""Distinct terms looked up of one question; a monologue's first words are not its question."""
CHANGES_PAUSE_S = 0.25
"""Between two readings of a memory that goes on changing: a batch is learned, a file is taken over."""
DEAF_PATIENCE_S = 0.05
"""How long Postgres may take for a question while its notices are not heard; then what is held answers, as
old as the silence."""


@dataclass(slots=True)
class Hold:
    """What is held for one call."""

    caller: Caller
    version: Version | None = None
    memory: CallCorpus | None = None
    too_large: bool = False
    said: dict[UUID, Turn] = field(default_factory=dict)
    vectors: dict[UUID, Vector] = field(default_factory=dict)
    reading: asyncio.Task[None] | None = None


class HybridSearch:
    """The tier named `facts`: what was learned and what was said, for one question."""

    name = FACTS_TIER

    def __init__(self, db: Database, versions: Versions) -> None:
        self._db, self._versions = db, versions
        self._holds: dict[CallKey, Hold] = {}

    async def search(self, question: Question) -> list[Item]:
        """The best items for the question, best first.

        Without a vector (the embedder fails or is too slow) by words alone.

        Raises:
            StoreUnavailable: Postgres did not answer, and nothing is held.
        """
        caller, now, past = question.caller, question.now, question.past
        asked = list(dict.fromkeys(asked_terms(question.text)))[-MAX_TERMS:]
        asked += asked_forms(question.text, asked)
        asked += asked_days(question.text, now, ZoneInfo(caller.timezone))
        hold = self._holds.get(caller.key)
        deaf = hold is not None and hold.memory is not None and not self._versions.hears
        if hold is None or not self._fresh(hold):
            in_postgres = asyncio.create_task(
                search_postgres(
                    self._db,
                    caller,
                    asked,
                    question.vector,
                    past=past,
                    now=now,
                    limit=FOUND,
                    timeout_s=DEAF_PATIENCE_S if deaf else None,
                ),
                name="search.postgres",
            )
            try:
                if hold is None or not await self._read_first(hold, in_postgres):
                    return await in_postgres
            except StoreUnavailable:
                if not deaf or hold is None or hold.memory is None:
                    raise
            finally:
                in_postgres.cancel()
        assert hold is not None and hold.memory is not None
        return await hold.memory.search(
            asked, question.text, question.vector, past=past, now=now, limit=FOUND
        )

    def answers_from_here(self, caller: Caller) -> bool:
        """Whether what is held answers this caller, so that no question of theirs needs Postgres."""
        hold = self._holds.get(caller.key)
        return (
            hold is not None and hold.memory is not None and (self._fresh(hold) or not self._versions.hears)
        )

    def may_hold_other_languages(self, caller: Caller) -> bool:
        """Whether this caller's memory may have words of another language than English; True until it is
        held."""
        hold = self._holds.get(caller.key)
        return hold is None or hold.memory is None or hold.memory.kinds.other_languages

    def hold(self, caller: Caller) -> None:
        """A call begins, or knows more ids of its caller: read their memory in the background; until that is
        done, questions go to Postgres too."""
        self.drop(caller)
        hold = self._holds[caller.key] = Hold(caller)
        self._read_again(hold)

    async def wait_held(self, call_id: str) -> None:
        """Return when nothing is being read for calls of this name."""
        holds = [hold for hold in self._holds.values() if hold.caller.call_id == call_id]
        if reading := {hold.reading for hold in holds if hold.reading is not None}:
            await asyncio.wait(reading)

    def read_changed(self, user_id: str) -> None:
        """This user's memory has changed: read it now, and not when the next question waits."""
        for hold in self._holds.values():
            if user_id in hold.caller.ids and not self._fresh(hold):
                self._read_again(hold)

    def add(self, caller: Caller, turn: Turn) -> None:
        """A turn of the caller's call, if that is held, as it is said."""
        if (hold := self._holds.get(caller.key)) is not None:
            hold.said[turn.turn_id] = turn
            if hold.memory is not None:
                hold.memory.add(turn)

    def embedded(self, turn: Turn, vector: Vector) -> None:
        """Its vector, a little later."""
        for hold in self._holds.values():
            if turn.turn_id in hold.said:
                hold.vectors[turn.turn_id] = vector
                if hold.memory is not None:
                    hold.memory.embedded(turn.turn_id, vector)

    def forget(self, user_id: str) -> None:
        """The person was erased."""
        for hold in self._holds.values():
            if user_id in hold.caller.ids:
                self._let_go(hold)
            if user_id == hold.caller.user_id:
                hold.said.clear()
                hold.vectors.clear()

    def forget_items(self, user_id: str, ids: Collection[UUID]) -> None:
        """Some of what a person said or is known for is gone: read the rest anew, and until then ask
        Postgres."""
        for hold in self._holds.values():
            if user_id in hold.caller.ids:
                self._leave_out(hold, ids)

    def leave_out(self, caller: Caller, turn_id: UUID) -> None:
        """A turn of the caller's call that was added, and is kept nowhere."""
        if (hold := self._holds.get(caller.key)) is not None:
            self._leave_out(hold, [turn_id])

    def drop(self, caller: Caller) -> None:
        """Their call ended."""
        hold = self._holds.pop(caller.key, None)
        if hold is not None and hold.reading is not None:
            hold.reading.cancel()

    async def close(self) -> None:
        """Stop reading."""
        reading = [
            hold.reading
            for hold in self._holds.values()
            if hold.reading is not None and not hold.reading.done()
        ]
        self._holds.clear()
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading)

    def _fresh(self, hold: Hold) -> bool:
        return hold.memory is not None and hold.version == self._versions.of(hold.caller)

    def _leave_out(self, hold: Hold, ids: Collection[UUID]) -> None:
        self._let_go(hold)
        for turn_id in ids:
            hold.said.pop(turn_id, None)
            hold.vectors.pop(turn_id, None)

    def _let_go(self, hold: Hold) -> None:
        hold.memory = hold.version = None
        if hold.reading is not None:
            hold.reading.cancel()  # it may have read what is gone
            hold.reading = None

    def _read_again(self, hold: Hold) -> None:
        if not hold.too_large and (hold.reading is None or hold.reading.done()):
            hold.reading = asyncio.create_task(self._read_until_fresh(hold), name="search.hold")

    async def _read_first(self, hold: Hold, in_postgres: asyncio.Task[list[Item]]) -> bool:
        """Whether a memory was read before Postgres had the answer: on a busy machine this is a call's first
        moment, and what is read answers by its words however late the vector comes."""
        self._read_again(hold)
        if hold.reading is not None:
            await asyncio.wait({hold.reading, in_postgres}, return_when=asyncio.FIRST_COMPLETED)
        return not in_postgres.done() and self._fresh(hold)

    async def _read_until_fresh(self, hold: Hold) -> None:
        while await self._read(hold) and not self._fresh(hold):  # it changed while it was read
            await asyncio.sleep(CHANGES_PAUSE_S)

    async def _read(self, hold: Hold) -> bool:
        """Hold what this call may recall; False if it cannot be read, or is too large."""
        caller = hold.caller
        try:
            await self._versions.wait_heard()
            # before reading: what changes meanwhile makes it old
            version = self._versions.of(caller)
            memory = await load_corpus(self._db, caller)
        except MemoryFault as exc:
            log.info("search.not_held", extra={"error": type(exc).__name__})
            return False
        if memory is None:
            hold.too_large = True
            return False
        for turn in hold.said.values():
            if not memory.holds(turn.turn_id):
                memory.add(turn)
                if turn.turn_id in hold.vectors:
                    memory.embedded(turn.turn_id, hold.vectors[turn.turn_id])
        if self._holds.get(caller.key) is hold:
            hold.memory, hold.version = memory, version
        return True
