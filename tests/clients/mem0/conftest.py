"""Mem0's clients with keys of each role, and a worker that learns what they add."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from echoic.api.access.keys import KeyRole, add_key
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.api.conftest import address, admin, memory, served
from tests.fakes import ScriptedModel, facts

__all__ = ["address", "admin", "memory", "served"]  # fixtures


class Client:
    """A client whose methods are asked in a thread: the server is in this loop, and the client blocks."""

    def __init__(self, client: Any) -> None:
        self.mem0 = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(getattr(self.mem0, name), *args, **options)

        return ask

    async def event(self, event_id: str) -> dict[str, Any]:
        """As the CLI and other programs poll it: the Python client has no method for it."""
        answer = await asyncio.to_thread(self.mem0.client.get, f"/v1/event/{event_id}/")
        return answer.json()

    async def events(self) -> dict[str, Any]:
        """The last ones."""
        return (await asyncio.to_thread(self.mem0.client.get, "/v1/events/")).json()


@pytest.fixture(scope="session")
def mem0() -> Any:
    """The package; it reads both from the environment when it is imported, and writes into a folder."""
    os.environ["MEM0_TELEMETRY"] = "False"
    os.environ.setdefault("MEM0_DIR", str(Path(tempfile.gettempdir()) / f"echoic-mem0-{os.getuid()}"))
    import mem0

    return mem0


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(otherwise=facts("Has a dog called Biscuit", topic="pets")) as model:
        yield model


@pytest.fixture
def memory_settings(memory_settings, model):
    named = {"llm_url": model.url, "llm_model": "scripted", "model_timeout_s": 2, "extractor": "echoic"}
    return memory_settings.model_copy(update=named)


@pytest.fixture
async def learn_now(memory) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Learn what one person's turns say, as a worker does."""
    extractor, _ = make_extractor(memory.settings)
    yield Learner(memory, extractor).learn
    await extractor.close()


@pytest.fixture
async def connect(mem0, memory, address) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Makes clients with a fresh key of a role."""
    made: list[Any] = []

    async def connected(
        role: KeyRole = "service", user_id: str | None = None, key: str | None = None
    ) -> Client:
        if key is None:
            key, _ = await add_key(memory.db, f"the {role}", role, user_id)
        client = await asyncio.to_thread(mem0.MemoryClient, api_key=key, host=address)
        made.append(client)
        return Client(client)

    yield connected
    for client in made:
        client.client.close()


@pytest.fixture
async def client(connect) -> Client:
    """A service's client: it may read and write everybody's memory."""
    return await connect()


@pytest.fixture
async def async_client(mem0, memory, address) -> AsyncIterator[Any]:
    async with AsyncExitStack() as stack:
        key, _ = await add_key(memory.db, "an async program", "admin")
        made = await asyncio.to_thread(mem0.AsyncMemoryClient, api_key=key, host=address)
        yield await stack.enter_async_context(made)


@pytest.fixture
def fault(mem0) -> Any:
    """Mem0's exceptions."""
    from mem0 import exceptions

    return exceptions
