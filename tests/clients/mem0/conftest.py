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
from tests.api.conftest import address, admin, memory, served
from tests.clients.calls import counted
from tests.clients.learning import learn_now, memory_settings, model

__all__ = ["address", "admin", "learn_now", "memory", "memory_settings", "model", "served"]  # fixtures


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


@pytest.fixture(scope="session", autouse=True)
def calls(mem0, record_testsuite_property) -> Iterator[None]:
    """How many of the client's methods are tried."""
    with counted(mem0.MemoryClient, mem0.AsyncMemoryClient) as calls:
        yield
    record_testsuite_property("calls", calls.told)


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
