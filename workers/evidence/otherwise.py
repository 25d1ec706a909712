"""Names that a fact has in other words than the caller's: "Polish" for "from Poland", "Christmas" for "xmas".

By the multilingual model that is installed, so in any language. **Measured** by evals/otherwise.py.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from echoic.memory.config import LOCAL_EMBEDDING_MODEL
from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.embedding.spaces import E5
from echoic.memory.text.content import tells
from echoic.workers.evidence.operations import Operation
from echoic.workers.evidence.spoken import NAME, Spoken, calendar_words

LEAST_ALIKE = 0.65
"""Cosine of a name and a word that means it: of two names of one kind ("Paris", "London") it is .5."""
MOST_WORDS = 200
"""Of the turns that are quoted; each takes some 5 ms of processor time, in a worker."""


async def said_otherwise(
    operations: Iterable[Operation], spoken: Spoken, embedder: Embedder
) -> frozenset[str]:
    """The canonical words of such names; none where another embedding model is in use.

    Raises:
        ModelUnavailable: the embedder does not answer.
    """
    if embedder.name != LOCAL_EMBEDDING_MODEL:
        return frozenset()
    # two hundred names beside a long turn take three seconds
    names, words = await asyncio.to_thread(_names_and_words, operations, spoken)
    if not (names and words):
        return frozenset()
    found = zip(names, await nearest(names, words, embedder), strict=True)
    return frozenset(token for name, near in found if near >= LEAST_ALIKE for token in spoken.words(name))


def _names_and_words(operations: Iterable[Operation], spoken: Spoken) -> tuple[list[str], list[str]]:
    """Names that nobody said, and what the caller said in the turns that they are said to stand in."""
    names, turns, heard = set[str](), set[int](), spoken.heard()
    for operation in operations:
        if unsaid := {*_unsaid(operation.text, heard, spoken)}:
            names |= unsaid
            turns |= {*(operation.turns or range(len(spoken.turns)))}
    said = [spoken.turns[at].text for at in sorted(turns) if spoken.is_callers(at)]
    return sorted(names), words_of(said)


def words_of(texts: Iterable[str]) -> list[str]:
    """The words of what was said, and every two that stand together ("the states"), as they are written:
    "español" is nearer to "Spanish" than "espanol" is."""
    said = [NAME.findall(text) for text in texts]
    pairs = [" ".join(pair) for words in said for pair in pairwise(words)]
    found = dict.fromkeys(word for words in said for word in words if tells(word))
    return [*found, *dict.fromkeys(pairs)][:MOST_WORDS]


async def nearest(names: Sequence[str], words: Sequence[str], embedder: Embedder) -> Vector:
    """The cosine of each name and the word that is nearest to it in meaning, shape (len(names),)."""
    vectors = (await embedder.embed_batch([*names, *words]))[:, E5]
    found: Vector = (vectors[: len(names)] @ vectors[len(names) :].T).max(axis=1)
    return found


def _unsaid(fact: str, heard: Sequence[str], spoken: Spoken) -> Iterator[str]:
    """Words with a capital letter past the first, of which no form was said; those that stand together as
    one."""
    calendar = calendar_words(spoken.language.code)

    def is_unsaid(word: str) -> bool:
        told = spoken.words(word)
        return not (calendar & {*told} or all(spoken.among(one, heard) for one in told))

    words = [] if spoken.language.capital_nouns else NAME.findall(fact)[1:]
    for is_name, run in groupby(
        words, lambda word: word[:1].isupper() and word.isalpha() and is_unsaid(word)
    ):
        if is_name:
            yield " ".join(run)
