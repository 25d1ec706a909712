"""Memory on a real Postgres, and a model whose words are known."""

from collections.abc import AsyncIterator, Iterator

import pytest

from echoic.memory.config import MemorySettings
from echoic.memory.service import Memory, open_memory
from tests.embedders import WordEmbedder
from tests.inference_gateway import Gateway


@pytest.fixture
async def stored(memory_settings: MemorySettings) -> AsyncIterator[Memory]:
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running
