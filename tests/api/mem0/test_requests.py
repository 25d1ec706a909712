"""Requests as Mem0's clients make them, and wrong ones, without the client."""

import httpx
import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings


@pytest.mark.parametrize("scheme", ["Token {}", "token {}", "Bearer {}", "X-API-Key"])
async def test_keys_come_as_either_of_mem0s_servers_takes_them(served, address, scheme):
    """And as MCP clients and ours send them."""
    async with served.client("service") as made:
        key = made.headers["Authorization"].partition(" ")[2]
    name = "X-API-Key" if scheme == "X-API-Key" else "Authorization"
    async with httpx.AsyncClient(
        base_url=address, headers={name: scheme.format(key) if "{" in scheme else key}
    ) as one:
        assert (await one.get("/v1/ping/")).json()["project_id"]
    async with httpx.AsyncClient(base_url=address) as nobody:
        assert (await nobody.get("/v1/ping/")).status_code == 401


async def test_who_asks_too_often_waits(memory):
    """Mem0's RateLimitError, with the seconds."""
    async with serving(memory, load_api_settings(rate_per_minute=2), development=True) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [await client.get("/v1/ping/") for _ in range(4)]
    assert [one.status_code for one in answers].count(200) == 2
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1


async def test_bodies_that_are_none(served):
    """Broken JSON, another type, half a character, a text that is too long: 400, and 413 above the limit."""
    async with served.client("service") as client:
        for content in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b'{"query": NaN}',
            b'{"query": "\\ud800"}',
            b"\xff",
        ):
            answer = await client.post("/v3/memories/search/", content=content)
            assert answer.status_code == 400 and answer.json()["detail"], content
            if b"query" not in content:
                assert "application/json" in answer.json()["detail"], content
        long = {"messages": "x" * 2_001, "user_id": "ana", "infer": False}
        assert (await client.post("/v3/memories/add/", json=long)).status_code == 400
        for path, size in (("/v3/memories/add/", 5 * 2**20), ("/v3/memories/search/", 2**17)):
            answer = await client.post(path, content=b" " * size)
            assert answer.status_code == 413, path


async def test_the_houses_document_knows_nothing_of_it(served):
    """The generated client stays as it is."""
    async with served.without_key() as client:
        paths = (await client.get("/v1/openapi.json")).json()["paths"]
    assert not [path for path in paths if "memories" in path or "entities" in path]


async def test_a_persons_own_key_need_not_name_them_beside_an_agent(served):
    """What is added, listed and removed with it is theirs."""
    told = {"messages": "Has a dog", "infer": False, "agent_id": "bot", "run_id": "r"}
    asked = {"filters": {"agent_id": "bot"}}
    async with served.client("user", "ana") as ana:
        assert (await ana.post("/v3/memories/add/", json=told)).status_code == 200
        (one,) = (await ana.post("/v2/memories/", json=asked)).json()["results"]
        assert (one["user_id"], one["agent_id"], one["run_id"]) == ("ana", "bot", "r")
        assert (await ana.delete("/v1/memories/?agent_id=bot")).status_code == 200
        assert (await ana.post("/v2/memories/", json=asked)).json()["results"] == []
        assert (await ana.delete("/v1/entities/agent/bot/")).status_code == 403
