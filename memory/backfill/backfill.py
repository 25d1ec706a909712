"""What an export holds, put where it had been put if it had been said here then; once, however often."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from uuid import UUID, uuid5

from echoic.memory.backfill.entries import Conversation, Entry, LeftOut, Refused, Statement
from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.ledger import mark_due
from echoic.memory.identity.ids import storable
from echoic.memory.service import Memory
from echoic.memory.store.consent import keeps
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.secrets import hide_in_turn, hide_secrets
from echoic.memory.text.words import capped, clean
from echoic.memory.types import Fact, Role, Turn

FACT_NAMESPACE = UUID("3a0c5b0e-8f6c-4d5e-9a43-5f3d6c0b7e21")
BY_WHOM = "import"
IMPORTANCE = 0.5
"""Of a fact whose source weighs none."""
AT_ONCE = 64
"""Turns, or facts, of one transaction: an erasure of their person waits for it."""
STORE_S = 60.0
STOPPED = "its person does not want to be remembered, or has not been asked (ECHOIC_CONSENT)"
VOID = "it was forgotten, or its person was erased, since it was said"


@dataclass(slots=True)
class Imported:
    """What came of a file."""

    turns: int = 0
    facts: int = 0
    known: int = 0
    """Turns and facts that were there before."""
    left_out: int = 0
    """Parts that nobody said: prompts, tool calls, silence."""
    refused: Counter[str] = field(default_factory=Counter)
    """Why, and how many."""
    seconds: float = 0.0


class Backfill:
    """Stores conversations and facts with their dates. Stopped at any moment and begun again, each is there
    once.

    Nothing comes back by it: what was said before its person was erased, what they had forgotten, and
    everything of somebody who does not want to be remembered is refused.
    """

    def __init__(self, memory: Memory, agent_id: str, on_refused: Callable[[Refused], None]) -> None:
        """
        Args:
            agent_id: who keeps the facts.
            on_refused: told each record that is not taken, with the reason.
        """
        self._memory, self._agent_id, self._on_refused = memory, agent_id, on_refused
        self.report = Imported()

    async def run(
        self, entries: Sequence[Entry], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Imported:
        """Store them, and tell how many turns and facts are done of how many.

        Raises:
            StoreUnavailable, ModelUnavailable: what was done so far stays; the same again does the rest.
        """
        began, done, total = time.monotonic(), 0, sum(map(_size, entries))
        for _, run in groupby(entries, key=lambda one: (type(one), getattr(one, "user_id", ""))):
            several = list(run)
            for start in range(0, len(several), AT_ONCE):
                part = several[start : start + AT_ONCE]
                await self._store(part)
                done += sum(map(_size, part))
                on_progress(done, total)
        self.report.seconds = time.monotonic() - began
        return self.report

    async def _store(self, part: Sequence[Entry]) -> None:
        for one in part:
            if isinstance(one, Conversation):
                await self._store_conversation(one)
            elif isinstance(one, Refused):
                self._refuse(one)
            elif isinstance(one, LeftOut):
                self.report.left_out += one.parts
        if statements := [one for one in part if isinstance(one, Statement)]:
            await self._store_statements(statements)

    def _refuse(self, one: Refused) -> None:
        self.report.refused[one.reason] += 1
        self._on_refused(one)

    async def _may_keep(self, user_id: str) -> bool:
        return keeps(self._memory.settings.consent, await self._memory.consents.read(user_id))

    async def _store_conversation(self, one: Conversation) -> None:
        user_id = one.user_id
        if not await self._may_keep(user_id):
            self._refuse(Refused(STOPPED, asdict(one)))
            return
        turns = _turns(one, self._memory.settings.mask_secrets)
        for start in range(0, len(turns), AT_ONCE):
            part = turns[start : start + AT_ONCE]
            new, stored = await self._memory.turns.record_past(part, timeout_s=STORE_S)
            self.report.turns += new
            self.report.known += len(stored) - new
            for turn in part:
                if turn.turn_id not in stored:
                    said = {"role": turn.role, "text": turn.text, "said_at": turn.said_at}
                    self._refuse(Refused(VOID, {"user_id": user_id, "call_id": turn.call_id, **said}))

    async def _store_statements(self, statements: Sequence[Statement]) -> None:
        """Of one person. Embedded only if new: that takes the time."""
        memory, user_id = self._memory, statements[0].user_id
        if not await self._may_keep(user_id):
            for one in statements:
                self._refuse(Refused(STOPPED, asdict(one)))
            return
        facts = {fact.fact_id: (fact, one.own_id) for one in statements for fact in [self._fact(one)]}
        args = query("ids_known"), user_id, [*facts, *(own for _, own in facts.values() if own)]
        known = {row["id"] for row in await memory.db.run(lambda connection: connection.fetch(*args))}
        new = [fact for fact, own in facts.values() if known.isdisjoint({fact.fact_id, own})]
        self.report.known += len(statements) - len(new)
        if not new:
            return
        vectors = await memory.embedder.embed_batch([one.text for one in new])
        put = partial(self._put, facts=new, vectors=vectors)
        reasons = await memory.db.transaction(put, timeout_s=STORE_S)
        self.report.facts += len(new) - len(reasons)
        for fact, reason in reasons:
            said = {"memory": fact.text, "created_at": fact.said_at}
            self._refuse(Refused(reason, {"user_id": user_id, **said}))

    async def _put(
        self, connection: Connection, *, facts: Sequence[Fact], vectors: Vector
    ) -> list[tuple[Fact, str]]:
        user_id = facts[0].user_id
        await connection.execute(query("lock_user_shared"), user_id)
        if await connection.fetchval(query("is_stopped"), user_id):
            return [(fact, STOPPED) for fact in facts]
        args = query("ids_known"), user_id, [fact.fact_id for fact in facts]
        meanwhile = {row["id"] for row in await connection.fetch(*args)}
        kept, void = [], []
        erased_at = await connection.fetchval(query("erased_at"), user_id)
        for place, fact in enumerate(facts):
            if erased_at is not None and fact.said_at <= erased_at:
                void.append((fact, VOID))
            elif fact.fact_id not in meanwhile:
                kept.append(place)
        own = [facts[place] for place in kept]
        await self._memory.facts.add(connection, own, vectors[kept], by_whom=BY_WHOM)
        await mark_due(connection, user_id, self._agent_id)
        await notify(connection, user_id)
        return void

    def _fact(self, one: Statement) -> Fact:
        """Whose fact it is, and on which words it rests, its source did not say."""
        text = capped(clean(one.text))
        return Fact(
            uuid5(FACT_NAMESPACE, json.dumps([one.user_id, clean(one.name)])),
            one.user_id,
            hide_secrets(text) if self._memory.settings.mask_secrets else text,
            clean(one.topic),
            IMPORTANCE,
            "user",
            self._agent_id,
            one.said_at,
            valid_until=one.valid_until,
            about=None,
        )


def _turns(one: Conversation, mask_secrets: bool) -> list[Turn]:
    """Each has the same id whenever it is imported: by its source's name for it, or by its words and time."""
    call_id, alike, last_said = storable(one.call_id), Counter[str](), dict[Role, str]()
    turns = []
    for position, said in enumerate(one.said):
        named = [said.name] if said.name else [said.role, said.text, said.said_at.isoformat()]
        key = json.dumps([one.user_id, one.agent_id, *named])
        alike[key] += 1
        name = hashlib.sha256(f"{key}{alike[key]}".encode(errors="surrogatepass")).hexdigest()
        text = capped(clean(said.text))
        turns.append(
            Turn(
                turn_id_for(call_id, f"{BY_WHOM}:{name}"),
                one.user_id,
                one.agent_id,
                call_id,
                position,
                said.role,
                hide_in_turn(said.role, text, last_said) if mask_secrets else text,
                said.said_at,
                heard_at=said.said_at,
            )
        )
    return turns


def _size(one: Entry) -> int:
    return len(one.said) if isinstance(one, Conversation) else int(isinstance(one, Statement))
