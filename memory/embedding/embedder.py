"""Words -> vectors: the local models in threads of their own, or any OpenAI-compatible endpoint."""

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Protocol

import numpy as np

from echoic.memory.config import LOCAL_DIMENSIONS, LOCAL_EMBEDDING_MODEL, MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding.hub_models import HUB_MODELS, hub_model
from echoic.memory.embedding.minilm import MiniLM
from echoic.memory.embedding.pulled import PulledModel
from echoic.memory.embedding.spaces import E5, ENGLISH, SPACES, UNIVERSAL, shared
from echoic.memory.embedding.spaces import Vector as Vector  # from here to all who embed
from echoic.memory.embedding.universal import UniversalEncoder, load_universal, universal_files
from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from echoic.memory.hosting.one_thread import compute_on_one_thread
from echoic.memory.text.language import load_identifier, other_language

log = logging.getLogger("echoic.embed")
MAX_CHARS = (
    8_000  # more than 256 tokens of any script: tokenising 100,000 characters would cost 60 ms for nothing
)
BATCH = 16  # a larger batch gains nothing on a CPU (27 ms at 4, 90 ms at 16) and keeps questions waiting
REMOTE_BATCH = 128
REMOTE_TIMEOUT_S = 10.0

Others = Future[tuple[UniversalEncoder, e5.E5 | None]]


class Embedder(Protocol):
    """Turns text into vectors whose inner products say how near two texts are in meaning."""

    name: str
    dimensions: int

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        """The vector of a question, shape (dimensions,).

        Args:
            across: it is asked of what was said in several languages.

        Raises:
            ModelUnavailable: an endpoint does not answer.
        """
        ...

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        """Vectors of texts that are stored, shape (len(texts), dimensions); no question waits for all of
        them."""
        ...

    async def close(self) -> None: ...


async def embed_each(embedder: Embedder, texts: Sequence[str]) -> list[Vector | None]:
    """Vectors of texts that are stored; None for one that the embedder refuses while it takes others.

    Raises whatever is wrong with the embedder, such as ModelUnavailable.
    """
    try:
        return list(await embedder.embed_batch(texts))
    except Exception:
        await embedder.embed_batch(["probe"])  # raises what is wrong, unless it is one of the texts
    found: list[Vector | None] = []
    for text in texts:
        try:
            found += list(await embedder.embed_batch([text]))
        except Exception as exc:
            await embedder.embed_batch(["probe"])
            log.warning("embed.text_refused", extra={"error": type(exc).__name__})
            found.append(None)
    return found


def open_embedder(settings: MemorySettings) -> Embedder:
    """The embedder that the settings name. Loading the local one takes about 0.3 s.

    Raises:
        ConfigInvalid: unknown local model, or its files are missing or changed.
    """
    if settings.embedding_url:
        return RemoteEmbedder(settings)
    if folder := pulled_folder(settings):
        return PulledEmbedder(folder, workers=settings.embedding_workers)
    return LocalEmbedder(workers=settings.embedding_workers)


def pulled_folder(settings: MemorySettings) -> Path | None:
    """Where the pulled model lies that the settings name, whole or not; None: they name the local models.

    Raises:
        ConfigInvalid: they name neither.
    """
    name, dimensions = settings.embedding_model, settings.embedding_dimensions
    if model := hub_model(name):
        if dimensions != model.dimensions:
            raise ConfigInvalid(
                f"ECHOIC_EMBEDDING_DIMENSIONS is {dimensions}: {name} makes {model.dimensions} numbers."
            )
        return settings.folder / "models" / name
    if (name, dimensions) != (LOCAL_EMBEDDING_MODEL, LOCAL_DIMENSIONS):
        raise ConfigInvalid(
            f"The local embedding model is {LOCAL_EMBEDDING_MODEL} with {LOCAL_DIMENSIONS} dimensions; "
            f"`echoic model pull` fetches {' or '.join(one.name for one in HUB_MODELS)}; for another set "
            "ECHOIC_EMBEDDING_URL, ECHOIC_EMBEDDING_MODEL and ECHOIC_EMBEDDING_DIMENSIONS."
        )
    return None


