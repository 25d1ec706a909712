"""Memory on a real Postgres, and a model whose words are known."""

from collections.abc import AsyncIterator, Iterator

import pytest

from echoic.memory.config import MemorySettings
from echoic.memory.service import Memory, open_memory
from tests.embedders import WordEmbedder
from tests.inference_gateway import Gateway


@pytest.fixture
async def stored(memory_settings: MemorySettings) -> AsyncIterator[Memory]:
    """With a budget that a busy machine keeps: what is found is tested here, not how fast."""
    settings = memory_settings.model_copy(update={"recall_budget_ms": 5_000})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running
