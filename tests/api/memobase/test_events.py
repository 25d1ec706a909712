"""Events, gists and tags."""

import pytest

from tests.api.memobase.conftest import SLOTS, Program, new_id
from tests.fakes import facts

DOG = {"role": "user", "content": "My dog is called Biscuit"}
BOAT = {"role": "user", "content": "My boat is called Dora", "created_at": "2020-02-03T10:00:00Z"}


@pytest.fixture
async def user_id(program: Program, worker: None, model) -> str:
    """Somebody with two events: the older one was said years ago, and is told now."""
    await program.configure(f"{SLOTS}\nevent_tags: [mood, place]")
    user_id = await program.introduce()
    for said, fact, tags in (
        (BOAT, "Has a boat called Dora", {"mood": "glad"}),
        (DOG, "Has a dog called Biscuit", {"mood": "glad", "place": "home"}),
    ):
        model.answers = [facts(fact, topic="work", sub_topic="company") | {"tags": tags}]
        body = {"blob_type": "chat", "blob_data": {"messages": [said]}}
        await program.ask("POST", f"/blobs/insert/{user_id}", json=body)
        assert len(await program.flush(user_id)) == 1
    return user_id


async def listed(program: Program, path: str, key: str = "events", **params: object) -> list[dict]:
    found: list[dict] = (await program.ask("GET", path, params=params))[key]
    return found


def tips(events: list[dict]) -> list[str]:
    return [event["event_data"]["event_tip"].split("[")[0].removeprefix("- ") for event in events]


async def test_events_are_listed(program: Program, user_id: str) -> None:
    """The last said first, also what was said years ago and told in these three weeks."""
    found = await listed(program, f"/users/event/{user_id}", need_summary=True)
    assert tips(found) == ["Has a dog called Biscuit", "Has a boat called Dora"]
    data = found[0]["event_data"]
    assert {(one["tag"], one["value"]) for one in data["event_tags"]} == {("mood", "glad"), ("place", "home")}
    (delta,) = data["profile_delta"]
    assert delta["attributes"] == {"topic": "work", "sub_topic": "company"}
    assert "similarity" not in found[0]
    assert len(await listed(program, f"/users/event/{user_id}", topk=1)) == 1
    assert await listed(program, f"/users/event/{user_id}", max_token_size=1) == []


async def test_events_are_found_by_meaning(program: Program, user_id: str) -> None:
    """And gists, which clients look for under two names."""
    asked = {"query": "Has a dog called Biscuit", "similarity_threshold": 0.5}
    (event,) = await listed(program, f"/users/event/search/{user_id}", **asked)
    assert tips([event]) == ["Has a dog called Biscuit"]
    assert event["similarity"] > 0.9
    path = f"/users/event_gist/search/{user_id}"
    (gist,) = await listed(program, path, "gists", **asked)
    assert "Has a dog called Biscuit" in gist["gist_data"]["content"]
    assert await listed(program, path, "events", **asked) == [gist]
    asked["query"] = "Has a boat called Dora"
    assert len(await listed(program, path, **asked, time_range_in_days=180)) == 1
    assert await listed(program, path, **asked, time_range_in_days=0) == []
    answer = await program.http.get(f"/api/v1{path}")
    assert answer.status_code == 422


async def test_events_are_found_by_tags(program: Program, user_id: str) -> None:
    """All tags, and all values."""
    path = f"/users/event_tags/search/{user_id}"
    assert len(await listed(program, path)) == 2
    assert len(await listed(program, path, tags="mood")) == 2
    assert tips(await listed(program, path, tags="mood,place")) == ["Has a dog called Biscuit"]
    assert tips(await listed(program, path, tag_values="mood=glad, place=home")) == [
        "Has a dog called Biscuit"
    ]
    assert await listed(program, path, tag_values="mood=sad") == []
    assert await listed(program, path, tags="Mood", tag_values="place=away") == []
    await program.ask("GET", path, errno=400, params={"tag_values": "glad"})


async def test_events_are_written_over_and_taken_away(program: Program, user_id: str) -> None:
    """What is given replaces; what is left out or null stays; the profile stays in any case."""
    first, second = await listed(program, f"/users/event/{user_id}")
    path = f"/users/event/{user_id}/{first['id']}"
    assert await program.ask("PUT", path, json={"event_tip": "A dog!"}) is None
    await program.ask("PUT", path, json={"event_tags": [{"tag": "Mood", "value": "calm"}], "event_tip": None})
    delta = [{"content": "A dog", "attributes": {"topic": "pets", "sub_topic": "dog"}}]
    await program.ask("PUT", path, json={"profile_delta": delta})
    changed = (await listed(program, f"/users/event/{user_id}"))[0]["event_data"]
    tags = [{"tag": "mood", "value": "calm"}]
    assert changed == {"profile_delta": delta, "event_tip": "A dog!", "event_tags": tags}
    await program.ask("DELETE", path)
    for method, options in (("DELETE", {}), ("PUT", {"json": {"event_tip": "x"}})):
        await program.ask(method, path, errno=404, **options)
        await program.ask(method, f"/users/event/{user_id}/{new_id()}", errno=404, **options)
    assert [one["id"] for one in await listed(program, f"/users/event/{user_id}")] == [second["id"]]
    (slot,) = (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]
    assert "Biscuit" in slot["content"]
    answer = await program.http.put(f"/api/v1{path}", json={"event_tags": "mood"})
    assert answer.status_code == 422
