"""Record and read turns; Postgres is the truth.

A turn can be found by its words as soon as its row is committed.
"""

from collections import Counter
from functools import lru_cache
from uuid import UUID, uuid5

import asyncpg

from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.text.days import day_terms
from echoic.memory.text.words import clean, terms
from echoic.memory.types import Caller, Turn

TURN_NAMESPACE = UUID("7d0b2f6e-3c1a-4f0e-9b57-0a4ec1ec0e1c")
MAX_TF = 32_767  # smallint
STORED = "turn:"


@lru_cache(maxsize=16_384)  # each question names every item of its call: a hundred hashes took 1 ms
def turn_id_for(call_id: str, item_id: str) -> UUID:
    """The turn's id: the same item of the same call gives the same id, so that recording it twice stores it
    once."""
    if item_id.startswith(STORED):
        return UUID(item_id.removeprefix(STORED))
    return uuid5(TURN_NAMESPACE, f"{call_id}\0{item_id}")


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
        """Commit one turn with its words; True when it is new, False when it stood there or its person was
        erased since.

        Raises:
            StoreUnavailable: not committed in time. It may still commit later; recording it again stores it
                once.
        """
        return await self._db.transaction(lambda connection: _insert(connection, turn), timeout_s=timeout_s)

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
        """Embed turns that have no vector yet, oldest first; returns how many.

        For workers: after a crash or an outage.

        Raises:
            StoreUnavailable, ModelUnavailable: try again later; nothing is lost.
        """
        rows = await self._db.run(lambda connection: connection.fetch(query("turns_without_vector"), limit))
        vectors = await self._embedder.embed_batch([row["text"] for row in rows])
        values = [(row["user_id"], row["ref"], vector) for row, vector in zip(rows, vectors, strict=True)]
        if values:
            await self._db.run(lambda connection: connection.executemany(query("set_turn_vector"), values))
        return len(values)

    async def list(self, user_id: str) -> Turns:
        """Every turn of a user, oldest first."""
        rows = await self._db.run(lambda connection: connection.fetch(query("list_turns"), user_id))
        return [_turn(row) for row in rows]

    async def before(self, caller: Caller, limit: int) -> Turns:
        """The last `limit` turns between this caller and this agent in earlier calls, oldest first."""
        return await self._last("turns_before", caller, limit)

    async def of_call(self, caller: Caller, limit: int) -> Turns:
        """The last `limit` turns of this very call, oldest first: not empty when another process began it."""
        return await self._last("turns_of_call", caller, limit)

    async def _last(self, name: str, caller: Caller, limit: int) -> Turns:
        args = (caller.user_id, caller.agent_id, caller.call_id, limit)
        rows = await self._db.run(lambda connection: connection.fetch(query(name), *args))
        return [_turn(row) for row in reversed(rows)]


def counted(text: str) -> tuple[int, list[str], list[int]]:
    """Length in terms, the distinct terms, and how often each stands there: what BM25 needs of a text."""
    found = Counter(terms(text))
    return sum(found.values()), list(found), [min(count, MAX_TF) for count in found.values()]


async def _insert(connection: Connection, turn: Turn) -> bool:
    text = clean(turn.text)
    words, found, counts = counted(text)
    days = day_terms(turn.said_at)
    await connection.execute(query("lock_user_shared"), turn.user_id)
    ref = await connection.fetchval(
        query("insert_turn"),
        *(turn.user_id, turn.agent_id, turn.call_id, turn.turn_id, turn.position, turn.role),
        *(text, turn.said_at, turn.interrupted, words, found + days, counts + [1] * len(days)),
    )
    if ref is not None:
        await connection.execute(query("notify"), turn.user_id, turn.call_id)
    return ref is not None


def _turn(row: asyncpg.Record) -> Turn:
    return Turn(**dict(row))
