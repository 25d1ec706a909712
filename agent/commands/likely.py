"""Wishes about memory, and a yes to what was asked of it, told by meaning: no sentence of the language files
is like them.

The second key beside whole sentences, for models that are shown no tools: softmax regression over
multilingual e5's vector of the words. Its weights come from examples in fifteen languages (`python -m
evals.wishes --train`) and hold in others. Nearness to single examples found a third as many. What is told so
is only likely: nothing is deleted or decided without a yes (`agent/commands/command_handlers.py`).

e5 takes longer than all else that a reply waits for. So where the vector with which memory is asked has
nothing of it, the same regression over what is there says first of most words that they wish nothing.
"""

import io
from functools import cache
from importlib.resources import files
from typing import cast

import numpy as np
import numpy.typing as npt

from echoic.agent.commands.memory_commands import Asked, CommandName, MemoryCommand
from echoic.memory.config import LOCAL_EMBEDDING_MODEL
from echoic.memory.embedding.embedder import Embedder, Vector
from echoic.memory.embedding.spaces import E5, ENGLISH, UNIVERSAL

WISHES = (
    "nothing",
    "what_do_you_know",
    "forget_that",
    "forget_named",
    "dont_remember_this",
    "stop_remembering",
    "remember_again",
    "forget_everything",
)
ANSWERS = ("unsure", "no", "yes")
"""To "Shall I forget this?" and "May I remember this?", whose weights are their own."""
LEAST_LIKELY = 0.6
MAYBE = 0.03
"""How likely some wish or other must be at first sight: so few wishes of the open half are lost that the
figures of evals/wishes.py stay as they are (at .05 two of 83 are lost). 30 of 100 of LoCoMo's turns may be
wishes by that."""
FIRST_SIGHT = (("wishes_universal", UNIVERSAL), ("wishes_english", ENGLISH))
LONGEST_CHARS = 300
"""Of words that may be a wish; longer ones tell more than that."""
Floats = npt.NDArray[np.float32]


async def likely_kind(words: str, embedder: Embedder, asked: Asked = "", known: Vector | None = None) -> str:
    """Which of `WISHES` these words most likely are, or of `ANSWERS`; the first of them also where the
    embedding in use is none of e5's, or it is not loaded yet.

    Args:
        known: the vector with which memory is asked for these words.

    Raises:
        ModelUnavailable: the embedding does not answer.
    """
    kinds = ANSWERS if asked else WISHES
    if len(words) > LONGEST_CHARS or embedder.name != LOCAL_EMBEDDING_MODEL:
        return kinds[0]
    known = await embedder.embed(words) if known is None else known
    if not known[E5].any():
        if not asked and not may_wish(known):
            return kinds[0]
        known = await embedder.embed(words, across=True)
    vector = known[E5]
    if not vector.any():
        return kinds[0]
    likely = likelihoods(vector / np.linalg.norm(vector), weights_of(asked or "wishes"))
    return likely_answer(likely) if asked else most_likely(likely)


def may_wish(known: Vector) -> bool:
    """Whether words may be a wish by a vector without e5's part; where no model says anything they may."""
    for name, place in FIRST_SIGHT:
        if (part := known[place]).any():
            likely = likelihoods(part / np.linalg.norm(part), weights_of(name))
            return bool(likely[1:].sum() >= MAYBE)
    return True


def likely_wish(words: str, kind: str) -> MemoryCommand:
    """The wish of this kind, in these words."""
    if kind == "forget_named":
        return MemoryCommand("forget_that", about=words, likely=True)
    return MemoryCommand(cast(CommandName, kind), likely=True)


def likelihoods(vectors: Floats, weights: Floats) -> Floats:
    """How likely each kind is.

    Args:
        vectors: a model's, of unit length, shape (..., dimensions).
        weights: shape (dimensions + 1, kinds), the last row added to all.
    """
    scores = vectors @ weights[:-1] + weights[-1]
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    likely: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return likely


def most_likely(likely: Floats) -> str:
    """The likeliest wish, if some wish or other is likely enough."""
    return WISHES[1 + int(likely[1:].argmax())] if likely[1:].sum() >= LEAST_LIKELY else "nothing"


def likely_answer(likely: Floats) -> str:
    """The answer that is likely enough."""
    return ANSWERS[int(likely.argmax())] if likely.max() >= LEAST_LIKELY else "unsure"


@cache
def weights_of(name: str) -> Floats:
    """Those of `model/NAME.npy`, shape (dimensions + 1, kinds)."""
    stored = files("echoic.agent.commands").joinpath("model", f"{name}.npy").read_bytes()
    weights: Floats = np.load(io.BytesIO(stored), allow_pickle=False).astype(np.float32)
    return weights
