"""Moonshine's model (arXiv 2410.15608), run by ONNX Runtime, and a beam search that expects a caller's names.

The package's own program needs 3.5 times the processor time for the same words (0.53 s a sentence of the
names' eval, 0.15 here; 0.20 of the words wrong with either, 0.18 with a beam of four), and takes no terms.

What follows a term's pieces counts for `LENT` more each, and gives it back if the term is left before its
end (shallow fusion with a prefix tree, arXiv 1812.02142). Of 96 questions about 24 rare names, open half, the
name was written as stored in .16 without it and .60 with it as Piper spoke them, .16 and .50 as espeak-ng
did; of 92 ordinary sentences none got a name that nobody said. With 4 for each piece 1 of 31 did, with 5
three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from echoic.local.speech.client import HEARING_RATE
from echoic.local.speech.moonshine.words import BEGIN, END, Pieces, Place, tree_of

BEAM, LIKELIEST = 4, 6
"""Sentences that are followed at once, and pieces that each may go on with."""
LENT = 3.0
"""Of log probability, in nats."""
TOKENS_A_SECOND, LEAST_TOKENS = 6.5, 2
"""Faster nobody speaks: what is longer was invented."""
SHORTEST = HEARING_RATE // 4
"""Samples; less is followed by silence."""
CALLERS = 64
"""Whose names are kept in pieces: an utterance is read anew for every partial result."""
STRIDE = 384
"""Samples for each moment of what the encoder writes; the decoder counts in samples."""
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heard:
    """A sentence so far."""

    numbers: tuple[int, ...] = (BEGIN,)
    score: float = 0.0
    place: Place | None = None
    """Within a term."""
    lent: float = 0.0
    """Of the score, until the term is whole."""

    @property
    def mean(self) -> float:
        """For each piece: by their sums a sentence that breaks off early would be the likelier one."""
        return self.score / len(self.numbers)


class Moonshine:
    """The tiny English model; for one thread at a time."""

    def __init__(self) -> None:
        folder = _folder()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("encoder_model.ort", "decoder_model_merged.ort")
        )
        self._pieces = Pieces((folder / "tokenizer.bin").read_bytes())
        self._tree = lru_cache(CALLERS)(self._tree_of)
        self._states = [one for one in self._decoder.get_inputs() if one.name.startswith("past")]
        self._written = [one.name for one in self._decoder.get_outputs()]

    def hear(self, samples: Floats, terms: Sequence[str] = ()) -> str:
        """The words of a sentence or a few, at most half a minute: 16 kHz, one channel, from -1 to 1.

        Args:
            terms: names that may be said.
        """
        if not samples.any():
            return ""  # the model would say "You"
        samples = np.pad(samples, (0, max(0, SHORTEST - len(samples))))[None]
        told = {"input_values": samples, "attention_mask": np.ones(samples.shape, np.int64)}
        [sound] = self._encoder.run(None, told)
        most = int(samples.size / HEARING_RATE * TOKENS_A_SECOND) + LEAST_TOKENS
        return self._pieces.text(self._search(sound, self._tree(tuple(terms)), most))

    def _tree_of(self, terms: tuple[str, ...]) -> Place:
        return tree_of(terms, self._pieces)

    def _search(self, sound: Floats, terms: Place, most: int) -> tuple[int, ...]:
        heard, ended = [Heard()], list[Heard]()
        states = self._no_states(sound)
        for step in range(most):
            likely, states = self._next(heard, sound, states, is_first=step == 0)
            found = [
                (self._after(one, number, float(likely[at, number]), terms), at)
                for at, one in enumerate(heard)
                for number in _choices(one, likely[at], terms)
            ]
            found.sort(key=lambda one: -one[0].score)
            going = [(one, at) for one, at in found if one.numbers[-1] != END][:BEAM]
            limit = going[-1][0].score
            ended += [one for one, _ in found if one.numbers[-1] == END and one.score > limit]
            if ended and max(one.mean for one in ended) >= going[0][0].mean:
                break
            heard, rows = [one for one, _ in going], [at for _, at in going]
            states = {name: np.ascontiguousarray(state[rows]) for name, state in states.items()}
        return max(ended or heard, key=lambda one: one.mean).numbers

    def _after(self, one: Heard, number: int, likely: float, terms: Place) -> Heard:
        score, numbers = one.score + likely, (*one.numbers, number)
        if one.place and (place := one.place.then.get(number)):
            return Heard(numbers, score + LENT, place, one.lent + LENT)
        if one.place and (not one.place.is_whole or self._pieces.goes_on(number)):
            score -= one.lent
        if place := terms.then.get(number):
            return Heard(numbers, score + LENT, place, LENT)
        return Heard(numbers, score)

    def _next(
        self, heard: list[Heard], sound: Floats, states: dict[str, Floats], *, is_first: bool
    ) -> tuple[Floats, dict[str, Floats]]:
        """How likely each piece follows each sentence, and what the model keeps of them."""
        told: dict[str, Any] = states | {
            "input_ids": np.array([[one.numbers[-1]] for one in heard], np.int64),
            "encoder_hidden_states": np.repeat(sound, len(heard), axis=0),
            "encoder_attention_mask": np.ones((len(heard), sound.shape[1] * STRIDE), np.int64),
            "use_cache_branch": np.array([not is_first]),
        }
        written = dict(zip(self._written, self._decoder.run(None, told), strict=True))
        scores = written["logits"][:, -1]
        scores = scores - scores.max(axis=1, keepdims=True)
        kept = {
            # of the sound it is worked out once
            name: state
            if ".encoder." in name and not is_first
            else written[name.replace("past_key_values", "present")]
            for name, state in states.items()
        }
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), kept

    def _no_states(self, sound: Floats) -> dict[str, Floats]:
        length = sound.shape[1]
        return {
            one.name: np.zeros(
                (1, one.shape[1], length if ".encoder." in one.name else 0, one.shape[3]), np.float32
            )
            for one in self._states
        }


def _choices(one: Heard, likely: Floats, terms: Place) -> set[int]:
    first = np.argpartition(-likely, LIKELIEST)[:LIKELIEST].tolist()
    return {*first, *terms.then, *(one.place.then if one.place else ())}


def _folder() -> Path:
    """Where the package keeps the model; none of its code is run."""
    found = find_spec("moonshine_voice")
    assert found is not None and found.origin is not None  # `missing` of the server has looked
    return Path(found.origin).parent / "assets" / "tiny-en"
