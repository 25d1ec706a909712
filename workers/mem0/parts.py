"""The parts that Mem0's pipeline is given instead of its own: a model that raises, vectors it does not need,
rows it hands over.

Mem0 checks the names of providers but not the classes behind them, so ours stand behind names that Echoic
does not use.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai

from echoic.memory.config import MemorySettings
from echoic.memory.errors import ModelAnswerInvalid
from echoic.workers.model.answer import parse
from echoic.workers.model.chat import ANSWER_TOKENS, AnswerTooLong, unavailable

LLM, EMBEDDER, STORE = "vllm", "fastembed", "faiss"
"""Whitelisted names whose classes are replaced by ours."""
DIMENSIONS = 1


def load_mem0() -> Any:
    """Mem0's `Memory` class, with our parts in its factories. Takes 2.5 s the first time.

    Telemetry is off and nothing is written into the home folder: Mem0 reads both from the environment when it
    is imported.
    """
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", str(Path(tempfile.gettempdir()) / f"echoic-mem0-{os.getuid()}"))
    from mem0 import Memory
    from mem0.configs.llms.base import BaseLlmConfig
    from mem0.utils.factory import EmbedderFactory, LlmFactory, VectorStoreFactory

    here = __name__
    LlmFactory.provider_to_class[LLM] = (f"{here}.StrictModel", BaseLlmConfig)
    EmbedderFactory.provider_to_class[EMBEDDER] = f"{here}.NoVectors"
    VectorStoreFactory.provider_to_class[STORE] = f"{here}.HandedOver"
    return Memory


def config_of(settings: MemorySettings, model: str, batch: str) -> dict[str, Any]:
    """Mem0's configuration for one batch: its message history lives in memory and dies with the instance."""
    return {
        "history_db_path": ":memory:",
        "llm": {"provider": LLM, "config": {"model": model}},
        "embedder": {"provider": EMBEDDER, "config": {"embedding_dims": DIMENSIONS}},
        "vector_store": {
            "provider": STORE,
            "config": {"collection_name": batch, "embedding_model_dims": DIMENSIONS},
        },
    }


class Row:
    """What Mem0 expects of a stored memory."""

    def __init__(self, row_id: str, payload: dict[str, Any]) -> None:
        self.id, self.payload, self.score = row_id, payload, 1.0


class HandedOver:
    """A vector store that keeps what Mem0 inserts for our transaction, and shows it the live facts we found
    ourselves."""

    def __init__(self, collection_name: str = "", **_: Any) -> None:
        self.collection_name = collection_name
        self.known: list[Row] = []
        self.inserted: list[dict[str, Any]] = []

    def search(self, query: str, vectors: Any, top_k: int = 5, filters: Any = None) -> list[Row]:
        return self.known[:top_k]

    def search_batch(
        self, queries: Sequence[str], vectors_list: Any, top_k: int = 1, filters: Any = None
    ) -> list[list[Row]]:
        return [[] for _ in queries]

    def keyword_search(self, query: str, top_k: int = 5, filters: Any = None) -> list[Row]:
        return []

    def list(self, filters: Any = None, top_k: int | None = None) -> list[Row]:
        return []

    def insert(self, vectors: Any, payloads: Sequence[dict[str, Any]] = (), ids: Any = None) -> None:
        self.inserted.extend(payloads)

    def update(self, vector_id: str, vector: Any = None, payload: Any = None) -> None:
        """Entities of Mem0's own index; Echoic ranks by its own."""


class NoVectors:
    """The rows get their vectors from our embedder, in our transaction; Mem0 compares none."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [0.0]

    def embed_batch(self, texts: Sequence[str], memory_action: str | None = None) -> list[list[float]]:
        return [[0.0] for _ in texts]


class StrictModel:
    """Asks the configured model and raises when it does not answer in Mem0's form, where Mem0 would log it
    and learn nothing."""

    client: openai.OpenAI
    """Set by the extractor before the first call."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def generate_response(
        self, messages: Sequence[dict[str, str]], response_format: Any = None, **_: Any
    ) -> str:
        """Called in Mem0's thread.

        Raises:
            ModelUnavailable, ModelAnswerInvalid: Mem0 wraps them; the extractor takes them out again.
        """
        try:
            answer = self.client.chat.completions.create(  # type: ignore[call-overload]
                model=self.config.model,
                messages=list(messages),
                temperature=0,
                max_tokens=ANSWER_TOKENS,
                response_format={"type": "json_object"},
            )
        except (openai.BadRequestError, openai.UnprocessableEntityError) as exc:
            raise AnswerTooLong(
                "The language model refuses Mem0's prompt of about 8,000 tokens: its context may be too "
                "short."
            ) from exc
        except openai.OpenAIError as exc:
            raise unavailable(exc) from exc
        text = answer.choices[0].message.content or "" if answer.choices else ""
        found = parse(text).value
        memories = found.get("memory") if isinstance(found, dict) else None
        if not isinstance(memories, list) or not all(
            isinstance(one, dict) and isinstance(one.get("text"), str) for one in memories
        ):
            raise ModelAnswerInvalid("The language model did not answer in Mem0's form.")
        return json.dumps(found)
