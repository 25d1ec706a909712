"""A model that was pulled, on ONNX Runtime: its files as they were published, checked when it is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.files import whole_folder
from echoic.memory.embedding.hub_models import GRAPH, TOKENIZER, HubModel
from echoic.memory.errors import ConfigInvalid

Floats = npt.NDArray[np.float32]
MAX_TOKENS = 512  # e5 was trained on so many, and no turn has more
LAST_STATES = 3  # tokens' vectors have three dimensions; some files hold the whole text's beside them


class PulledModel:
    """Text -> unit vectors. Threads may share it.

    Raises:
        ConfigInvalid: a file is missing or another one, or it is no such model.
    """

    def __init__(self, model: HubModel, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        files = whole_folder(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self._tokenizer: Any = Tokenizer.from_str(files[TOKENIZER].read_text(encoding="utf-8"))
            self._session: Any = onnxruntime.InferenceSession(
                str(files[GRAPH]), options, providers=["CPUExecutionProvider"]
            )
            self._given = {one.name for one in self._session.get_inputs()}
            self._made = next(
                one.name for one in self._session.get_outputs() if len(one.shape) == LAST_STATES
            )
        except Exception as exc:  # these libraries raise bare ones
            raise ConfigInvalid(
                f"{model.name} cannot be loaded ({type(exc).__name__}): `echoic model remove` it, and pull "
                "again."
            ) from exc
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()
        self._model = model
        if (length := len(self._vector("length"))) != model.dimensions:
            raise ConfigInvalid(f"{model.name} makes vectors of {length} numbers, not {model.dimensions}.")

    def encode(self, texts: Sequence[str], *, asked: bool = False) -> Floats:
        """One vector a text; one after the other, so that none is padded to the length of another."""
        before = self._model.asked if asked else self._model.stored
        vectors = np.stack([self._vector(before + text) for text in texts])
        unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return unit

    def _vector(self, text: str) -> Floats:
        read = self._tokenizer.encode(text)
        columns = {
            "input_ids": read.ids,
            "attention_mask": read.attention_mask,
            "token_type_ids": read.type_ids,
        }
        given = {name: np.array([column], np.int64) for name, column in columns.items()}
        fed = {name: given[name] for name in self._given}
        tokens: Floats = self._session.run([self._made], fed)[0][0]
        found: Floats = tokens[0] if self._model.pooling == "first" else tokens.mean(axis=0)
        return found
