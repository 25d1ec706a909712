"""`echoic api` and a worker in a thread of their own, for clients that block, and Memobase's package."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import memobase
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from echoic.api.access.keys import KeyRole, add_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings, load_settings
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.service import Memory, open_memory
from echoic.workers.main import run_worker
from tests.clients.calls import counted
from tests.clients.learning import DOG, memory_settings, scripted_by
from tests.clients.serving import at_a_port
from tests.conftest import new_database
from tests.fakes import ScriptedModel

__all__ = ["memory_settings"]  # a fixture
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


@contextmanager
def run_house(settings: MemorySettings, embedder: Embedder) -> Iterator[House]:
    """With the embedding model of this machine in this process, for the API and the worker alike."""
    with pytest.MonkeyPatch.context() as patch, start_blocking_portal() as portal:
        patch.setattr("echoic.workers.main.open_shared_embedder", lambda _: embedder)
        with portal.wrap_async_context_manager(opened(settings, embedder)) as (address, memory):
            yield House(address, memory, portal)


@pytest.fixture(scope="session")
def scripted() -> Iterator[ScriptedModel]:
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def model(scripted) -> ScriptedModel:
    """As every test finds it."""
    scripted.answers.clear()
    scripted.requests.clear()
    scripted.otherwise = DOG
    return scripted


@pytest.fixture(scope="session")
def shared_house(stores, embedder, scripted, tmp_path_factory) -> Iterator[House]:
    """For all tests that look at nobody but users of their own.

    What one of them leaves to be learned is never learned by itself: the model has its lines for others then.
    """
    with new_database(stores) as url:
        settings = load_settings(
            database_url=url,
            redis_url=stores.redis_url,
            data_dir=tmp_path_factory.mktemp("data"),
            embedding_model=LOCAL_EMBEDDING_MODEL,
            llm_grade="full",
            learn_idle_s=86_400,
            **scripted_by(scripted),
        )
        with run_house(settings, embedder) as house:
            yield house


@pytest.fixture
def house(shared_house, model) -> House:
    return shared_house


@pytest.fixture
def own_house(memory_settings, embedder) -> Iterator[House]:
    """For a test that looks at the whole project, or leaves a mess."""
    with run_house(memory_settings, embedder) as house:
        yield house


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
