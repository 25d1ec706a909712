"""A hundred callers with 500 turns and 200 facts each, loaded in seconds.

A few hundred sentences are embedded; each row is one of them with a jittered vector, so that no two vectors
are equal and the store does the same work as with as many real ones.
"""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from echoic.memory.embedding.client import SharedEmbedder
from echoic.memory.embedding.embedder import Vector
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import payload_of
from echoic.memory.store.turns import counted
from echoic.memory.types import Caller, Fact
from evals.sample_words import answered, learned, said

USERS, TURNS, FACTS = 100, 500, 200
CALL_TURNS = 20
SENTENCES = {"user": (said, 200), "assistant": (answered, 80), "fact": (learned, 120)}
# Postgres copies the others from these: whose words they are does not change what a search costs
COMPOSED_USERS = 4
JITTER = 0.02  # per dimension: a cosine of 0.93 to the original, about that of a paraphrase
AGENT = "echoic"
LOAD_LIMIT_S = 300.0
TABLES = ("turns", "turn_index", "facts", "postings")

# $1 the user to copy $2 the new one $3 added to each ref; vectors: $4 jitter
COPIES = (
    """
        insert into turns (ref, turn_id, user_id, agent_id, call_id, position, role, text, said_at, state)
        select ref + $3::bigint, md5(turn_id::text || $2)::uuid, $2, agent_id, $2 || call_id, position,
            role, text, said_at, state
        from turns where user_id = $1""",
    """
        insert into turn_index (ref, user_id, agent_id, call_no, position, words, vector)
        select ref + $3::bigint, $2, agent_id, call_no + $3::bigint, position, words,
            l2_normalize(vector + $4::vector::halfvec)
        from turn_index where user_id = $1""",
    """
        insert into facts (ref, id, vector, payload, words, sources)
        select ref + $3::bigint, md5(id::text || $2)::uuid, l2_normalize(vector + $4::vector),
            payload || jsonb_build_object('user_id', $2::text), words,
            array(select source + $3::bigint from unnest(sources) source)
        from facts where user_id = $1""",
    """
        insert into postings (user_id, term, ref, tf)
        select $2, term, ref + $3::bigint, tf from postings where user_id = $1""",
)


def caller(number: int) -> Caller:
    """The bench's caller of that number, in a call that no stored turn belongs to."""
    return Caller(_user(number), AGENT, f"bench-{number:03}")


async def load(memory: Memory, seed: int = 7) -> None:
    """Fill an empty database with the bench's callers."""
    if isinstance(memory.embedder, SharedEmbedder):
        await memory.embedder.wait_ready()  # a question waits 0.1 s for a server that has just been joined
    jitter = np.random.default_rng(seed)
    pools = {kind: await _pool(memory, make(size), jitter) for kind, (make, size) in SENTENCES.items()}
    rows = _Rows(pools, random.Random(seed))
    for number in range(COMPOSED_USERS):
        rows.add_user(_user(number))
    await memory.db.transaction(rows.copy_in, timeout_s=LOAD_LIMIT_S)
    for number in range(COMPOSED_USERS, USERS):
        moved = jitter.normal(0, JITTER, memory.embedder.dimensions).astype(np.float32)
        await memory.db.transaction(partial(_copy_user, number=number, jitter=moved), timeout_s=LOAD_LIMIT_S)
    await memory.db.run(_tidy, timeout_s=LOAD_LIMIT_S)


def _user(number: int) -> str:
    return f"caller-{number:03}"


async def _pool(memory: Memory, texts: list[str], jitter: np.random.Generator) -> "_Pool":
    return _Pool(texts, np.stack(await asyncio.gather(*map(memory.embedder.embed, texts))), jitter)


async def _copy_user(connection: Connection, *, number: int, jitter: Vector) -> None:
    source, shift = number % COMPOSED_USERS, number // COMPOSED_USERS * COMPOSED_USERS * (TURNS + FACTS)
    for sql in COPIES:
        await connection.execute(sql, _user(source), _user(number), shift, *([jitter] if "$4" in sql else []))


