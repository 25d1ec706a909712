"""Wishes about memory that no sentence of the language files is like, told by what the words mean.

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

from echoic.agent.commands.memory_commands import CommandName, MemoryCommand
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.embedding.spaces import E5

KINDS = (
    "nothing",
    "what_do_you_know",
    "forget_that",
    "forget_named",
    "dont_remember_this",
    "stop_remembering",
    "remember_again",
    "forget_everything",
)
LEAST_LIKELY = 0.6
LONGEST_CHARS = 300
"""Of words that may be a wish; longer ones tell more than that."""
Floats = npt.NDArray[np.float32]


async def likely_kind(words: str, embedder: Embedder) -> str:
    """Which of `KINDS` these words most likely are; "nothing" also where the embedding in use has no
    multilingual e5 in it.

    Takes the time of one embedding.

    Raises:
        ModelUnavailable: the embedding does not answer.
    """
    if len(words) > LONGEST_CHARS:
        return "nothing"
    vector = (await embedder.embed(words, across=True))[E5]
    if not vector.any():
        return "nothing"
    return most_likely(likelihoods(vector / np.linalg.norm(vector), _weights()))


def likely_wish(words: str, kind: str) -> MemoryCommand:
    """The wish of this kind, in these words."""
    if kind == "forget_named":
        return MemoryCommand("forget_that", about=words, likely=True)
    return MemoryCommand(cast(CommandName, kind), likely=True)


def likelihoods(vectors: Floats, weights: Floats) -> Floats:
    """How likely each of `KINDS` is.

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
    return KINDS[1 + int(likely[1:].argmax())] if likely[1:].sum() >= LEAST_LIKELY else "nothing"


@cache
def _weights() -> Floats:
    stored = files("echoic.agent.commands").joinpath("model", "wishes.npy").read_bytes()
    weights: Floats = np.load(io.BytesIO(stored), allow_pickle=False).astype(np.float32)
    return weights
