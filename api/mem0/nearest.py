"""Memories that are near to a question: by meaning, and by the words that they share with it.

The score is the cosine, raised by the share of the question's words that stand in the memory: between 0 and
1, and comparable from one search to the next, as a threshold needs it. Ranking for a call's reply
(`memory/recall`) compares within one answer only.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from echoic.api.mem0.memo import Memo, facts_of, words_of
from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import MemoryFault
from echoic.memory.recall.postgres_search import unpack_int64
from echoic.memory.service import Memory
from echoic.memory.store.queries import query
from echoic.memory.text.words import asked_terms, clean

log = logging.getLogger("echoic.api")
EMBED_S = 5.0
"""Longest wait for the vector of a question; then its words alone count."""
MOST_TERMS = 48
WORDS_SHARE = 0.5
"""Of what a cosine lacks to 1, for a memory that has every word of the question."""
Scored = tuple[float, Memo]


async def vector_of(memory: Memory, text: str) -> Vector | None:
    """The question's vector; None: the embedder fails or is too slow."""
    try:
        async with asyncio.timeout(EMBED_S):
            return await memory.embedder.embed(clean(text), across=True)
    except (MemoryFault, TimeoutError) as exc:
        log.warning("mem0.words_only", extra={"error": type(exc).__name__})
        return None


async def near(memory: Memory, person: str, text: str, vector: Vector | None) -> list[Scored]:
    """All memories of one person with their scores, in no order: facts, and words that are not learned yet.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    asked = list(dict.fromkeys(asked_terms(clean(text))))[-MOST_TERMS:]
    found = [*await facts_of(memory, person, vector), *await words_of(memory, person, vector)]
    said = await _said(memory, person, asked)
    return [(score(one.likeness, said[one.ref] / max(len(asked), 1)), one) for one in found]


def score(likeness: float, share: float) -> float:
    """Between 0 and 1."""
    near = min(max(likeness, 0.0), 1.0)
    return near + (1 - near) * WORDS_SHARE * share


async def _said(memory: Memory, person: str, asked: Sequence[str]) -> Counter[int]:
    """How many of these words stand in each fact and turn."""
    if not asked:
        return Counter()
    args = [person], list(asked)
    rows = await memory.db.run(lambda connection: connection.fetch(query("postings"), *args))
    return Counter(ref for row in rows for ref in unpack_int64(row["pairs"]).reshape(-1, 2)[:, 0].tolist())
