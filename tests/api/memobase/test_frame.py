"""The frame of every answer, who is let in, and what becomes of requests that cannot be read."""

import json
import logging

import httpx
import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings
from tests.api.conftest import Served
from tests.api.memobase.conftest import Program, new_id

JSON = {"Content-Type": "application/json"}
SECRET_WORDS = "My sister Ludmila moved to Porto"


async def test_health_needs_no_key(address: str) -> None:
    """Whoever watches over it asks before there is one."""
    async with httpx.AsyncClient(base_url=address) as http:
        answer = await http.get("/api/v1/healthcheck")
    assert answer.status_code == 200
    assert answer.json() == {"data": None, "errno": 0, "errmsg": ""}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer secret"}, {"Authorization": "secret"}])
async def test_without_a_key_nothing_is_read(address: str, headers: dict[str, str]) -> None:
    """401, in the frame, also before a path or a body is looked at."""
    async with httpx.AsyncClient(base_url=address, headers=headers) as http:
        for answer in (
            await http.get(f"/api/v1/users/{new_id()}"),
            await http.get("/api/v1/users/no-uuid"),
            await http.post("/api/v1/users", content=b"{"),
        ):
            assert answer.status_code == 401
            assert answer.json()["data"] is None
            assert answer.json()["errno"] == 401


async def test_ids_are_uuids_of_version_4_or_5(program: Program) -> None:
    """422 as FastAPI writes it, without what was sent."""
    for user_id in ("maya", "018f0000-0000-7000-8000-000000000000", new_id()[:-1]):
        answer = await program.http.get(f"/api/v1/users/{user_id}")
        assert answer.status_code == 422
        (problem,) = answer.json()["detail"]
        assert problem["loc"] == ["path", "user_id"]
        assert user_id not in answer.text
    answer = await program.http.get(f"/api/v1/users/blobs/{new_id()}/poem")
    assert answer.status_code == 422


async def test_an_id_is_one_however_it_is_written(program: Program) -> None:
    """In capitals, it is the same person."""
    user_id = await program.introduce(name="Gus")
    assert (await program.ask("GET", f"/users/{user_id.upper()}"))["data"] == {"name": "Gus"}


async def test_a_person_s_own_key_opens_their_own_memory(connect) -> None:
    """And nothing else: a refusal is 403 in the frame."""
    mine, other = new_id(), new_id()
    async with connect() as admin, connect("user", mine) as person, connect("service") as service:
        for user_id in (mine, other):
            await admin.ask("POST", "/users", json={"id": user_id})
        await admin.tell(other, SECRET_WORDS)
        await person.ask("GET", f"/users/{mine}")
        await person.tell(mine, "My dog is called Biscuit")
        for method, path in (
            ("GET", f"/users/{other}"),
            ("GET", f"/users/profile/{other}"),
            ("GET", f"/users/context/{other}"),
            ("GET", f"/users/blobs/{other}/chat"),
            ("POST", f"/users/buffer/{other}/chat"),
            ("DELETE", f"/users/{other}"),
            ("GET", "/project/users"),
            ("GET", "/project/profile_config"),
        ):
            await person.ask(method, path, errno=403)
        await person.ask("POST", "/users", errno=403, json={})
        await service.ask("DELETE", f"/users/{mine}", errno=403)
        await person.ask("DELETE", f"/users/{mine}")
        blobs = await admin.ask("GET", f"/users/blobs/{other}/chat")
    assert len(blobs["ids"]) == 1


async def test_one_person_s_ids_do_not_open_another_s(program: Program, worker: None) -> None:
    """A blob, a slot or an event of somebody else is not there."""
    mine, other = await program.introduce(), await program.introduce()
    blob = await program.tell(mine, "Hello, I'm Gus")
    (learned,) = await program.flush(mine)
    (slot_id,) = learned["add_profiles"]
    await program.ask("GET", f"/blobs/{other}/{blob['id']}", errno=404)
    await program.ask("DELETE", f"/blobs/{other}/{blob['id']}")
    await program.ask("DELETE", f"/users/profile/{other}/{slot_id}", errno=404)
    await program.ask("DELETE", f"/users/event/{other}/{learned['event_id']}", errno=404)
    tip = {"event_tip": "overwritten"}
    await program.ask("PUT", f"/users/event/{other}/{learned['event_id']}", errno=404, json=tip)
    await program.ask("GET", f"/blobs/{mine}/{blob['id']}")
    (event,) = (await program.ask("GET", f"/users/event/{mine}"))["events"]
    assert event["event_data"]["event_tip"] != "overwritten"


BLOBS = {
    "null where a list is wanted": {"messages": None},
    "no list": {"messages": SECRET_WORDS},
    "an unknown role": {"messages": [{"role": "narrator", "content": SECRET_WORDS}]},
    "no words": {"messages": [{"role": "user", "content": None}]},
    "nothing": {},
}


