"""What a graph query brought up by meaning, words, names and neighbours, as one list, best first."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from echoic.memory.graph.types import Relation, about_of
from echoic.memory.text.people import shown

Via = Literal["vector", "text", "name", "hop"]

WORDS_WEIGHT = 0.03
"""What the words add to a cosine at most: they decide between equals.

On paraphrases a larger share lost answers, and fusion by ranks more of them: of 52 among 1,000 relations 36
were in the first five, 33 with 0.1, 32 with the library's fusion (evals/graph.py)."""
NAME_BONUS = 0.02
"""For relations of something that the question names, for the same reason as small."""
HOP_PULL = 0.3
"""How far a neighbour of the best is drawn up to them: who introduced me to the dentist is said in words
unlike the question's."""
WITHOUT_VECTOR = 0.5
"""The best that words alone can reach, about the cosine of a fair paraphrase."""


@dataclass(frozen=True, slots=True)
class Found:
    """One candidate: how it came up, and how near its vector is (None: not known)."""

    relation: Relation
    via: Via
    likeness: float | None = None
    weight: float = 0.0
    """`text`: its score in the text search; `hop`: the likeness of what it is a neighbour of."""


@dataclass(slots=True)
class _Merged:
    relation: Relation
    likeness: float | None = None
    words: float = 0.0
    pull: float = 0.0
    named: bool = False

    def add(self, found: Found) -> None:
        self.likeness = found.likeness if self.likeness is None else self.likeness
        if found.via == "text":
            self.words = max(self.words, found.weight)
        elif found.via == "hop":
            self.pull = max(self.pull, found.weight)
        elif found.via == "name":
            self.named = True

    def score(self, most_words: float) -> float:
        share, named = self.words / most_words, NAME_BONUS * self.named
        if self.likeness is None:
            return WITHOUT_VECTOR * share + named
        return self.likeness + HOP_PULL * max(0.0, self.pull - self.likeness) + WORDS_WEIGHT * share + named


def ranked(found: Iterable[Found], limit: int) -> list[Relation]:
    """The best relations with their scores, best first, the newest of equals before.

    Each once, however often it came up; of several that say the same between other things (a fact that names
    three), the best.
    """
    merged: dict[UUID, _Merged] = {}
    for one in found:
        merged.setdefault(one.relation.edge_id, _Merged(one.relation)).add(one)
    most_words = max((entry.words for entry in merged.values()), default=0.0) or 1.0
    scored = [replace(entry.relation, score=entry.score(most_words)) for entry in merged.values()]
    best: dict[tuple[str, datetime | None], Relation] = {}
    for relation in sorted(scored, key=lambda relation: (-relation.score, -relation.said_at.timestamp())):
        said = shown(relation.text, about_of(relation))
        best.setdefault((said, relation.valid_from), relation)
    return list(best.values())[:limit]
