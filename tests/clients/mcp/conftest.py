"""The MCP server over real stores and a real port, and the SDK's client with keys for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from echoic.api.access.keys import add_key
from echoic.api.config import load_api_settings
from echoic.api.mcp.http import PATH, serving_mcp
from echoic.memory.service import Memory, open_memory
from tests.clients.serving import at_a_port
from tests.embedders import WordEmbedder

MODES = ("auto", "legacy")
"""Of the SDK's client: today's protocol, and the handshake of those before."""


@dataclass
class Served:
    """A server that runs, and how one asks it."""

    address: str
    memory: Memory

    @property
    def url(self) -> str:
        return f"{self.address}{PATH}"

    @asynccontextmanager
    async def client(
        self, user_id: str | None = "ana", *, mode: str = "auto", role: str = "user", **headers: str
    ) -> AsyncIterator[Client]:
        """With a fresh key of this person, or of that role."""
        key, _ = await add_key(self.memory.db, f"the {role}", role, user_id)
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"} | headers) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client


@pytest.fixture(params=MODES)
def mode(request) -> str:
    return request.param


@pytest.fixture
async def memory(memory_settings) -> AsyncIterator[Memory]:
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
async def served(memory) -> AsyncIterator[Served]:
    async with (
        serving_mcp(memory, load_api_settings(rate_per_minute=100_000)) as app,
        at_a_port(app) as address,
    ):
        yield Served(address, memory)
