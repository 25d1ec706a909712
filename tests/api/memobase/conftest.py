"""Memobase's interface over real HTTP, with a worker that learns what is told."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from echoic.api.access.keys import KeyRole, add_key
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.api.conftest import address, memory, served
from tests.fakes import ScriptedModel, facts

__all__ = ["address", "memory", "served"]  # fixtures

SLOTS = (
    "overwrite_user_profiles: [{topic: basic_info, sub_topics: [name]}, {topic: work, sub_topics: [company]}]"
)


class Program:
    """What a client of Memobase does, by hand."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, errno: int = 0, **options: Any) -> Any:
        """The `data` of an answer that has this number."""
        answer = await self.http.request(method, f"/api/v1{path}", **options)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == {"data", "errno", "errmsg"}
        assert body["errno"] == errno, body
        return body["data"]

    async def configure(self, text: str = SLOTS) -> None:
        """Which slots there are."""
        await self.ask("POST", "/project/profile_config", json={"profile_config": text})

    async def introduce(self, **data: Any) -> str:
        """A new user."""
        return str((await self.ask("POST", "/users", json={"data": data}))["id"])

    async def tell(self, user_id: str, *contents: str, **options: Any) -> dict[str, Any]:
        """What a user said, one message after the other."""
        said = [{"role": "user", "content": content} for content in contents]
        body = {"blob_type": "chat", "blob_data": {"messages": said}}
        found: dict[str, Any] = await self.ask("POST", f"/blobs/insert/{user_id}", json=body, **options)
        return found

    async def flush(self, user_id: str, *, sync: bool = True) -> Any:
        """Have it learned."""
        return await self.ask("POST", f"/users/buffer/{user_id}/chat", params={"wait_process": sync})


@pytest.fixture
def model():
    with ScriptedModel(otherwise=facts("Is called Gus", topic="basic_info", sub_topic="name")) as model:
        yield model


@pytest.fixture
def memory_settings(memory_settings, model):
    named = {"llm_url": model.url, "llm_model": "scripted", "model_timeout_s": 2, "extractor": "echoic"}
    return memory_settings.model_copy(update=named)


@pytest.fixture
async def learner(memory) -> AsyncIterator[Learner]:
    extractor, _ = make_extractor(memory.settings)
    yield Learner(memory, extractor)
    await extractor.close()


@pytest.fixture
async def worker(memory, learner, monkeypatch) -> AsyncIterator[None]:
    """Learns whatever is to be learned at once, as a worker does."""
    asked: asyncio.Queue[str] = asyncio.Queue()
    enqueue = memory.jobs.enqueue_learn

    async def note(user_id: str, *, hurry: bool = False, **options: Any) -> bool:
        if hurry:
            asked.put_nowait(user_id)
        return await enqueue(user_id, hurry=hurry, **options)

    async def work() -> None:
        while True:
            await learner.learn(await asked.get())

    monkeypatch.setattr(memory.jobs, "enqueue_learn", note)
    working = asyncio.create_task(work())
    yield
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


@pytest.fixture
async def connect(memory, address) -> Callable[..., Any]:
    """A client with a fresh key of a role."""

    @asynccontextmanager
    async def connected(role: KeyRole = "admin", user_id: str | None = None) -> AsyncIterator[Program]:
        key, _ = await add_key(memory.db, f"the {role}", role, user_id)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as http:
            yield Program(http)

    return connected


@pytest.fixture
async def program(connect) -> AsyncIterator[Program]:
    async with connect() as program:
        yield program


def new_id() -> str:
    """A UUID of nobody."""
    return str(uuid.uuid4())
