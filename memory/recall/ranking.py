"""What was said before, best first for one question. Pure arithmetic on arrays; nothing here reads or waits.

Every turn and fact gets two scores: by words (BM25) and by meaning (how far its cosine stands out from this
user's others).
1. A turn alone is too short to judge: an answer seldom repeats the words of its question. So each turn also
   gets half of what its neighbours in the call have, a quarter from two away, an eighth from three: a window
   that fades.
2. A turn also gets what its best fact has: a fact says the same in words closer to those of a later question.
3. The score by meaning is divided by its root mean square over the turns, that by words by the same, but by
   no less than a constant, then both are added: unlike ranks, that keeps how clearly the best stands above
   the rest. What a word counts for is then how rare it is; by its own root mean square alone, a common word
   that alone matched counted for as much as a name. By the constant alone, the many words that a long
   question shares with every long turn counted for more than what it means.
4. A fact that matches at least half as well as its turn stands just before that turn; another keeps a place
  of its own.

The constant of 3, offline: categories 1-4 of five LoCoMo conversations, recall@10 / hit@10, .828/.895; open
half of evals/languages.py, hit@1 / hit@5 in 14 languages, .750/.955, in English .88/1.00. Both by root mean
square: .824/.893, .708/.951, .78/1.00. By 1.5: .816/.882, .732/.951; by 3: .820/.887, .770/.958.
As the least instead of alone, by evals/locomo.py .826/.891 -> .829/.896 and by evals/beam.py, whose turns are
long, .449/.654 -> .503/.692: the six chats in which it was noticed.

Measured before it on the same conversations, 997 questions: .837/.888 (evals/locomo.py). The same arithmetic
offline: without 1 .765/.812; a plain 3-turn window for 1 .808/.865; without 2 .805/.856; reciprocal rank (k =
5) for 3 .832/.880, and at 5 .732/.785 against .750/.807; words only .791/.840, meaning only .657/.708; turns,
windows and facts as six lists by reciprocal rank .797/.842; the two nearest by meaning always among the ten
.845/.899 (.854/.907 without, by evals/locomo.py). Form and constants were chosen on these
conversations, so expect less elsewhere: a grid of 54 settings around them gave .819-.838 / .865-.892;
constants chosen on four conversations gave .838/.892 on the fifth, taken in turn.
What was tried besides is in docs/decisions.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.embedding.spaces import E5, UNIVERSAL, Vector

LENT = (0.5, 0.25, 0.125)
"""Share of a turn's words and meaning that turns one, two and three away in the same call get."""
BM25_K1 = 0.4
"""Saturation: which of the question's words are there counts for more than how often (1.2 with b = 0.75:
.828/.878)."""
BM25_B = 0.2
"""Length counts little: a longer turn of speech tells more."""
SOURCES = 3
"""Turns of one fact that count; a fact drawn from more is about none of them in particular."""
OWN_SHARE = 0.5
"""A fact below this share of its turn's score is another fact of the same turn, not what was asked for."""
WORDS = 2.0
"""The least BM25 that counts for as much as the root mean square of the scores by meaning: LoCoMo's own."""
SOUND = 0.7
"""What a word counts for that only sounds like one of the question."""
NEAR, SURELY = 0.1, 0.2
"""By how much a later turn must be nearer to the best one than both are to others, to be shown with it, and
to stand above it: see `said_later`."""
NEIGHBOURS, BEST = 5, 3
"""Turns that tell how near others are, and places among which the best turn of the caller's must be."""
TIE, LAST = 1e-6, 1e-9
"""Among equals the better matching fact leads; what matches nothing but has a vector comes last, nearest
first."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Postings = dict[str, Ints]
"""For each term a row for each text that says it: its reference, and how often."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One turn or fact; higher scores are better, above zero, comparable only within one answer."""

    ref: int
    score: float
    at: int
    """Its column: facts come first, then turns, each in the order of the corpus."""


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What one user's turns and facts are, whatever is asked.

    Turns of a call stand together, in the order they were said.
    """

    turn_refs: Ints
    turn_calls: Ints
    """Equal numbers: the same call."""
    turn_words: Floats
    """Length in terms."""
    fact_refs: Ints
    fact_words: Floats
    fact_sources: Ints
    """A row for each fact: references of the turns it was learned from, 0 where there are fewer; unknown ones
    are left out."""


class Ranking:
    """Ranks one corpus.

    All that does not depend on the question is worked out once; columns are facts first, then turns.
    """

    def __init__(self, corpus: Corpus, of: int | None = None) -> None:
        """
        Args:
            of: how many turns and facts there are, if the corpus has only some: postings of all tell how rare
                a word is.
        """
        self._of = of
        self._facts = facts = len(corpus.fact_refs)
        self.refs = np.concatenate([corpus.fact_refs, corpus.turn_refs])  # facts first: they win a tie
        self._places = _Places(self.refs)
        self._fact, self._turn = _links(corpus, self._places)
        self._first = (
            np.flatnonzero(np.concatenate([[True], self._turn[1:] != self._turn[:-1]]))
            if self._turn.size
            else self._turn
        )
        calls = corpus.turn_calls
        self._same = [
            share * (calls[distance:] == calls[:-distance]) for distance, share in enumerate(LENT, start=1)
        ]
        # the turns; where there are few, the facts too
        self._yard = slice(facts if 2 * facts <= len(self.refs) else 0, None)
        self._room = self._room_of(np.concatenate([corpus.fact_words, corpus.turn_words]))

    def by_words(self, postings: Postings, alike: Postings | None = None) -> Floats:
        """A BM25 score for each column.

        Args:
            postings: for each term of the question, where it is said and how often; what is not in the corpus
                is ignored.
            alike: the same for terms that only sound like one of the question.
        """
        scores = self._bm25(postings)
        return scores + SOUND * self._bm25(alike) if alike else scores

    def _bm25(self, postings: Postings) -> Floats:
        counts = _counts(self._places, postings)
        told = self._told(counts)
        if self._of is None:
            yard = (counts + told)[:, self._yard]  # a turn also says what its facts say
            rarity = _rarity(np.count_nonzero(yard, axis=1), yard.shape[1])
        else:
            rarity = _rarity(_said(postings), self._of)
        counts = self._lent(counts) + told
        return rarity @ (counts * (BM25_K1 + 1) / (counts + self._room))

    def rank(self, by_words: Floats, likeness: Floats, limit: int) -> list[Ranked]:
        """The best `limit` turns and facts, mixed, best first.

        Left out is only what shares no word and has no vector either.

        Args:
            likeness: inner product with the question's vector for each column; nan: not embedded yet, or no
                vector.
        """
        out = _standing_out(likeness)[None]
        near = (self._lent(out) + self._told(out))[0]
        words = max(WORDS, self._size(by_words, self._of))
        scores = by_words / words + near / (self._size(near) or 1.0)
        scores[: self._facts] = _beside_their_turns(scores, self._fact, self._turn, self._facts)
        scores += LAST * np.where(np.isnan(likeness), 0, 2 + likeness)
        best = _best(scores, limit)
        found = zip(self.refs[best].tolist(), scores[best].tolist(), best.tolist(), strict=True)
        return [Ranked(ref, score, at) for ref, score, at in found if score > 0]

    def _room_of(self, words: Floats) -> Floats:
        """BM25's measure of length for each column."""
        own = words[None]
        words = (self._lent(own) + self._told(own))[0]
        mean = words[self._yard].sum() / max(words[self._yard].size, 1)
        return BM25_K1 * (1 - BM25_B + BM25_B * words / max(mean, 1.0))

    def _told(self, own: Floats) -> Floats:
        """For each turn the most that any of its facts has; for a fact its own."""
        told = np.zeros_like(own)
        if self._turn.size:
            told[:, self._turn[self._first]] = np.maximum.reduceat(own[:, self._fact], self._first, axis=1)
        told[:, : self._facts] = own[:, : self._facts]
        return told

    def _lent(self, own: Floats) -> Floats:
        """What each turn has, and a falling share of what the turns around it have."""
        lent = own.copy()
        turns, gets = own[:, self._facts :], lent[:, self._facts :]
        for distance, same in enumerate(self._same, start=1):
            gets[:, distance:] += same * turns[:, :-distance]
            gets[:, :-distance] += same * turns[:, distance:]
        return lent

    def _size(self, scores: Floats, of: int | None = None) -> float:
        """Root mean square over the turns; what the corpus has not has nothing."""
        yard = scores[self._yard]
        return math.sqrt(yard @ yard / max(of or yard.size, 1))


