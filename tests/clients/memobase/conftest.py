"""`echoic api` and a worker in a thread of their own, for clients that block, and Memobase's package."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import memobase
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from echoic.api.access.keys import KeyRole, add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.service import Memory, open_memory
from echoic.workers.main import run_worker
from tests.clients.calls import counted
from tests.clients.learning import memory_settings, model
from tests.clients.serving import at_a_port

__all__ = ["memory_settings", "model"]  # fixtures
Result = TypeVar("Result")


@dataclass(frozen=True)
class House:
    """What runs, and how a test looks into it."""

    address: str
    memory: Memory
    portal: BlockingPortal

    def run(self, ask: Callable[..., Awaitable[Result]], *args: object) -> Result:
        """Await it where memory lives."""
        return self.portal.call(ask, *args)

    def key(self, role: KeyRole = "admin", user_id: str | None = None) -> str:
        """A fresh one of this role."""
        return self.run(add_key, self.memory.db, f"the {role}", role, user_id)[0]

    def client(self, key: str | None = None, **options: Any) -> memobase.MemoBaseClient:
        return memobase.MemoBaseClient(project_url=self.address, api_key=key or self.key(), **options)


@asynccontextmanager
async def working(settings: MemorySettings) -> AsyncIterator[None]:
    """A worker, in this loop."""
    never = asyncio.Event()
    task = asyncio.create_task(run_worker(settings, until=never.wait()))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def opened(settings: MemorySettings, embedder: Embedder) -> AsyncIterator[tuple[str, Memory]]:
    async with (
        open_memory(settings, embedder=embedder) as memory,
        serving(memory, load_api_settings(rate_per_minute=100_000)) as app,
        at_a_port(app) as address,
        working(settings),
    ):
        yield address, memory


@pytest.fixture
def house(memory_settings, embedder, monkeypatch) -> Iterator[House]:
    """With the embedding model of this machine in this process, for the API and the worker alike."""
    monkeypatch.setattr("echoic.workers.main.open_shared_embedder", lambda _: embedder)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(opened(memory_settings, embedder)) as (address, memory),
    ):
        yield House(address, memory, portal)


@pytest.fixture(scope="session", autouse=True)
def calls(record_testsuite_property) -> Iterator[None]:
    """How many of the client's methods are tried."""
    kinds = (memobase.MemoBaseClient, memobase.User, memobase.AsyncMemoBaseClient, memobase.AsyncUser)
    with counted(*kinds) as calls:
        yield
    record_testsuite_property("calls", calls.told)


@pytest.fixture
def client(house) -> memobase.MemoBaseClient:
    """An admin's: Memobase has one key, which may do everything."""
    return house.client()


@pytest.fixture
def user(client) -> Any:
    """Somebody new."""
    return client.get_user(client.add_user(), no_get=True)