class _InThreads:
    """A model of this machine, in threads: first in, first out, one text a thread; batching short questions
    was slower."""

    name: str
    dimensions: int

    def __init__(self, workers: int) -> None:
        compute_on_one_thread()
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="embed")

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.embed_question, text, across)

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        loop = asyncio.get_running_loop()
        batches = [list(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(
            [await loop.run_in_executor(self._threads, self.embed_now, batch) for batch in batches]
        )

    def embed_question(self, text: str, across: bool = False) -> Vector:
        """As `embed`, in the calling thread."""
        raise NotImplementedError

    def embed_now(self, texts: list[str]) -> Vector:
        """As `embed_batch`, in the calling thread."""
        raise NotImplementedError

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class PulledEmbedder(_InThreads):
    """One model that was pulled, for all languages; its vectors are its own.

    Raises:
        ConfigInvalid: its files are missing or changed.
    """

    def __init__(self, folder: Path, *, workers: int = 2) -> None:
        super().__init__(workers)
        self.name, model = folder.name, hub_model(folder.name)
        assert model is not None  # `pulled_folder` says so
        self.dimensions, self._model = model.dimensions, PulledModel(model, folder)

    def embed_question(self, text: str, across: bool = False) -> Vector:
        vector: Vector = self._model.encode([text[:MAX_CHARS]], asked=True)[0]
        return vector

    def embed_now(self, texts: list[str]) -> Vector:
        return self._model.encode([text[:MAX_CHARS] for text in texts])


class LocalEmbedder(_InThreads):
    """The models of this machine (memory/embedding/spaces.py): MiniLM finds English best, one or two others
    the rest.

    What is stored has a place in every space that knows its language. A question is asked in the first if it
    is English, else in the others: what is stored in English is found from any language.
    """

    name = LOCAL_EMBEDDING_MODEL
    dimensions = LOCAL_DIMENSIONS

    def __init__(self, *, workers: int = 2) -> None:
        super().__init__(workers)
        self._english, self._others = _english(), _others()
        if self._others.done() and self._others.exception():  # for an earlier memory: try again
            _others.cache_clear()
            self._others = _others()

    def embed_question(self, text: str, across: bool = False) -> Vector:
        """As `embed`, in the calling thread; English alone is known until the other models are loaded."""
        text, vector = text[:MAX_CHARS], np.zeros(self.dimensions, np.float32)
        loaded = self._others.done() and self._others.exception() is None
        code = other_language(text) if loaded else ""
        if not code:
            vector[ENGLISH] = self._english.encode([text])[0]
        if loaded and (across or code):
            self._add_others(vector[None], [text], [code], e5.ASKED)
        return shared(vector)

    def embed_now(self, texts: list[str]) -> Vector:
        """As `embed_batch`, in the calling thread; waits until all is loaded."""
        self._others.result()
        texts = [text[:MAX_CHARS] for text in texts]
        vectors, codes = np.zeros((len(texts), self.dimensions), np.float32), [*map(other_language, texts)]
        self._add_others(vectors, texts, codes, e5.STORED)
        if english := [at for at, code in enumerate(codes) if not code]:
            vectors[english, ENGLISH] = self._english.encode([texts[at] for at in english])
        return vectors

    def _add_others(self, vectors: Vector, texts: list[str], codes: list[str], kind: str) -> None:
        """What the models for other languages say, each of those that it knows; one that is alone of all."""
        universal, multilingual = self._others.result()
        known = [at for at, code in enumerate(codes) if not multilingual or SPACES[1].knows(code or "en")]
        if known:
            vectors[known, UNIVERSAL] = universal.encode([texts[at] for at in known])
        if multilingual:
            vectors[:, E5] = multilingual.encode(texts, kind)


@cache
def _english() -> MiniLM:
    """Loaded once in a process, whose next memory opens without it."""
    return MiniLM()


@cache
def _others() -> Others:
    """The models for other languages, likewise.

    They load in the background for three seconds, in which English questions are answered.
    """
    files, loaded = (*universal_files(), e5.e5_file() if e5.installed() else None), Others()
    Thread(target=_load, args=(loaded, *files), name="embed load", daemon=True).start()
    return loaded


def _load(loaded: Others, weights: bytes, vocabulary: bytes, model: bytes | None) -> None:
    try:
        load_identifier()
        universal = load_universal(weights, vocabulary)
        loaded.set_result((universal, e5.load_e5(model) if model else None))
    except Exception as exc:  # whoever asks reads it
        loaded.set_exception(exc)


def _forget_loaded() -> None:
    """A forked process loads its own: threads, with what they were loading, stay with its parent."""
    _english.cache_clear()
    _others.cache_clear()


os.register_at_fork(after_in_child=_forget_loaded)


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

    async def embed(self, text: str, *, across: bool = False) -> Vector:
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


def _unit(vectors: Vector) -> Vector:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