class _Places:
    """Finds the column of a reference."""

    def __init__(self, refs: Ints) -> None:
        self._order = np.argsort(refs, kind="stable")  # for what is nearly in order: a quarter of the time
        self._sorted = refs[self._order]

    def __len__(self) -> int:
        return len(self._order)

    def of(self, refs: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Columns of these references, and which of them are in the corpus at all."""
        at = np.minimum(np.searchsorted(self._sorted, refs), len(self) - 1)
        return self._order[at], self._sorted[at] == refs


def _best(scores: Floats, limit: int) -> Ints:
    """Places of the best, best first, the earlier among equals; 50,000 are not sorted for forty."""
    if limit < len(scores):
        among = np.flatnonzero(scores >= np.partition(scores, -limit)[-limit])
    else:
        among = np.arange(len(scores))
    return among[np.argsort(-scores[among], kind="stable")][:limit]


def _counts(places: _Places, postings: Postings) -> Floats:
    """How often each term of the question is said in each turn and fact."""
    counts = np.zeros((len(postings), len(places)))
    if len(places) and postings:
        pairs = np.concatenate(list(postings.values()))
        terms = np.repeat(np.arange(len(postings)), [len(entries) for entries in postings.values()])
        at, there = places.of(pairs[:, 0])
        counts[terms[there], at[there]] = pairs[there, 1]
    return counts


def _standing_out(likeness: Floats) -> Floats:
    """By how many standard deviations each is nearer to the question than the mean, at least 0: fits any
    embedding model."""
    known = likeness[~np.isnan(likeness)]
    mean = known.sum() / max(known.size, 1)
    away = known - mean
    spread = math.sqrt(away @ away / max(known.size, 1))
    if spread == 0:
        return np.zeros_like(likeness)
    return np.fmax((likeness - mean) / spread, 0)  # fmax: nan, not embedded, becomes 0


def _links(corpus: Corpus, places: _Places) -> tuple[Ints, Ints]:
    """Columns of facts, and beside them columns of the turns they came from, in the order of the turns."""
    sources = corpus.fact_sources[:, :SOURCES]
    fact, nth = np.nonzero(sources)
    if not fact.size:
        return fact, fact
    turn, there = places.of(sources[fact, nth])
    fact, turn = fact[there], turn[there]
    order = np.argsort(turn, kind="stable")
    return fact[order], turn[order]


def _rarity(said: Ints, of: int) -> Floats:
    """Robertson-Sparck Jones weight of terms that so many of all say."""
    return np.log1p(np.maximum(of - said + 0.5, 0) / (said + 0.5))


def _said(postings: Postings) -> Ints:
    return np.array([len(entries) for entries in postings.values()], np.int64)


def most_told(postings: Postings, limit: int) -> Ints:
    """References of the texts that say most of these terms, the rarer counting for more, whatever stands
    around them; the newest among equals."""
    if not postings:
        return np.empty(0, np.int64)
    said, pairs = _said(postings), np.concatenate(list(postings.values()))
    refs, at = np.unique(pairs[:, 0], return_inverse=True)
    weights = np.repeat(_rarity(said, len(refs)), said)
    scores: Floats = np.bincount(at, weights * pairs[:, 1] / (pairs[:, 1] + BM25_K1)).astype(np.float64)
    return refs[::-1][_best(scores[::-1], limit)]


def _beside_their_turns(scores: Floats, fact: Ints, turn: Ints, facts: int) -> Floats:
    """Scores of facts: their best turn's where they are what matched in it, else their own, but never above
    that turn's."""
    own, source = scores[:facts], np.full(facts, -1.0)
    np.maximum.at(source, fact, scores[turn])
    return np.where(
        source < 0, own, np.where(own > OWN_SHARE * source, source + TIE * own, np.minimum(own, source))
    )


def said_later(
    told: Sequence[bool], said_at: Sequence[float], calls: Ints, vectors: Vector
) -> tuple[int, int, bool] | None:
    """The place of the caller's best turn, that of what they said later of the same matter, and whether that
    is sure; None: they said nothing.

    A change shares few words with a question, and more with what it changed: "we are in the new flat in Essen
    now" is found by "where do I live?" far behind "I live in Kassel". Cosines are of another size in each
    language and model, so each is compared with those of what else was found: twice the cosine less what both
    have with their neighbours (Conneau et al., arXiv 1710.04087).

    Args:
        told: whether each that was found, best first, is a turn of the caller's that has a vector.
        calls: equal numbers: the same call.
        vectors: a row for each; what stands in those of others does not matter.
    """
    own = np.flatnonzero(told)
    if len(own) <= NEIGHBOURS or own[0] >= BEST:
        return None
    later = [
        at
        for at in range(1, len(own))
        if said_at[own[at]] > said_at[own[0]] and calls[own[at]] != calls[own[0]]
    ]
    if not later:
        return None
    near = _near(vectors[own])
    others = np.sort(near - 2 * np.eye(len(own)), axis=1)[:, -NEIGHBOURS:].mean(axis=1)
    margins = 2 * near[0, later] - others[0] - others[later]
    best = int(np.argmax(margins))
    if margins[best] < NEAR:
        return None
    return int(own[0]), int(own[later[best]]), bool(margins[best] >= SURELY)


def _near(vectors: Vector) -> Floats:
    """How near each is to each, from -1 to 1, by the models that know several languages."""
    local = vectors.shape[1] == LOCAL_DIMENSIONS
    parts = [_unit(vectors[:, place]) for place in (UNIVERSAL, E5)] if local else [vectors]
    units = _unit(np.concatenate(parts, axis=1))
    return np.asarray(units @ units.T, np.float64)


def _unit(vectors: Vector) -> Vector:
    sizes = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(sizes == 0, 1, sizes), np.float32)
