"""Record and read turns; Postgres is the truth.

A turn can be found by its words as soon as its row is committed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from uuid import UUID, uuid4, uuid5

import asyncpg

from echoic.memory.clock import Clock, moment
from echoic.memory.embedding.embedder import Embedder, Vector, embed_each
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.text.dates.days import day_terms
from echoic.memory.text.secrets import hide_in_turn
from echoic.memory.text.words import capped, clean, terms
from echoic.memory.types import Caller, Role, Turn

log = logging.getLogger("echoic.turns")
TURN_NAMESPACE = UUID("7d0b2f6e-3c1a-4f0e-9b57-0a4ec1ec0e1c")
MAX_TF = 32_767  # smallint
MOST_TERMS = 2_000
"""Distinct terms of one text that are indexed: a row each, and ten minutes of speech have some hundred."""
LONG_CHARS = 2_000
"""A longer text is taken apart in a thread: 20,000 characters of new words take 0.2 s."""
STORED = "turn:"
PROBE = "echoic.probe"
"""Whose turn it is that only tries whether Postgres takes any; it is never committed."""


@lru_cache(maxsize=16_384)  # each question names every item of its call: a hundred hashes took 1 ms
def turn_id_for(call_id: str, item_id: str) -> UUID:
    """The turn's id: the same item of the same call gives the same id, so that recording it twice stores it
    once."""
    if item_id.startswith(STORED):
        return UUID(item_id.removeprefix(STORED))
    return uuid5(TURN_NAMESPACE, f"{call_id}\0{item_id}")


def foreign_item_id(item_id: str) -> str:
    """An id that another program gave an item: whatever it looks like, it is none of `stored_item_id`."""
    return f"their {item_id}" if item_id.startswith(STORED) else item_id


def stored_item_id(turn_id: UUID) -> str:
    """An item id for a turn that another process recorded; `turn_id_for` gives the turn's own id for it, in
    any call."""
    return f"{STORED}{turn_id}"


Turns = list[Turn]  # inside the class, `list` is a method


class TurnStore:
    """The verbatim turns of every caller."""

    def __init__(self, db: Database, embedder: Embedder) -> None:
        self._db, self._embedder = db, embedder

    async def record(self, turn: Turn, *, timeout_s: float | None = None) -> bool:
        """Commit one turn with its words; True when it is new, False when it stood there, or is void because
        its person was erased, or had said no, after it was said: see `stands`.

        Raises:
            StoreUnavailable: not committed in time. It may still commit later; recording it again stores it
                once.
            StoreRefused: Postgres answers, and will not have it.
        """
        text = capped(clean(turn.text))
        if len(text) > LONG_CHARS:
            words = await asyncio.to_thread(counted, text)
        else:
            words = counted(text)
        insert = partial(_insert, turn=turn, text=text, words=words, clock=self._db.clock)
        return await self._db.transaction(insert, timeout_s=timeout_s)

    async def record_past(self, turns: Sequence[Turn], *, timeout_s: float) -> tuple[int, set[UUID]]:
        """Commit turns of one person from long ago, all or none: how many are new, and which are stored now.
        Those that are not are void: see `stands`.

        They are embedded and learned by a worker, after what people say now.

        Raises:
            StoreUnavailable, StoreRefused: none of them is committed by this.
        """

        user_id, ids = turns[0].user_id, [one.turn_id for one in turns]
        words = {one.text: counted(one.text) for one in turns}

        async def put(connection: Connection) -> tuple[int, set[UUID]]:
            timed = map(self._db.clock.timed, turns)
            rows = {one.turn_id: _values(one, one.text, words[one.text]) for one in timed}
            await connection.execute(query("lock_user_shared"), user_id)
            before = await _owned(connection, user_id, ids)
            new = [rows[turn_id] for turn_id in ids if turn_id not in before]
            await connection.executemany(query("insert_turn"), new)
            stored = await _owned(connection, user_id, ids) if new else before
            if stored != before:
                await connection.execute(query("notify"), user_id, "")
            return len(stored) - len(before), stored

        return await self._db.transaction(put, timeout_s=timeout_s)

    async def known(self, user_id: str, turn_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these turns that are stored, or were forgotten.

        Raises:
            StoreUnavailable: Postgres does not answer.
        """
        rows = await self._db.run(
            lambda connection: connection.fetch(query("known_turns"), user_id, turn_ids)
        )
        return {row["id"] for row in rows}

    async def stands(self, turn: Turn) -> bool:
        """Whether the turn is kept: one that `record` did not find new may be void."""
        args = turn.user_id, [turn.turn_id]
        return bool(
            await self._db.run(lambda connection: connection.fetchval(query("count_batch_turns"), *args))
        )

    async def was_refused(self, turn: Turn) -> bool:
        """Whether the turn is void because its person had said no, and for nothing else."""
        args = turn.user_id, turn.heard_at or turn.said_at, turn.turn_id
        return bool(await self._db.run(lambda connection: connection.fetchval(query("was_refused"), *args)))

    async def takes_others(self, user_id: str) -> bool:
        """Whether Postgres takes turns, though not the one that was tried: it is given one of nobody's, and
        that is taken back.

        False: it does, but somebody has this user's memory locked at this moment.

        Raises:
            StoreUnavailable, SchemaMismatch, StoreRefused: it takes none.
        """
        return await self._db.run(partial(_rehearse, user_id=user_id, clock=self._db.clock))

    async def embed_turn(self, turn: Turn) -> Vector:
        """Give a recorded turn its vector, and return it; until then it is found by its words alone."""
        (vector,) = await self._embedder.embed_batch([clean(turn.text)])  # a batch of one: questions go first
        await self._db.run(
            lambda connection: connection.execute(
                query("set_turn_vector_by_id"), turn.user_id, turn.turn_id, vector
            )
        )
        return vector

    async def index_missing(self, limit: int = 64) -> int:
        """Embed turns that have no vector yet, oldest first; returns how many were looked at.

        For workers: after a crash or an outage. A text that is refused while others are not is passed by, and
        given up after three times: its turn is found by its words alone.

        Raises:
            StoreUnavailable, ModelUnavailable: try again later; nothing is lost.
        """
        rows = await self._db.run(lambda connection: connection.fetch(query("turns_without_vector"), limit))
        vectors = await embed_each(self._embedder, [row["text"] for row in rows])
        both = [(row["user_id"], row["ref"], vector) for row, vector in zip(rows, vectors, strict=True)]
        values = [one for one in both if one[2] is not None]
        refused = [(user_id, ref) for user_id, ref, vector in both if vector is None]
        if values:
            await self._db.run(lambda connection: connection.executemany(query("set_turn_vector"), values))
        if refused:
            await self._db.run(lambda connection: connection.executemany(query("text_refused"), refused))
        return len(rows)

    async def list(self, user_id: str) -> Turns:
        """Every turn of a user, oldest first."""
        rows = await self._db.run(lambda connection: connection.fetch(query("list_turns"), user_id))
        return [_turn(row) for row in rows]

    async def each(self, user_id: str) -> AsyncIterator[Turn]:
        """As `list`, however many there are: a page of them is in memory at a time."""
        async with self._db.snapshot() as snapshot:
            async for row in snapshot.rows(query("list_turns"), user_id):
                yield _turn(row)

    async def naming(self, caller: Caller, pattern: str | None) -> Turns:
        """The turns with this agent in which the pattern stands, and what was said next; None: all."""
        args = caller.user_id, caller.agent_id, pattern
        rows = await self._db.run(lambda connection: connection.fetch(query("turns_naming"), *args))
        return await asyncio.to_thread(lambda: [_turn(row) for row in rows])

    async def before(self, caller: Caller, limit: int) -> Turns:
        """The last `limit` turns between this caller and this agent in earlier calls, oldest first."""
        return await self._last("turns_before", caller, limit)

    async def of_call(self, caller: Caller, limit: int) -> Turns:
        """The last `limit` turns of this very call, oldest first: not empty when another process began it."""
        return await self._last("turns_of_call", caller, limit)

    async def _last(self, name: str, caller: Caller, limit: int) -> Turns:
        whose = caller.ids if name == "turns_before" else caller.user_id
        args = (whose, caller.agent_id, caller.call_id, limit)
        rows = await self._db.run(lambda connection: connection.fetch(query(name), *args))
        return [_turn(row) for row in reversed(rows)]


