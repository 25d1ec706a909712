"""What Mem0's clients add, learned by a worker in a process of its own: nobody calls anything but `add`."""

import pytest

from echoic.memory.service import open_memory
from tests.worker_process import wait_until, worker_process

ANA = {"filters": {"user_id": "ana"}}
TOLD = {"messages": [{"role": "user", "content": "My dog is called Biscuit."}], "user_id": "ana"}


@pytest.fixture
async def memory(memory_settings, embedder):
    """With the model that the worker embeds with."""
    async with open_memory(memory_settings, embedder=embedder) as memory:
        yield memory


async def test_a_worker_learns_by_itself_what_is_added(client, memory, memory_settings):
    """The job is queued, and the event says when it is done."""
    with worker_process(memory_settings):
        added = await client.add(**TOLD)

        async def is_learned():
            return (await client.event(added["event_id"]))["status"] == "SUCCEEDED"

        await wait_until(is_learned)
    assert [one["memory"] for one in (await client.get_all(**ANA))["results"]] == ["Has a dog called Biscuit"]


async def test_add_waits_for_what_is_learned(admin, memory_settings, monkeypatch):
    """As that server answers: the facts, and not a promise."""
    monkeypatch.setattr("echoic.api.mem0.self_hosted.WAIT_S", 40.0)
    with worker_process(memory_settings):
        answer = await admin.post("/memories", json=TOLD, timeout=50)
    assert [row["memory"] for row in answer.json()["results"]] == ["Has a dog called Biscuit"]
