"""Tier 2 read from Postgres for each question: for memories too large to hold in process, or changed a moment
ago.

The words of the question are looked up while it is being embedded; then one statement scores every vector of
this user (exact: an approximate index loses rows behind the user filter), and the arithmetic and fusion
happen here (memory/recall/ranking.py).

100,000 vectors take half a second. Of a memory larger than EXACT_ROWS those of candidates are scored: what
says most of the question's rarer words, what was said around it, and what is newest.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import numpy as np
from pgvector import HalfVector

from echoic.memory.embedding.spaces import Kinds, Vector, within
from echoic.memory.recall.query_vector import QueryVector
from echoic.memory.recall.ranking import (
    Corpus,
    Floats,
    Ints,
    Postings,
    Ranked,
    Ranking,
    most_told,
    said_later,
)
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.text.dates.days import stored_terms
from echoic.memory.types import FACTS_TIER, Caller, Item

EXACT_ROWS = 10_000
"""Turns and facts of one caller up to which every vector is scored, in 50 ms; of more, those of
candidates."""
TOLD, NEWEST_TURNS, NEWEST_FACTS = 300, 1_000, 3_000
"""Candidates: by their words, each with its neighbours, and by their age. Their vectors take 40 ms."""

Over = dict[int, tuple[float, bool]]
"""Turns with facts that have ended: since when (seconds), and whether others of theirs have not."""
SHOWN = 8
"""Places of what is shown with a reply."""
NEXT = 1e-9
"""Share of a score by which what is placed before another has more."""


async def search_postgres(
    db: Database,
    caller: Caller,
    asked: list[str],
    vector: QueryVector,
    *,
    past: bool,
    now: datetime,
    limit: int,
    timeout_s: float | None = None,
) -> list[Item]:
    """The best items for these terms and this vector, best first; by words alone when there is no vector.

    Args:
        past: closed facts too.
        now: facts that have ended by then are closed.

    Raises:
        StoreUnavailable: Postgres did not answer.
    """
    # while the question is being embedded
    postings, kinds, candidates = await _words(db, caller, asked, timeout_s)
    array = await vector.get()
    if array is not None:
        array = within(array, kinds)

    async def find(connection: Connection) -> list[Item]:
        if candidates is None:
            row = await connection.fetchrow(query("score"), caller.ids, caller.agent_id, array)
        else:
            row = {**candidates, **await _scores(connection, caller, candidates, array)}
        # 50,000 facts take 25 ms of arithmetic: beside the event loop
        found, over = await asyncio.to_thread(_ranked, row, postings, past, now.timestamp(), limit)
        return await _read(connection, caller, found, over)

    return await db.run(find, timeout_s=timeout_s)


async def _words(
    db: Database, caller: Caller, asked: list[str], timeout_s: float | None
) -> tuple[Postings, Kinds, asyncpg.Record | None]:
    """Where the terms are said, what kinds of vectors it all has, and of a large memory the candidates."""

    async def read(connection: Connection) -> tuple[Postings, Kinds, asyncpg.Record | None]:
        stored = [term for one in asked for term in stored_terms(one)]
        rows = await connection.fetch(query("postings"), caller.ids, stored) if stored else []
        told = {row["term"]: unpack_int64(row["pairs"]).reshape(-1, 2) for row in rows}
        parts = {one: [told[term] for term in stored_terms(one) if term in told] for one in asked}
        postings = {one: np.concatenate(some) for one, some in parts.items() if some}
        kinds = Kinds(*await connection.fetchrow(query("kinds_of_vectors"), caller.ids))
        if not await connection.fetchval(query("is_larger"), caller.ids, caller.agent_id, EXACT_ROWS):
            return postings, kinds, None
        most = (await asyncio.to_thread(most_told, postings, TOLD)).tolist()
        wanted = caller.ids, caller.agent_id, most, NEWEST_TURNS, NEWEST_FACTS
        return postings, kinds, await connection.fetchrow(query("candidates"), *wanted)

    return await db.run(read, timeout_s=timeout_s)


async def _scores(
    connection: Connection, caller: Caller, candidates: asyncpg.Record, vector: Vector | None
) -> Mapping[str, bytes | None]:
    turns, facts = unpack_int64(candidates["turn_refs"]), unpack_int64(candidates["fact_refs"])
    if vector is None:
        none = np.full(max(len(turns), len(facts)), np.nan, ">f8")
        return {"turn_scores": none[: len(turns)].tobytes(), "fact_scores": none[: len(facts)].tobytes()}
    refs = turns.tolist(), facts.tolist()
    return await connection.fetchrow(query("score_candidates"), caller.ids, *refs, vector)


def _ranked(
    row: Mapping[str, Any], postings: Postings, past: bool, now: float, limit: int
) -> tuple[list[Ranked], Over]:
    order = in_order(unpack_int64(row["turn_calls"]), unpack_int32(row["turn_positions"]))
    until, sources = unpack_float64(row["fact_until"]), sources_of(row)
    asked = np.flatnonzero(past | (until > now))
    corpus = Corpus(
        turn_refs=unpack_int64(row["turn_refs"])[order],
        turn_calls=unpack_int64(row["turn_calls"])[order],
        turn_words=unpack_int32(row["turn_words"])[order].astype(np.float64),
        fact_refs=unpack_int64(row["fact_refs"])[asked],
        fact_words=unpack_int32(row["fact_words"]).astype(np.float64)[asked],
        fact_sources=sources[asked],
    )
    likeness = [unpack_float64(row["fact_scores"])[asked], unpack_float64(row["turn_scores"])[order]]
    ranking = Ranking(corpus, row.get("all_rows"))
    found = ranking.rank(ranking.by_words(postings), np.concatenate(likeness), limit)
    theirs = np.isin(sources, [one.ref for one in found]).any(axis=1)
    return found, ended_turns(sources[theirs], until[theirs], now)


async def _read(connection: Connection, caller: Caller, found: list[Ranked], over: Over) -> list[Item]:
    rows = await connection.fetch(query("read_items"), caller.ids, [one.ref for one in found])
    by_ref = {row["ref"]: row for row in rows}
    there = [one for one in found if one.ref in by_ref]
    items = [dated(item_of(by_ref[one.ref], one.score), over.get(one.ref)) for one in there]
    calls = np.array([by_ref[one.ref]["call_no"] or 0 for one in there])
    return with_later(items, calls, _stacked([by_ref[one.ref]["vector"] for one in there]))


def _stacked(stored: Sequence[HalfVector | None]) -> Vector:
    """A row each; nan where there is none, or one of a model that was in use before."""
    size = max((one.dimensions() for one in stored if one is not None), default=0)
    rows = np.full((len(stored), size), np.nan, np.float32)
    for at, one in enumerate(stored):
        if one is not None and one.dimensions() == size:
            rows[at] = one.to_numpy()
    return rows


def with_later(items: list[Item], calls: Ints, vectors: Vector) -> list[Item]:
    """What the caller said later of the matter of their best turn is among what is shown, and where that is
    sure, above it.

    Args:
        calls: of each that is a turn, a number of its call.
        vectors: of each that is a turn, a row; nan: it has none.
    """
    if not vectors.size:
        return items
    has_vector = (~np.isnan(vectors[:, -1])).tolist()
    told = [item.role == "user" and has for item, has in zip(items, has_vector, strict=True)]
    said_at = [item.said_at.timestamp() for item in items]
    later = said_later(told, said_at, calls, vectors)
    if later is None:
        return items
    first, then, is_sure = later
    place = first if is_sure else SHOWN - 1
    if place >= then:
        return items
    moved = items[then].scored(items[place].score * (1 + NEXT))
    return [*items[:place], moved, *items[place:then], *items[then + 1 :]]


def ended_turns(sources: Ints, until: Floats, now: float) -> Over:
    """The turns of facts that have ended by then."""
    ended = until <= now
    since: dict[int, float] = {}
    for refs, end in zip(sources[ended].tolist(), until[ended].tolist(), strict=True):
        since |= {ref: max(end, since.get(ref, end)) for ref in refs if ref}
    partly = np.isin(list(since), sources[~ended]).tolist()
    return {ref: (end, other) for (ref, end), other in zip(since.items(), partly, strict=True)}


def dated(item: Item, over: tuple[float, bool] | None) -> Item:
    """A turn with the end of what was learned from it."""
    if over is None:
        return item
    return replace(item, valid_until=datetime.fromtimestamp(over[0], UTC), partly=over[1])


def in_order(calls: Ints, positions: Ints) -> Ints:
    """Turns of a call together, as they were said."""
    return np.lexsort((positions, calls))


def sources_of(row: asyncpg.Record) -> Ints:
    """Three references a fact."""
    return np.stack(
        [unpack_int64(row[name]) for name in ("first_sources", "second_sources", "third_sources")], axis=1
    )


def unpack_int64(packed: bytes | None) -> Ints:
    return np.frombuffer(packed or b"", ">i8").astype(np.int64)


def unpack_int32(packed: bytes | None) -> Ints:
    return np.frombuffer(packed or b"", ">i4").astype(np.int64)


def unpack_float64(packed: bytes | None) -> Floats:
    return np.frombuffer(packed or b"", ">f8").astype(np.float64)  # nan: a turn that is not embedded yet


def item_of(row: asyncpg.Record, score: float) -> Item:
    """A row of `read_items` or `hold_items`: a turn, or a fact where there is a payload."""
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
            tier=FACTS_TIER,
        )
    return Item.of_fact(fact_from(row["id"], row["payload"]), FACTS_TIER, score)
