"""Tier 2 of one call, held in process: read once when the call begins, then each question costs no trip to
any store.

200 facts and 500 turns take 1 MB and are read in some 15 ms, while the caller is being greeted. Turns of this
call are added as they are said; any other change of this user's memory makes it old
(memory/store/versions.py), and it is read again at once.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import asyncpg
import numpy as np

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.embedding.spaces import ENGLISH, OTHERS, Vector, kinds_of, within
from echoic.memory.recall.postgres_search import (
    Over,
    dated,
    ended_turns,
    in_order,
    item_of,
    sources_of,
    unpack_int32,
    unpack_int64,
    with_later,
)
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.ranking import Corpus, Floats, Ints, Postings, Ranked, Ranking
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.store.turns import counted
from echoic.memory.text.dates.days import day_terms, stored_terms
from echoic.memory.text.forms import StoredForms, is_form
from echoic.memory.text.sounds import Sounds
from echoic.memory.text.words import runs
from echoic.memory.types import FACTS_TIER, Caller, Item, Turn

HELD_ROWS = 3_000
"""Turns and facts of one caller that are held, 5 MB; a larger memory is asked in Postgres, question by
question."""
RARE = 3
"""Places where a term may be said to be looked up by sound: what is said oftener is no name, or is known."""
PAIR_BYTES = 16
"""A posting: reference and count."""
ROOM = 64
"""Turns for which the matrix grows at a time."""


async def load_corpus(db: Database, caller: Caller) -> "CallCorpus | None":
    """Everything that this caller's agent may recall; None if that is more than HELD_ROWS.

    Raises:
        StoreUnavailable: Postgres did not answer.
    """

    async def read(connection: Connection) -> "CallCorpus | None":
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await load(connection)

    async def load(connection: Connection) -> "CallCorpus | None":
        if await connection.fetchval(query("is_larger"), caller.ids, caller.agent_id, HELD_ROWS):
            return None
        packed = await connection.fetchrow(query("hold_arrays"), caller.ids, caller.agent_id, caller.call_id)
        postings = await connection.fetch(query("hold_postings"), caller.ids)
        return CallCorpus(
            packed, postings, await connection.fetch(query("hold_items"), caller.ids, caller.agent_id)
        )

    return await db.run(read)


class CallCorpus:
    """One caller's turns and facts as arrays. Not for threads: belongs to the event loop."""

    def __init__(
        self, packed: asyncpg.Record, postings: Iterable[asyncpg.Record], rows: Iterable[asyncpg.Record]
    ) -> None:
        self._rows = {row["ref"]: row for row in rows}
        self._items: dict[int, Item] = {}
        self._call_no: int = packed["call_no"]
        self._turn_refs, self._turn_calls = (
            unpack_int64(packed["turn_refs"]),
            unpack_int64(packed["turn_calls"]),
        )
        self._turn_positions, self._turn_words = (
            unpack_int32(packed["turn_positions"]),
            unpack_int32(packed["turn_words"]),
        )
        self._turn_vectors = _placed(
            packed["turn_vectors"], unpack_int64(packed["embedded_refs"]), self._turn_refs
        )
        self._fact_refs, self._fact_words, self._fact_sources = (
            unpack_int64(packed["fact_refs"]),
            unpack_int32(packed["fact_words"]),
            sources_of(packed),
        )
        self._fact_until = np.frombuffer(packed["fact_until"] or b"", ">f8").astype(np.float64)
        self._fact_vectors = _placed(packed["fact_vectors"], self._fact_refs, self._fact_refs)
        self.kinds = kinds_of(self._turn_vectors) | kinds_of(self._fact_vectors)
        # few of them are ever asked for
        self._postings: dict[str, bytes] = {row["term"]: row["pairs"] for row in postings}
        self._said: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._forms = StoredForms(self._postings)
        own = np.flatnonzero(self._turn_calls == self._call_no).tolist()  # another process began this call
        self._row_of: dict[UUID, int] = {self._rows[int(self._turn_refs[at])]["id"]: at for at in own}
        self._sounds: Sounds | None = None
        self._added = 0
        self._rankings: dict[bool, tuple[Ranking, Ints, Ints]] = {}
        self._stale_at = 0.0
        self._over: Over = {}

    def holds(self, turn_id: UUID) -> bool:
        """Is this turn of the call there already?"""
        return turn_id in self._row_of

    def add(self, turn: Turn) -> None:
        """A turn of this call as it is said; found by its words until `embedded`."""
        self._added += 1
        ref = -self._added  # its row in Postgres may not exist yet
        words, terms, counts = counted(turn.text)
        for term, count in [*zip(terms, counts, strict=True), *((day, 1) for day in day_terms(turn.said_at))]:
            if self._sounds is not None and term not in self._said:
                self._sounds.add(term)
            self._said[term].append((ref, count))
        at = self._row_of[turn.turn_id] = len(self._turn_refs)
        self._turn_refs, self._turn_calls = (
            np.append(self._turn_refs, ref),
            np.append(self._turn_calls, self._call_no),
        )
        self._turn_positions, self._turn_words = (
            np.append(self._turn_positions, turn.position),
            np.append(self._turn_words, words),
        )
        if at == len(self._turn_vectors):
            more = np.full((ROOM, self._turn_vectors.shape[1]), np.nan, np.float32)
            self._turn_vectors = np.concatenate([self._turn_vectors, more])
        self._items[ref] = Item.of_turn(turn, FACTS_TIER)
        self._rankings.clear()
        self._forms.add(terms)

    def embedded(self, turn_id: UUID, vector: Vector) -> None:
        """The vector of a turn of this call."""
        if (at := self._row_of.get(turn_id)) is not None:
            if self._turn_vectors.shape[1] != len(vector):  # no turn had a vector yet
                self._turn_vectors = np.full((len(self._turn_vectors), len(vector)), np.nan, np.float32)
            self._turn_vectors[at] = vector
            self.kinds |= kinds_of(vector[None])

    async def search(
        self, asked: list[str], text: str, vector: QueryVector, *, past: bool, now: datetime, limit: int
    ) -> list[Item]:
        """The best items for these terms and this vector, best first; by words alone when there is no vector.

        Args:
            text: the question that the terms are of: what of it is said nowhere is looked up by sound.
            past: closed facts too.
            now: facts that have ended by then are closed.
        """
        # while the question is being embedded
        told, alike = await self._told(asked), await self._told(self._alike(asked, text))
        ranking, facts, turns = self._ranking(past, now.timestamp())
        by_words = ranking.by_words(told, alike)
        asked_vector = await vector.get()
        if asked_vector is not None:
            asked_vector = within(asked_vector, self.kinds)
        found = ranking.rank(by_words, self._likeness(asked_vector, facts, turns), limit)
        return self._with_later(found, np.array([one.at for one in found], np.int64) - len(facts), turns)

    def _with_later(self, found: list[Ranked], at: Ints, turns: Ints) -> list[Item]:
        said, size = at >= 0, (len(found), self._turn_vectors.shape[1])
        calls, vectors = np.zeros(len(found), np.int64), np.full(size, np.nan, np.float32)
        rows = turns[at[said]]
        calls[said], vectors[said] = self._turn_calls[rows], self._turn_vectors[rows]
        return with_later([self._item(one.ref, one.score) for one in found], calls, vectors)

    def _ranking(self, past: bool, now: float) -> tuple[Ranking, Ints, Ints]:
        """For live facts or all; worked out again after a turn was added or a fact has ended."""
        if now >= self._stale_at:
            self._rankings.clear()
            self._over = ended_turns(self._fact_sources, self._fact_until, now)
            self._stale_at = min(
                (until for until in self._fact_until.tolist() if until > now), default=math.inf
            )
        if past not in self._rankings:
            facts = np.flatnonzero(past | (self._fact_until > now))
            turns = in_order(self._turn_calls, self._turn_positions)
            corpus = Corpus(
                turn_refs=self._turn_refs[turns],
                turn_calls=self._turn_calls[turns],
                turn_words=self._turn_words[turns].astype(np.float64),
                fact_refs=self._fact_refs[facts],
                fact_words=self._fact_words[facts].astype(np.float64),
                fact_sources=self._fact_sources[facts],
            )
            self._rankings[past] = Ranking(corpus), facts, turns
        return self._rankings[past]

    def _alike(self, asked: list[str], text: str) -> list[str]:
        """Rare terms that sound like what memory has never heard: a name that was misheard, perhaps."""
        unknown = frozenset(
            one for one in asked if not (is_form(one) or one in self._postings or one in self._said)
        )
        heard = runs(text, unknown) if unknown else ()
        if not heard:
            return []
        if self._sounds is None:  # 1,500 terms take 2 ms, for the first word that is not known
            rare = (term for term, pairs in self._postings.items() if len(pairs) <= RARE * PAIR_BYTES)
            self._sounds = Sounds((*rare, *self._said))
        return self._sounds.like(heard)

    async def _told(self, asked: list[str]) -> Postings:
        forms = await self._forms.of(asked)
        found: Postings = {}
        for one in asked:
            if parts := [part for term in forms.get(one, stored_terms(one)) for part in self._parts(term)]:
                found[one] = np.concatenate(parts)
        return found

    def _parts(self, term: str) -> list[Ints]:
        parts = [unpack_int64(self._postings[term]).reshape(-1, 2)] if term in self._postings else []
        if term in self._said:
            parts.append(np.array(self._said[term], np.int64))
        return parts

    def _likeness(self, vector: Vector | None, facts: Ints, turns: Ints) -> Floats:
        return np.concatenate(
            [_products(self._fact_vectors, vector)[facts], _products(self._turn_vectors, vector)[turns]]
        )

    def _item(self, ref: int, score: float) -> Item:
        held = self._items.get(ref)
        if held is None:
            held = self._items[ref] = item_of(self._rows[ref], 0.0)
        item = held.scored(score)
        return dated(item, self._over[ref]) if ref in self._over else item


def _products(vectors: Vector, vector: Vector | None) -> Floats:
    if vector is None or vectors.shape[1] != len(vector):
        return np.full(len(vectors), np.nan)
    place = ENGLISH if len(vector) == LOCAL_DIMENSIONS and not vector[OTHERS].any() else slice(None)
    return (vectors[:, place] @ vector[place]).astype(np.float64)  # a third of what would be read for zeros


def _placed(packed: bytes | None, refs: Ints, rows: Ints) -> Vector:
    """Vectors as pgvector sends them (two 16-bit numbers before each: its length, and none), each at its row;
    nan: none yet."""
    dimensions = int.from_bytes(packed[:2], "big") if packed else 0
    placed = np.full((len(rows), dimensions), np.nan, np.float32)
    if packed:
        sent = np.frombuffer(packed, np.dtype([("head", ">u2", (2,)), ("vector", ">f2", (dimensions,))]))[
            "vector"
        ]
        order = np.argsort(rows)
        placed[order[np.searchsorted(rows[order], refs)]] = sent
    return placed
