"""What a graph query brought up by meaning, words, names and neighbours, as one list, best first."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from memory.graph_types import Relation

Via = Literal["vector", "text", "name", "hop"]

WORDS_WEIGHT = 0.1
"""What the words add to a cosine at most. On paraphrases a larger share, or fusion by ranks, lost answers (evals/graph.py)."""
NAME_BONUS = 0.05
"""For relations of something that the question names."""
HOP_PULL = 0.3
"""How far a neighbour of the best is drawn up to them: who introduced me to the dentist is said in words unlike the question's."""
WITHOUT_VECTOR = 0.5
"""The best that words alone can reach, about the cosine of a fair paraphrase."""


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate: how it came up, how near its vector is (None: not known), and its score in the text search."""

    relation: Relation
    via: Via
    likeness: float | None = None
    words: float = 0.0


@dataclass(slots=True)
class _Merged:
    relation: Relation
    likeness: float | None = None
    words: float = 0.0
    named: bool = False
    hop: bool = False


def ranked(found: Iterable[Found], limit: int) -> list[Relation]:
    """The best relations with their scores, best first, the newest of equals before.

    Each once, however often it came up; of several that say the same between other things (a fact that names three), the best.
    """
    merged: dict[UUID, _Merged] = {}
    for one in found:
        entry = merged.setdefault(one.relation.edge_id, _Merged(one.relation))
        entry.likeness = one.likeness if entry.likeness is None else entry.likeness
        entry.words = max(entry.words, one.words)
        entry.named = entry.named or one.via == "name"
        entry.hop = entry.hop or one.via == "hop"
    most = max((entry.words for entry in merged.values()), default=0.0) or 1.0
    best_likeness = max((entry.likeness for entry in merged.values() if entry.likeness is not None), default=0.0)
    scored = [replace(entry.relation, score=_score(entry, most, best_likeness)) for entry in merged.values()]
    best: dict[tuple[str, datetime | None], Relation] = {}
    for relation in sorted(scored, key=lambda relation: (-relation.score, -relation.said_at.timestamp())):
        best.setdefault((relation.text, relation.valid_from), relation)
    return list(best.values())[:limit]


def _score(entry: _Merged, most: float, best: float) -> float:
    share, named = entry.words / most, NAME_BONUS * entry.named
    if entry.likeness is None:
        return WITHOUT_VECTOR * share + named
    pull = HOP_PULL * (best - entry.likeness) if entry.hop else 0.0
    return entry.likeness + pull + WORDS_WEIGHT * share + named
