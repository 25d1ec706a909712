"""Links over HTTP: made and taken back by programs, seen in every list, never made by a person's own key."""

import json
from datetime import timedelta

import pytest

from tests.remembered import NOW, fact, learn, say

PATH = "/v1/users/phone%3A1/links/web"


@pytest.fixture
async def linked(served, admin):
    """Something known of each, and both one person."""
    for user_id in ("phone:1", "web", "bo"):
        await learn(served.memory, fact(f"Is called {user_id}", user_id))
        await say(served.memory, f"I am {user_id}.", user_id=user_id, call_id=f"call of {user_id}")
    assert (await admin.put(PATH)).status_code == 204
    return served


async def test_links_are_made_listed_and_taken_back(linked, admin):
    """Made twice, it is one; who made it is told."""
    assert (await admin.put(PATH)).status_code == 204
    found = (await admin.get("/v1/users/web/links")).json()
    assert found["ids"] == ["web", "phone:1"]
    (one,) = found["items"]
    assert {one["user_id"], one["other_id"]} == {"web", "phone:1"} and one["made_by"] == "api:the admin"
    assert (await admin.delete("/v1/users/web/links/phone%3A1")).status_code == 204
    assert (await admin.delete(PATH)).status_code == 404
    assert (await admin.get("/v1/users/web/links")).json() == {"ids": ["web"], "items": []}


async def test_every_list_shows_the_person(linked, admin):
    """Facts, turns, calls, statistics, search and export, behind the wall; nothing of anybody else."""
    for path in ("facts", "turns", "calls", "changes", "export"):
        text = (await admin.get(f"/v1/users/web/{path}")).text
        assert "phone:1" in text, path
        assert not any(bos in text for bos in ("called bo", "am bo", "of bo")), path
    counts = (await admin.get("/v1/users/web/statistics")).json()
    assert (counts["facts_live"], counts["turns"]) == (2, 2)
    assert (await admin.get("/v1/users/web")).json()["facts"] == 2
    found = await admin.post(
        "/v1/users/web/search", json={"text": "Who is called phone:1?", "budget_ms": 5000}
    )
    assert "phone:1" in found.json()["block"]
    context = (await admin.post("/v1/users/web/context", json={"text": ""})).json()
    assert "phone:1" in context["block"]
    assert {one["user_id"] for one in (await admin.get("/v1/users")).json()["items"]} == {
        "phone:1",
        "web",
        "bo",
    }


async def test_a_fact_of_the_other_id_is_corrected_and_forgotten_where_it_is(linked, admin):
    """It keeps its id; the link taken back, the correction stays with it."""
    page = (await admin.get("/v1/users/web/facts")).json()["items"]
    (theirs,) = [one for one in page if "phone:1" in one["text"]]
    url = f"/v1/users/web/facts/{theirs['fact_id']}"
    read = await admin.get(url)
    edit = {"text": "Is called Ana"}
    changed = await admin.patch(url, json=edit, headers={"If-Match": read.headers["etag"]})
    assert changed.status_code == 200
    await admin.delete(PATH)
    assert (await admin.get(url)).status_code == 404
    (kept,) = (await admin.get("/v1/users/phone%3A1/facts")).json()["items"]
    assert kept["text"] == "Is called Ana"
    await admin.put(PATH)
    assert (await admin.delete(url)).status_code == 204
    assert (await admin.get("/v1/users/phone%3A1/facts")).json()["items"][0]["text"] == "Is called web"


async def test_nobody_links_themselves_to_anothers_memory(linked):
    """A key for one person sees their links, and neither makes nor removes one; nor does no key."""
    async with linked.client("user", "bo") as bo, linked.without_key() as nobody:
        for method in ("PUT", "DELETE"):
            for url in ("/v1/users/bo/links/web", "/v1/users/web/links/bo"):
                assert (await bo.request(method, url)).status_code == 403
                assert (await nobody.request(method, url)).status_code == 401
        assert (await bo.get("/v1/users/bo/links")).json() == {"ids": ["bo"], "items": []}
        assert (await bo.get("/v1/users/web/links")).status_code == 403
    async with linked.client("service") as service:
        assert (await service.put("/v1/users/bo/links/device")).status_code == 204
        assert (await service.put("/v1/users/bo/links/bo")).status_code == 422


async def test_a_persons_key_reads_all_of_them_by_their_own_id(linked):
    """And the other id not by its own name: the key is for one."""
    async with linked.client("user", "web") as web:
        assert len((await web.get("/v1/users/web/facts")).json()["items"]) == 2
        assert (await web.get("/v1/users/phone%3A1/facts")).status_code == 403


