"""The routes of Mem0's self-hosted server, and those of its older clients."""

import asyncio

import pytest

from echoic.api.desk import AT_ONCE
from echoic.api.mem0 import self_hosted, views


async def test_a_round_trip(served, admin):
    """Added, listed, found, changed, with its history, and deleted."""
    told = {"messages": [{"role": "user", "content": "Has a dog"}], "user_id": "ana", "infer": False}
    (made,) = (await admin.post("/memories", json=told)).json()["results"]
    assert (made["memory"], made["event"]) == ("Has a dog", "ADD")
    one = f"/memories/{made['id']}"
    assert (await admin.get(one)).json()["memory"] == "Has a dog"
    assert [row["id"] for row in (await admin.get("/memories?user_id=ana&top_k=5")).json()["results"]] == [
        made["id"]
    ]
    asked = {"query": "dog", "filters": {"user_id": "ana"}, "top_k": 3, "explain": True}
    assert [row["id"] for row in (await admin.post("/search", json=asked)).json()["results"]] == [made["id"]]
    assert (await admin.post("/search", json={"query": "dog", "user_id": "ana"})).json()["results"]
    changed = await admin.put(one, json={"text": "Has two dogs", "metadata": {"a": 1}})
    assert changed.json()["memory"] == "Has two dogs"
    assert [row["event"] for row in (await admin.get(f"{one}/history")).json()] == ["ADD", "UPDATE"]
    (who,) = (await admin.get("/entities")).json()
    assert (who["id"], who["type"], who["total_memories"]) == ("ana", "user", 1)
    assert (await admin.delete(one)).status_code == 200 and (await admin.get(one)).status_code == 404
    await admin.post("/memories", json=told)
    assert (await admin.delete("/memories")).status_code == 400
    await admin.delete("/memories?user_id=ana")
    assert (await admin.get("/memories?user_id=ana")).json() == {"results": []}
    await admin.post("/memories", json=told)
    await admin.delete("/entities/user/ana")
    await admin.post("/memories", json=told)
    await admin.post("/reset")
    assert (await admin.get("/entities")).json() == []
    assert (await admin.delete("/entities/planet/ana")).status_code == 400
    assert (await admin.get("/memories")).status_code == 400


@pytest.mark.parametrize(("method", "path"), [("POST", "/reset"), ("DELETE", "/v1/memories/?user_id=*")])
async def test_everybody_is_everybody(admin, monkeypatch, method, path):
    """Also where there are more than a list shows."""
    monkeypatch.setattr(views, "MOST_PEOPLE", 2)
    monkeypatch.setattr(views, "PAGE", 2)
    for place in range(5):
        told = {"messages": "Has a dog", "user_id": f"ana {place}", "infer": False}
        await admin.post("/memories", json=told)
    assert len((await admin.get("/entities")).json()) == 2
    assert (await admin.request(method, path)).status_code == 200
    assert (await admin.get("/v1/users")).json()["items"] == []


async def test_without_a_worker_it_says_that_it_is_stored(admin, memory, monkeypatch):
    """After a while: nothing is lost."""
    monkeypatch.setattr("echoic.api.mem0.self_hosted.WAIT_S", 0.3)
    answer = await admin.post("/memories", json={"messages": "My dog is called Biscuit.", "user_id": "ana"})
    assert answer.json()["status"] == "PENDING" and answer.json()["results"] == []
    assert len(await memory.turns.list("ana")) == 1


async def test_older_clients(admin):
    """mem0ai 0.1 and 1.0 ask other paths for the same."""
    told = {"messages": [{"role": "user", "content": "Has a dog"}], "user_id": "ana", "infer": False}
    await admin.post("/v1/memories/", json=told | {"output_format": "v1.1"})
    filters = {"filters": {"user_id": "ana"}}
    assert (await admin.post("/v2/memories/?page=1&page_size=5", json=filters)).json()["count"] == 1
    assert (
        len((await admin.post("/v2/memories/search/", json=filters | {"query": "dog"})).json()["results"])
        == 1
    )
    assert (
        len((await admin.post("/v1/memories/search/", json={"query": "dog", "user_id": "ana"})).json()) == 1
    )
    assert len((await admin.get("/v1/memories/?user_id=ana")).json()) == 1
    assert (await admin.delete("/v1/entities/user/ana/")).status_code == 200
    assert (await admin.get("/v1/memories/?user_id=ana")).json() == []


async def test_who_waits_for_a_worker_keeps_nobody_from_the_api(served, admin, monkeypatch):
    """As many as there are places wait for what nobody learns, and others are answered."""
    monkeypatch.setattr(self_hosted, "WAIT_S", 60)
    told = [{"messages": f"I am {place}", "user_id": f"ana {place}"} for place in range(AT_ONCE)]
    adding = [asyncio.create_task(admin.post("/memories", json=one)) for one in told]
    await asyncio.sleep(0)  # they have come before the next one
    async with asyncio.timeout(30):
        assert (await admin.get("/v1/me")).status_code == 200
    for one in adding:
        one.cancel()
    await asyncio.gather(*adding, return_exceptions=True)
