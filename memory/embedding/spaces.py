"""Where the numbers of each local model stand in one vector, and how a question is asked of what is stored.

A model that does not know the words has zeros, in what is stored as in a question, so the inner product of
two vectors is the sum of what those models say that know both: no table, query or index knows of several.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.embedding import e5, minilm, universal

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Space:
    """A local model's part of a vector."""

    model: str
    place: slice
    languages: frozenset[str] | None
    """ISO 639-1 codes; None: about a hundred."""

    def knows(self, code: str) -> bool:
        return self.languages is None or code in self.languages


_ENDS = np.cumsum([0, minilm.DIMENSIONS, universal.DIMENSIONS, e5.DIMENSIONS]).tolist()
SPACES = (
    Space("all-MiniLM-L6-v2", slice(_ENDS[0], _ENDS[1]), frozenset({"en"})),
    Space("universal-sentence-encoder-multilingual", slice(_ENDS[1], _ENDS[2]), universal.LANGUAGES),
    Space("multilingual-e5-small", slice(_ENDS[2], _ENDS[3]), None),
)
"""What is stored has a place in each that knows its language. A question is asked in the first if it is
English and all that is stored too, else in the others: in E5's only with `echoic[languages]`."""
ENGLISH, UNIVERSAL, E5 = (space.place for space in SPACES)
OTHERS = slice(UNIVERSAL.start, E5.stop)


@dataclass(frozen=True, slots=True)
class Kinds:
    """What kinds of vectors some memories have, taken together."""

    other_languages: bool = False
    """Some are of words that are not English."""
    without_e5: bool = False
    """Some have no place in its space: they were embedded without it, and wait for the worker."""

    def __or__(self, more: "Kinds") -> "Kinds":
        return Kinds(self.other_languages | more.other_languages, self.without_e5 | more.without_e5)


def kinds_of(vectors: Vector) -> Kinds:
    """Of stored vectors, shape (n, dimensions); nan: not embedded yet."""
    if vectors.shape[1] != LOCAL_DIMENSIONS:
        return Kinds()  # of a model that makes no difference
    known = vectors[~np.isnan(vectors[:, -1])]
    return Kinds(
        bool(len(known)) and not known[:, ENGLISH].any(axis=1).all(),
        bool(len(known)) and not known[:, E5].any(axis=1).all(),
    )


def shared(vector: Vector) -> Vector:
    """A question's vector, in which models that both know it count for one together: its inner products stay
    cosines."""
    if vector[UNIVERSAL].any() and vector[E5].any():
        vector[OTHERS] /= 2
    return vector


def within(question: Vector, kinds: Kinds) -> Vector:
    """The question as it is asked of such memories: of English alone, the first model suffices, and a model
    is asked of all or of none."""
    if len(question) != LOCAL_DIMENSIONS:
        return question
    asked = question.copy()
    if not kinds.other_languages and question[ENGLISH].any():
        asked[OTHERS] = 0
    elif kinds.without_e5 and question[UNIVERSAL].any() and question[E5].any():
        asked[UNIVERSAL] *= 2
        asked[E5] = 0
    return asked


def asked_of_each(question: Vector) -> tuple[Vector, Vector]:
    """A question that was embedded `across`, as it is asked of English, and of others: so each memory
    has one cosine."""
    return within(question, Kinds()), question


def likeness(question: Vector, vectors: Vector) -> Vector:
    """Cosines of a question, asked `across`, and of stored vectors, shape (n, dimensions): each by the models
    that know what is stored best."""
    near = vectors @ question
    if vectors.shape[1] == LOCAL_DIMENSIONS:
        english = vectors[:, ENGLISH].any(axis=1)
        near[english] = vectors[english] @ within(question, Kinds())
    found: Vector = near
    return found
