"""Mem0's own search over the same facts, set up as well as its options allow.

No approximate index, and an index on the user.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest.mock import patch

from echoic.memory.embedding.embedder import LocalEmbedder
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from evals.bench_data import LOAD_LIMIT_S

COLLECTION = "mem0_facts"
FILL = (
    f"insert into {COLLECTION} (id, vector, payload) select id, vector, payload from facts",
    f"create index on {COLLECTION} ((payload ->> 'user_id'))",
    f"vacuum (analyze) {COLLECTION}",
)


class SameEmbedder:
    """The model of the other variants. Mem0 calls it in a thread of its own, so no further one is needed."""

    embedder: ClassVar[LocalEmbedder]

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return self.embedder.embed_question(text).tolist()  # it is only searched: what is stored is ours


class NoLLM:
    """Searching asks no model."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


@asynccontextmanager
async def open_mem0(memory: Memory) -> AsyncIterator[Any]:
    """`AsyncMemory` on a collection of its own with the facts of every user."""
    SameEmbedder.embedder = LocalEmbedder()
    with (
        TemporaryDirectory(prefix="echoic-bench-") as folder,
        patch.dict(os.environ, MEM0_TELEMETRY="False", MEM0_DIR=folder),
    ):
        from mem0 import AsyncMemory  # reads the environment once, at import
        from mem0.configs.llms.base import BaseLlmConfig
        from mem0.utils.factory import EmbedderFactory, LlmFactory

        EmbedderFactory.provider_to_class["fastembed"] = f"{__name__}.SameEmbedder"
        LlmFactory.provider_to_class["vllm"] = (f"{__name__}.NoLLM", BaseLlmConfig)
        mem0 = AsyncMemory.from_config(_config(memory))
        mem0.vector_store.create_col()
        await memory.db.run(_fill, timeout_s=LOAD_LIMIT_S)
        try:
            yield mem0
        finally:
            await SameEmbedder.embedder.close()
            mem0.vector_store.connection_pool.close()
            mem0.db.close()


def _config(memory: Memory) -> dict[str, Any]:
    dimensions = memory.embedder.dimensions
    store = {"collection_name": COLLECTION, "embedding_model_dims": dimensions, "hnsw": False}
    store["connection_string"] = memory.settings.database_url.get_secret_value()
    return {
        "history_db_path": ":memory:",
        "llm": {"provider": "vllm", "config": {"model": "none"}},
        "embedder": {"provider": "fastembed", "config": {"embedding_dims": dimensions}},
        "vector_store": {"provider": "pgvector", "config": store},
    }


async def _fill(connection: Connection) -> None:
    for statement in FILL:
        await connection.execute(statement)