async def _tidy(connection: Connection) -> None:
    await connection.execute(
        "select setval('memory_ref', (select max(ref) from turn_index) + (select max(ref) from facts))"
    )
    await connection.execute("vacuum (analyze)")  # what autovacuum does within a minute of such a load


class _Pool:
    """Sentences with their words counted, and vectors near theirs."""

    def __init__(self, texts: list[str], vectors: Vector, jitter: np.random.Generator) -> None:
        self.texts, self.counted = texts, [counted(text) for text in texts]
        self._vectors, self._jitter = vectors, jitter

    def near(self, at: int) -> Vector:
        """A unit vector near that of a sentence."""
        moved = self._vectors[at] + self._jitter.normal(0, JITTER, self._vectors.shape[1])
        return np.asarray(moved / np.linalg.norm(moved), np.float32)


class _Rows:
    """The rows of the composed users, then one COPY for each table."""

    def __init__(self, pools: dict[str, _Pool], choose: random.Random) -> None:
        self._pools, self._choose, self._refs, self._calls = pools, choose, count(1), count(1)
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}

    def add_user(self, user_id: str) -> None:
        began = datetime.now(UTC) - timedelta(days=90)
        turns = [
            turn
            for call in range(TURNS // CALL_TURNS)
            for turn in self._add_call(user_id, began + timedelta(days=3 * call))
        ]
        for number in range(FACTS):
            self._add_fact(user_id, turns[number * TURNS // FACTS], began)

    async def copy_in(self, connection: Connection) -> None:
        await self._copy(
            connection, "turns", "ref turn_id user_id agent_id call_id position role text said_at state"
        )
        await self._copy(connection, "turn_index", "ref user_id agent_id call_no position words vector")
        await self._copy(connection, "facts", "ref id vector payload words sources")
        await self._copy(connection, "postings", "user_id term ref tf")

    def _add_call(self, user_id: str, began: datetime) -> list[tuple[int, UUID]]:
        number = next(self._calls)
        return [
            self._add_turn(user_id, number, position, began + timedelta(seconds=9 * position))
            for position in range(CALL_TURNS)
        ]

    def _add_turn(self, user_id: str, call: int, position: int, said_at: datetime) -> tuple[int, UUID]:
        role = "assistant" if position % 2 else "user"
        ref, turn_id, at, pool = next(self._refs), self._id(), self._pick(role), self._pools[role]
        self._rows["turns"].append(
            (ref, turn_id, user_id, AGENT, f"call-{call}", position, role, pool.texts[at], said_at, "learned")
        )
        words = self._post(user_id, ref, pool, at)
        self._rows["turn_index"].append(
            (ref, user_id, AGENT, call, position, words, HalfVector(pool.near(at)))
        )
        return ref, turn_id

    def _add_fact(self, user_id: str, turn: tuple[int, UUID], said_at: datetime) -> None:
        ref, at, pool = next(self._refs), self._pick("fact"), self._pools["fact"]
        fact = Fact(
            self._id(),
            user_id,
            pool.texts[at],
            "life",
            self._choose.random(),
            "user",
            AGENT,
            said_at,
            turn_ids=(turn[1],),
        )
        words = self._post(user_id, ref, pool, at)
        self._rows["facts"].append(
            (ref, fact.fact_id, pool.near(at), json.dumps(payload_of(fact)), words, [turn[0]])
        )

    def _post(self, user_id: str, ref: int, pool: _Pool, at: int) -> int:
        words, found, counts = pool.counted[at]
        self._rows["postings"] += [(user_id, term, ref, tf) for term, tf in zip(found, counts, strict=True)]
        return words

    def _pick(self, kind: str) -> int:
        return self._choose.randrange(len(self._pools[kind].texts))

    def _id(self) -> UUID:
        return UUID(int=self._choose.getrandbits(128), version=4)

    async def _copy(self, connection: Connection, table: str, columns: str) -> None:
        await connection.copy_records_to_table(table, records=self._rows[table], columns=columns.split())
