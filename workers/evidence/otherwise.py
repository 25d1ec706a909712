"""Names that a fact has in other words than the caller's: "Polish" for "from Poland", "Christmas" for "xmas".

By the multilingual model that is installed, so in any language. **Measured** by evals/otherwise.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.embedding.spaces import E5
from echoic.memory.text.content import tells
from echoic.workers.evidence.operations import Operation
from echoic.workers.evidence.spoken import NAME, Spoken, calendar_words

LEAST_ALIKE = 0.65
"""Cosine of a name and a word that means it: of two names of one kind ("Paris", "London") it is .5."""
MOST_WORDS = 200
"""Of what was said; each takes some 5 ms of processor time, in a worker."""


async def said_otherwise(
    operations: Iterable[Operation], spoken: Spoken, embedder: Embedder
) -> frozenset[str]:
    """The canonical words of such names; none where another embedding model is in use.

    Raises:
        ModelUnavailable: the embedder does not answer.
    """
    names = sorted({name for operation in operations for name in _unsaid(operation.text, spoken)})
    words = words_of(turn.text for turn in spoken.turns if turn.role == "user")
    if not (names and words) or embedder.dimensions != LOCAL_DIMENSIONS:
        return frozenset()
    return frozenset(
        token
        for name, near in zip(names, await nearest(names, words, embedder), strict=True)
        if near >= LEAST_ALIKE
        for token in spoken.words(name)
    )


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


def _unsaid(fact: str, spoken: Spoken) -> Iterator[str]:
    """Words with a capital letter past the first, of which no form was said; those that stand together as
    one."""
    heard, calendar = spoken.heard(), calendar_words(spoken.language.code)

    def is_unsaid(word: str) -> bool:
        told = spoken.words(word)
        return not (calendar & {*told} or all(spoken.among(one, heard) for one in told))

    words = [] if spoken.language.capital_nouns else NAME.findall(fact)[1:]
    for is_name, run in groupby(
        words, lambda word: word[:1].isupper() and word.isalpha() and is_unsaid(word)
    ):
        if is_name:
            yield " ".join(run)