Words = tuple[int, list[str], list[int]]


@lru_cache(maxsize=4)  # a turn is counted for what its call holds, and for its row
def counted(text: str) -> Words:
    """Length in terms, the distinct terms, and how often each stands there: what BM25 needs of a text.

    The first `MOST_TERMS` distinct ones count; a text that says more is found by these, and by its meaning.
    """
    found = Counter(terms(text))
    kept = list(found)[:MOST_TERMS]
    return sum(found.values()), kept, [min(found[term], MAX_TF) for term in kept]


async def kept_words(role: Role, text: str, last_said: dict[Role, str] | None) -> str:
    """What is said, as it is stored; whatever takes long of a long text is done here, in a thread.

    Args:
        last_said: by each side, for the secrets that are asked for; None: secrets are kept.
    """
    keep = partial(_kept_words, role, text, last_said)
    return await asyncio.to_thread(keep) if len(text) > LONG_CHARS else keep()


def _kept_words(role: Role, text: str, last_said: dict[Role, str] | None) -> str:
    kept = capped(clean(text))
    kept = kept if last_said is None else hide_in_turn(role, kept, last_said)
    counted(kept)
    return kept


async def _insert(connection: Connection, *, turn: Turn, text: str, words: Words, clock: Clock) -> bool:
    values = _values(clock.timed(turn), text, words)
    await connection.execute(query("lock_user_shared"), turn.user_id)
    asked_s = moment()
    row = await connection.fetchrow(query("insert_turn"), *values)
    clock.set(row["now"], asked_s)
    if row["ref"] is not None:
        await connection.execute(query("notify"), turn.user_id, turn.call_id)
    return row["ref"] is not None


def _values(turn: Turn, text: str, words: Words) -> tuple[object, ...]:
    """What `insert_turn` takes."""
    length, found, counts = words
    days = day_terms(turn.said_at)
    return (
        *(turn.user_id, turn.agent_id, turn.call_id, turn.turn_id, turn.position, turn.role),
        *(text, turn.said_at, turn.interrupted, length, found + days, counts + [1] * len(days)),
        *(turn.timezone, turn.heard_at or turn.said_at, turn.recall, turn.labels),
    )


async def _owned(connection: Connection, user_id: str, ids: Sequence[UUID]) -> set[UUID]:
    return {row["id"] for row in await connection.fetch(query("owned"), user_id, ids)}


async def _rehearse(connection: Connection, *, user_id: str, clock: Clock) -> bool:
    now = datetime.now(UTC)
    turn = Turn(uuid4(), PROBE, PROBE, PROBE, 0, "user", "probe", now)
    rehearsal = connection.transaction()
    await rehearsal.start()
    try:
        await _insert(connection, turn=turn, text=turn.text, words=counted(turn.text), clock=clock)
    finally:
        await rehearsal.rollback()
    try:
        return bool(await connection.fetchval(query("try_lock_user_shared"), user_id))
    except asyncpg.PostgresError:
        return True  # an id that Postgres cannot even lock


def _turn(row: asyncpg.Record) -> Turn:
    return Turn(**dict(row))
