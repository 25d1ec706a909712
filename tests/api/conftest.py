"""The API over real stores, asked by clients with keys of each role."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from echoic.api.access.keys import add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.memory.service import Memory, open_memory
from tests.embedders import WordEmbedder


@dataclass
class Served:
    """An API that runs, and how one asks it."""

    app: FastAPI
    memory: Memory

    @asynccontextmanager
    async def client(
        self, role: str = "admin", user_id: str | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        """With a fresh key of this role."""
        key, _ = await add_key(self.memory.db, f"the {role}", role, user_id)
        async with self.without_key(Authorization=f"Bearer {key}") as client:
            yield client

    def without_key(self, **headers: str) -> httpx.AsyncClient:
        # a defect is answered like any other problem, and not raised into the test
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8090", headers=headers)


@pytest.fixture
async def memory(memory_settings) -> AsyncIterator[Memory]:
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
async def served(memory) -> AsyncIterator[Served]:
    async with serving(memory, load_api_settings(rate_per_minute=100_000)) as app:
        yield Served(app, memory)


@pytest.fixture
async def admin(served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as client:
        yield client


@pytest.fixture
async def address(served) -> AsyncIterator[str]:
    """The same app behind a real server, for what streams."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(served.app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await running
