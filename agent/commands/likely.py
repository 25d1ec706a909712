"""Wishes about memory, and a yes to what was asked of it, told by meaning: no sentence of the language files
is like them.

The second key beside whole sentences, for models that are shown no tools: softmax regression over
multilingual e5's vector of the words. Its weights come from examples in fifteen languages (`python -m
evals.wishes --train`) and hold in others. Nearness to single examples found a third as many. What is told so
is only likely: nothing is deleted or decided without a yes (`agent/commands/command_handlers.py`).
"""

import io
from functools import cache
from importlib.resources import files
from typing import cast

import numpy as np
import numpy.typing as npt

from echoic.agent.commands.memory_commands import Asked, CommandName, MemoryCommand
from echoic.memory.config import LOCAL_EMBEDDING_MODEL
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.embedding.spaces import E5

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
LONGEST_CHARS = 300
"""Of words that may be a wish; longer ones tell more than that."""
Floats = npt.NDArray[np.float32]


async def likely_kind(words: str, embedder: Embedder, asked: Asked = "") -> str:
    """Which of `WISHES` these words most likely are, or of `ANSWERS`; the first of them also where the
    embedding in use is none of e5's, or it is not loaded yet.

    Takes the time of one embedding.

    Raises:
        ModelUnavailable: the embedding does not answer.
    """
    kinds = ANSWERS if asked else WISHES
    if len(words) > LONGEST_CHARS or embedder.name != LOCAL_EMBEDDING_MODEL:
        return kinds[0]
    vector = (await embedder.embed(words, across=True))[E5]
    if not vector.any():
        return kinds[0]
    likely = likelihoods(vector / np.linalg.norm(vector), weights_of(asked or "wishes"))
    return likely_answer(likely) if asked else most_likely(likely)


def likely_wish(words: str, kind: str) -> MemoryCommand:
    """The wish of this kind, in these words."""
    if kind == "forget_named":
        return MemoryCommand("forget_that", about=words, likely=True)
    return MemoryCommand(cast(CommandName, kind), likely=True)


def likelihoods(vectors: Floats, weights: Floats) -> Floats:
    """How likely each kind is.

    Args:
        vectors: e5's, of unit length, shape (..., 384).
        weights: shape (385, kinds), the last row added to all.
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
    """Those of `model/NAME.npy`, shape (385, kinds)."""
    stored = files("echoic.agent.commands").joinpath("model", f"{name}.npy").read_bytes()
    weights: Floats = np.load(io.BytesIO(stored), allow_pickle=False).astype(np.float32)
    return weights
