"""Tier 2: facts and verbatim turns of one caller, found by meaning and by words, in two short trips to Postgres.

The words of the question are looked up while it is being embedded; then one pass scores every vector of this user (exact: an
approximate index loses rows behind the user filter), and the arithmetic and fusion happen here (memory/ranking.py).
"""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np

from memory.days import asked_days
from memory.db import Connection, Database
from memory.facts import fact_from
from memory.queries import query
from memory.ranking import Corpus, Postings, Ranked, rank
from memory.recall import Question
from memory.types import Caller, Item
from memory.words import terms

FOUND = 40
"""Items handed on: more than any block holds, so that what stands in the context already can be left out."""
MAX_TERMS = 48
"""Distinct terms looked up of one question; a monologue's first words are not its question."""

_PAST = re.compile(
    r"\b(used to|before|previous(?:ly)?|former(?:ly)?|earlier|back then|last (?:year|month|week|time|summer|winter|spring|autumn|fall)"
    r"|when did|when was|when were|once|at first|originally|ago|in the past|history|still|any ?more|no longer|changed?|old|first"
    r"|did i|did we|was my|were my|was i)\b",
    re.IGNORECASE,
)


class HybridSearch:
    """The tier named `facts`: what was learned and what was said, for one question."""

    name = "facts"

    def __init__(self, db: Database) -> None:
        self._db = db

    async def search(self, question: Question) -> list[Item]:
        """The best items for the question, best first. Without a vector (the embedder fails or is too slow) by words alone.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        caller, asked = question.caller, list(dict.fromkeys(terms(question.text)))[-MAX_TERMS:]
        asked += asked_days(question.text, datetime.now(UTC), ZoneInfo(caller.timezone))
        postings = await self._postings(caller, asked)  # while the question is being embedded
        vector = await question.vector.get()
        past = _PAST.search(question.text) is not None

        async def find(connection: Connection) -> list[Item]:
            corpus = await _corpus(connection, caller, vector, past)
            return await _read(connection, caller, rank(corpus, postings, FOUND))

        return await self._db.run(find)

    async def _postings(self, caller: Caller, asked: list[str]) -> Postings:
        if not asked:
            return {}
        rows = await self._db.run(lambda connection: connection.fetch(query("postings"), caller.user_id, asked))
        return {row["term"]: _longs(row["pairs"]).reshape(-1, 2) for row in rows}


async def _corpus(connection: Connection, caller: Caller, vector: np.ndarray | None, past: bool) -> Corpus:
    row = await connection.fetchrow(query("score"), caller.user_id, caller.agent_id, vector, past)
    turn_calls, turn_positions = _longs(row["turn_calls"]), _integers(row["turn_positions"])
    order = np.lexsort((turn_positions, turn_calls))  # neighbours stand together
    sources = np.stack([_longs(row[name]) for name in ("first_sources", "second_sources", "third_sources")], axis=1)
    return Corpus(
        turn_refs=_longs(row["turn_refs"])[order],
        turn_calls=turn_calls[order],
        turn_words=_integers(row["turn_words"])[order].astype(np.float64),
        turn_scores=_doubles(row["turn_scores"])[order],
        fact_refs=_longs(row["fact_refs"]),
        fact_words=_integers(row["fact_words"]).astype(np.float64),
        fact_scores=_doubles(row["fact_scores"]),
        fact_sources=sources,
    )


def _longs(packed: bytes | None) -> np.ndarray:
    return np.frombuffer(packed or b"", ">i8").astype(np.int64)


def _integers(packed: bytes | None) -> np.ndarray:
    return np.frombuffer(packed or b"", ">i4").astype(np.int64)


def _doubles(packed: bytes | None) -> np.ndarray:
    return np.frombuffer(packed or b"", ">f8").astype(np.float64)  # nan: a turn that is not embedded yet


async def _read(connection: Connection, caller: Caller, ranked: list[Ranked]) -> list[Item]:
    rows = await connection.fetch(query("read_items"), caller.user_id, [one.ref for one in ranked])
    by_ref = {row["ref"]: row for row in rows}
    return [_item(by_ref[one.ref], one.score) for one in ranked if one.ref in by_ref]


def _item(row: asyncpg.Record, score: float) -> Item:
    if row["payload"] is None:
        return Item(
            kind="turn",
            id=row["id"],
            text=row["text"],
            said_at=row["said_at"],
            score=score,
            role=row["role"],
            interrupted=row["interrupted"],
            turn_ids=(row["id"],),
            tier=HybridSearch.name,
        )
    fact = fact_from(row["id"], row["payload"])
    return Item(
        kind="fact",
        id=fact.fact_id,
        text=fact.text,
        said_at=fact.said_at,
        score=score,
        valid_from=fact.valid_from,
        valid_until=fact.valid_until,
        turn_ids=fact.turn_ids,
        tier=HybridSearch.name,
    )