@pytest.mark.parametrize("data", BLOBS.values(), ids=BLOBS)
async def test_a_blob_that_cannot_be_read_is_refused(program: Program, data, caplog) -> None:
    """As Memobase does, in the frame; nothing is stored, and the log holds no words of it."""
    caplog.set_level(logging.INFO)
    user_id = await program.introduce()
    body = {"blob_type": "chat", "blob_data": data}
    await program.ask("POST", f"/blobs/insert/{user_id}", errno=500, json=body)
    assert (await program.ask("GET", f"/users/blobs/{user_id}/chat"))["ids"] == []
    (refused,) = [one for one in caplog.records if one.message == "memobase.refused"]
    assert (refused.errno, refused.route) == (500, "/api/v1/blobs/insert/{user_id}")
    assert "Ludmila" not in caplog.text


async def test_other_blobs_are_not_implemented(program: Program) -> None:
    """Nor is a blob of nobody."""
    user_id = await program.introduce()
    for kind in ("image", "code", "transcript"):
        body = {"blob_type": kind, "blob_data": {"content": "x"}}
        await program.ask("POST", f"/blobs/insert/{user_id}", errno=500, json=body)
    body = {"blob_type": "doc", "blob_data": {"content": "x"}}
    await program.ask("POST", f"/blobs/insert/{new_id()}", errno=500, json=body)
    for wrong in (
        {"blob_type": "poem", "blob_data": {}},
        {"blob_type": "doc"},
        {"blob_type": "doc", "blob_data": []},
    ):
        answer = await program.http.post(f"/api/v1/blobs/insert/{user_id}", json=wrong)
        assert answer.status_code == 422


async def test_words_that_no_store_can_hold_are_kept_without(program: Program) -> None:
    """NUL and half a character, in words and in data."""
    odd = {"na\0me": "Gus\0", "deep": [{"x": "\ud800y"}]}
    user_id = (await program.ask("POST", "/users", content=json.dumps({"data": odd}), headers=JSON))["id"]
    assert (await program.ask("GET", f"/users/{user_id}"))["data"] == {"name": "Gus", "deep": [{"x": "y"}]}
    said = {"messages": [{"role": "user", "content": "I am\0 Gus \ud800"}]}
    body = {"blob_type": "chat", "blob_data": said, "fields": {"from": "a\0b"}}
    blob = await program.ask("POST", f"/blobs/insert/{user_id}", content=json.dumps(body), headers=JSON)
    kept = await program.ask("GET", f"/blobs/{user_id}/{blob['id']}")
    assert kept["blob_data"]["messages"][0]["content"].strip() == "I am Gus"
    assert kept["fields"] == {"from": "ab"}


async def test_json_of_any_depth_is_answered(program: Program) -> None:
    """What is nested too deeply is refused, and what is not is kept."""
    for depth in (50, 900, 100_000):
        data = '{"data": {"x": ' + "[" * depth + "]" * depth + "}}"
        answer = await program.http.post("/api/v1/users", content=data, headers=JSON)
        errno = answer.json()["errno"] if answer.status_code == 200 else answer.status_code
        assert errno == 0 if depth == 50 else errno in (0, 400, 422)


async def test_numbers_beyond_reason_are_bounded(program: Program) -> None:
    """No knob breaks an answer."""
    user_id = await program.introduce()
    await program.ask("POST", f"/users/profile/{user_id}", json=profile("Is called Gus"))
    for number in (-1, 0, 10**12, 10**30):
        given = {"max_token_size": number, "time_range_in_days": number, "max_subtopic_size": number}
        await program.ask("GET", f"/users/context/{user_id}", params=given)
        await program.ask("GET", f"/users/profile/{user_id}", params=given | {"topk": number})
        await program.ask("GET", f"/users/event/{user_id}", params=given | {"topk": number})
        asked = given | {"topk": number, "query": "Gus", "similarity_threshold": number}
        for path in ("event", "event_gist"):
            await program.ask("GET", f"/users/{path}/search/{user_id}", params=asked)
        await program.ask("GET", f"/users/event_tags/search/{user_id}", params={"topk": number})
        await program.ask("GET", "/project/usage", params={"last_days": number})
    for ratio in (0, -1, 1.5):
        path = f"/users/context/{user_id}"
        await program.ask("GET", path, errno=500, params={"profile_event_ratio": ratio})
    for name in ("chats_str", "topic_limits_json"):
        for path in ("profile", "context"):
            await program.ask("GET", f"/users/{path}/{user_id}", errno=400, params={name: "{["})


async def test_memobase_alone(memory) -> None:
    """Its routes and those for probes, and no others."""
    async with serving(memory, load_api_settings(), memobase_alone=True) as app:
        served = Served(app, memory)
        async with served.client() as http:
            assert (await http.get("/api/v1/healthcheck")).json()["errno"] == 0
            assert (await http.post("/api/v1/users", json={})).json()["errno"] == 0
            assert (await http.get("/readyz")).status_code == 200
            for path in ("/v1/users", "/v1/memories/", "/", "/v1/openapi.json", "/mcp"):
                assert (await http.get(path)).status_code == 404


def profile(content: str, topic: str = "basic_info", sub_topic: str = "name") -> dict[str, object]:
    """The body of a profile."""
    return {"content": content, "attributes": {"topic": topic, "sub_topic": sub_topic}}