async def test_one_id_is_erased_or_the_whole_person(linked, admin):
    """The other stays unless the person is asked for."""
    assert (await admin.delete("/v1/users/web")).json()["facts"] == 1
    assert len((await admin.get("/v1/users/phone%3A1/facts")).json()["items"]) == 1
    await admin.put(PATH)
    await learn(linked.memory, fact("Is called web again", "web"))
    assert (await admin.delete("/v1/users/phone%3A1?person=true")).json()["facts"] == 2
    assert (await admin.get("/v1/users/web")).status_code == 404
    assert (await admin.get("/v1/users/bo")).status_code == 200


async def test_live_events_of_a_person_are_those_of_all_ids(linked, address, admin):
    """A stream of one id tells what happens under the other."""
    import httpx

    from echoic.api.access.keys import add_key

    key, _ = await add_key(linked.memory.db, "watching", "admin")
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as client,
        client.stream("GET", "/v1/users/web/events") as stream,
    ):
        lines = stream.aiter_lines()
        await anext(lines)
        for user_id in ("bo", "phone:1"):
            await say(linked.memory, "Hello.", user_id=user_id, call_id=f"later, {user_id}")
        async for line in lines:
            if line.startswith("data: "):
                assert json.loads(line.removeprefix("data: "))["user_id"] == "phone:1"
                break


async def test_a_tool_forgets_what_it_found_under_another_id(linked, admin):
    """By its id, or by its words; what is said to be forgotten is gone."""
    boat, parrot = (fact(f"Has a {name}", "phone:1") for name in ("boat called Ola", "parrot called Xylquor"))
    await learn(linked.memory, boat, parrot)
    for asked, one in (({"memory_id": str(boat.fact_id)}, boat), ({"about": "Xylquor"}, parrot)):
        assert (await _tool(admin, forget=asked))["forgotten"] == [str(one.fact_id)]
        assert (await admin.get(f"/v1/users/phone%3A1/facts/{one.fact_id}")).status_code == 404


async def _tool(admin, **called):
    """What an MCP client of the web's is told, taken apart."""
    ((name, arguments),) = called.items()
    headers = {"Accept": "application/json, text/event-stream", "Echoic-User": "web"}
    call = {"name": name, "arguments": arguments}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    return (await admin.post("/mcp", json=body, headers=headers)).json()["result"]["structuredContent"]


async def test_a_slot_says_what_it_is_told_to_whoever_said_it(linked, admin):
    """A fact of another id ends, and is forgotten, as one's own is."""
    url = "/v1/users/web/profile"
    (slot,) = (await admin.get(url)).json()["items"]
    edit = {"values": ["Is called web"]}
    headers = {"If-Match": f'"{slot["version"]}"'}
    changed = await admin.put(f"{url}/{slot['slot_id']}", json=edit, headers=headers)
    assert changed.json()["content"] == "Is called web"
    past = (await admin.get("/v1/users/phone%3A1/facts?validity=ended")).json()["items"]
    assert [one["text"] for one in past] == ["Is called phone:1"]
    await learn(linked.memory, fact("Is called Pia", "phone:1"))
    assert (await admin.delete(f"{url}/{slot['slot_id']}")).status_code == 204
    assert (await admin.get(url)).json()["items"] == []


async def test_memory_that_is_off_under_one_id_is_read_under_none(linked, admin):
    """In no profile, context or proposal of another id; off under the one that is asked, nothing is told."""
    soon = NOW + timedelta(days=2)
    for user_id in ("phone:1", "web"):
        await learn(linked.memory, fact(f"Moves, says {user_id}", user_id, valid_from=soon))
    asked = [
        ("GET", "/v1/users/web/profile", None),
        ("GET", "/v1/users/web/proposals", None),
        ("POST", "/v1/users/web/context", {"text": "", "sections": {}}),
    ]
    told = [(await admin.request(method, path, json=body)).text for method, path, body in asked]
    assert all("says phone:1" in one and "says web" in one for one in told)
    await _turn_off(admin, "phone%3A1")
    told = [(await admin.request(method, path, json=body)).text for method, path, body in asked]
    assert all("phone:1" not in one and "says web" in one for one in told)
    await _turn_off(admin, "web")
    said = {"said": [{"role": "user", "text": "What next?"}]}
    assert (await admin.post("/v1/users/web/profile/needed", json=said)).json() == {"items": []}
    assert (await admin.get("/v1/users/web/proposals")).json() == {"items": []}


async def _turn_off(admin, user_id):
    url = f"/v1/users/{user_id}/settings"
    version = (await admin.get(url)).headers["etag"]
    assert (await admin.patch(url, json={"memory": False}, headers={"If-Match": version})).is_success
