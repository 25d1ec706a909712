"""What is known already beside a batch: shown to the extractor, and looked at again for each new fact and
each end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown
from echoic.memory.text.words import is_small_talk
from echoic.memory.types import Fact, Turn
from echoic.workers.learn.conversation import parts
from echoic.workers.learn.extractor import Extraction, confirmation, says_same

MOST = 12
"""Live facts shown to the extractor beside a portion; more distract a small model."""
A_TURN = 6
LONGEST_QUESTION = 200
"""Characters; of a longer turn each part is looked up: a vector says what most of a text is about, and
nothing of what stands behind its first 256 tokens."""
SHORT_CHARS = 60
"""A shorter turn ("no, Brisket") is looked up together with the agent's words before it."""
NEAREST = 4


def says_nothing(turns: Sequence[Turn]) -> bool:
    """Whether nobody says more than "hello", "yes" and "hm"."""
    return all(is_small_talk(turn.text) for turn in turns)


async def known_facts(memory: Memory, turns: Sequence[Turn]) -> list[Fact]:
    """The live facts nearest to what was said: what is nearest to each part of it first, the nearest of all
    before the others."""
    asked = _questions(turns)
    vectors = await memory.embedder.embed_batch([text for _, text in asked])
    near: list[tuple[int, float, Fact]] = []
    for (turn, _), vector in zip(asked, vectors, strict=True):
        facts = await memory.facts.similar(turn.user_id, turn.agent_id, vector, A_TURN)
        near += [(place, away, fact) for place, (away, fact) in enumerate(facts)]
    near.sort(key=lambda one: one[:2])
    found = {fact.fact_id: fact for _, _, fact in near}
    return list(found.values())[:MOST]


async def only_new(
    memory: Memory, turns: Sequence[Turn], extraction: Extraction
) -> tuple[Extraction, Vector]:
    """What a live fact says already becomes a confirmation, and so does what one said that is over since;
    each fact that is left gets a vector.

    The extractor saw the facts near the turns; these are the ones near each new fact.
    """
    if not extraction.facts:
        return extraction, np.empty((0, memory.embedder.dimensions), np.float32)
    vectors = await memory.embedder.embed_batch([shown(fact.text, fact.about) for fact in extraction.facts])
    ending = {one.fact_id for one in extraction.endings}
    kept, confirmed = [], list(extraction.confirmed)
    for place, fact in enumerate(extraction.facts):
        near = await memory.facts.similar(turns[0].user_id, turns[0].agent_id, vectors[place], NEAREST)
        twin = next((one for _, one in near if one.fact_id not in ending and says_same(fact, one)), None)
        twin = twin or await _over_since(memory, fact, vectors[place])
        if twin is None:
            kept.append(place)
        else:
            confirmed.append(confirmation(twin, fact))
    facts = tuple(extraction.facts[place] for place in kept)
    return replace(extraction, facts=facts, confirmed=tuple(confirmed)), vectors[kept]


async def _over_since(memory: Memory, fact: Fact, vector: Vector) -> Fact | None:
    """The fact that says the same and ended later than these words were said, or by what was said later: old
    words begin nothing anew."""
    for _, one in await memory.facts.similar(fact.user_id, fact.agent_id, vector, NEAREST, ended=True):
        if says_same(fact, one):
            stated = partial(_stated, user_id=fact.user_id, fact_id=one.fact_id)
            known, stated_at = await memory.db.run(stated)
            if known and known.valid_until and max(known.valid_until, stated_at) > fact.said_at:
                return known
    return None


async def in_order(connection: Connection, user_id: str, extraction: Extraction) -> Extraction:
    """Old words end nothing that was said or edited since, and do not say when it ends: their turns are
    learned again, or late, or come from an import. What they would have put in its place was so until then.
    """
    endings, until = [], dict[UUID, datetime]()
    for one in extraction.endings:
        known, stated_at = await _stated(connection, user_id, one.fact_id)
        if known is None:
            continue
        if stated_at <= one.said_at:
            endings.append(one)
        elif one.by is not None:
            until[one.by] = known.said_at if known.said_at > one.said_at else stated_at
    facts = tuple(
        replace(fact, valid_until=until[fact.fact_id])
        if fact.fact_id in until and fact.valid_until is None
        else fact
        for fact in extraction.facts
    )
    confirmed = []
    for again in sorted(extraction.confirmed, key=lambda one: one.said_at):
        is_old = again.until and (await _stated(connection, user_id, again.fact_id))[1] > again.said_at
        confirmed.append(replace(again, until=None) if is_old else again)
    return replace(extraction, facts=facts, endings=tuple(endings), confirmed=tuple(confirmed))


async def _stated(connection: Connection, user_id: str, fact_id: UUID) -> tuple[Fact | None, datetime]:
    """A fact, and when it was last said, said to end, or edited."""
    row = await connection.fetchrow(query("stated"), user_id, fact_id)
    if row is None:
        return None, datetime.max.replace(tzinfo=UTC)
    known = fact_from(fact_id, row["payload"])
    return known, max(known.said_at, row["stated_at"] or known.said_at)


def _questions(turns: Sequence[Turn]) -> list[tuple[Turn, str]]:
    """What callers say, each part with the text that is looked up for it."""
    found = []
    before = ""
    for turn in turns:
        if turn.role == "user" and turn.text.strip():
            short = len(turn.text) < SHORT_CHARS
            said = [part.text for part in parts(turn, LONGEST_QUESTION)]
            found += [(turn, f"{before} {text}".strip() if short else text) for text in said]
        before = turn.text if turn.role == "assistant" else ""
    return found
