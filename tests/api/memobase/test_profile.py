"""Profiles: slots filled, changed and emptied by hand, and read within limits."""

import json

from tests.api.memobase.conftest import Program, new_id
from tests.api.memobase.test_frame import profile


async def shown(program: Program, user_id: str, **params: object) -> list[str]:
    found = await program.ask("GET", f"/users/profile/{user_id}", params=params)
    return [one["content"] for one in found["profiles"]]


async def add(program: Program, user_id: str, *args: str) -> str:
    return str((await program.ask("POST", f"/users/profile/{user_id}", json=profile(*args)))["id"])


async def test_a_slot_is_filled_changed_and_emptied(program: Program, memory) -> None:
    """By its id; its facts are those of every other reader."""
    user_id = await program.introduce()
    slot_id = await add(program, user_id, "Works at Acme", "Work ", "Company Name")
    (found,) = (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]
    assert (found["id"], found["content"]) == (slot_id, "Works at Acme")
    assert found["attributes"] == {"topic": "work", "sub_topic": "company_name"}
    assert [one.text for one in await memory.facts.list(user_id)] == ["Works at Acme"]

    assert await add(program, user_id, "Leads a team", "work", "company_name") == slot_id
    assert await shown(program, user_id) == ["Leads a team; Works at Acme"]
    path = f"/users/profile/{user_id}/{slot_id}"
    body = profile("Leads a team; Works at Bolt", "work", "company_name")
    assert await program.ask("PUT", path, json=body) is None
    assert {one.text for one in await memory.facts.list(user_id)} == {"Leads a team", "Works at Bolt"}

    await program.ask("PUT", path, json=profile("Is retired; sometimes", "life", "work"))
    assert await shown(program, user_id) == ["Is retired; sometimes"]
    await program.ask("DELETE", path, errno=404)
    (moved,) = (await program.ask("GET", f"/users/profile/{user_id}"))["profiles"]
    await program.ask("DELETE", f"/users/profile/{user_id}/{moved['id']}")
    assert await shown(program, user_id) == []


async def test_what_is_no_profile_is_refused(program: Program) -> None:
    """Without a slot 520, unknown ids as Memobase has them."""
    user_id, path = await program.introduce(), "/users/profile"
    for attributes in (
        {},
        {"topic": "work"},
        {"topic": "", "sub_topic": ""},
        {"topic": 1, "sub_topic": None},
    ):
        body = {"content": "x", "attributes": attributes}
        await program.ask("POST", f"{path}/{user_id}", errno=520, json=body)
    for content in ("", " ", "x" * 2_001):
        await program.ask("POST", f"{path}/{user_id}", errno=400, json=profile(content))
    assert await program.ask("PUT", f"{path}/{user_id}/{new_id()}", json=profile("x")) is None
    await program.ask("DELETE", f"{path}/{user_id}/{new_id()}", errno=404)
    await program.ask("POST", f"{path}/{new_id()}", errno=404, json=profile("x"))
    assert await shown(program, user_id) == []


async def test_a_profile_is_read_within_limits(program: Program) -> None:
    """The last changed first; preferred topics before; only these; so many of a topic, in all, in tokens."""
    user_id = await program.introduce()
    for content, topic, slot in (
        ("Likes tea", "food", "drinks"),
        ("Works at Acme", "work", "company"),
        ("Is an engineer", "work", "title"),
        ("Plays the oboe", "interest", "music"),
    ):
        await add(program, user_id, content, topic, slot)
    newest = ["Plays the oboe", "Is an engineer", "Works at Acme", "Likes tea"]
    assert await shown(program, user_id) == newest
    asked = {"prefer_topics": ["food", "Work"]}
    assert await shown(program, user_id, **asked) == [
        "Likes tea",
        "Is an engineer",
        "Works at Acme",
        newest[0],
    ]
    assert await shown(program, user_id, only_topics=["food", " interest "]) == [newest[0], newest[3]]
    assert await shown(program, user_id, max_subtopic_size=1) == [newest[0], newest[1], newest[3]]
    for name in ("topic_limits_json", "topic_limits"):
        limits = {name: json.dumps({"Work": 0, "food": 5}), "max_subtopic_size": 1}
        assert await shown(program, user_id, **limits) == [newest[0], newest[3]]
    assert await shown(program, user_id, topk=2, prefer_topics="food") == ["Likes tea", newest[0]]
    assert await shown(program, user_id, max_token_size=1) == newest[:1]
    path = f"/api/v1/users/profile/{user_id}?max_token_size=1000&prefer_topics=food&&prefer_topics=work"
    answer = (await program.http.get(path)).json()
    assert answer["data"]["profiles"][0]["content"] == "Likes tea"


async def test_what_is_spoken_of_picks_slots(program: Program) -> None:
    """At most ten, the nearest."""
    user_id = await program.introduce()
    for number in range(12):
        await add(program, user_id, f"Something number {number}", "other", f"slot {number}")
    await add(program, user_id, "Plays the oboe", "interest", "music")
    chats = json.dumps([{"role": "user", "content": "Who plays the oboe?"}])
    found = await shown(program, user_id, chats_str=chats)
    assert len(found) == 10
    assert "Plays the oboe" in found


async def test_a_text_is_imported(program: Program, worker: None, memory) -> None:
    """As if the person said it; it is learned when this answers."""
    user_id = await program.introduce()
    await program.ask("POST", f"/users/profile/import/{user_id}", json={"context": "I am called Gus."})
    assert await shown(program, user_id) == ["Is called Gus"]
    assert [one.text for one in await memory.turns.list(user_id)] == ["I am called Gus."]
    await program.ask("POST", f"/users/profile/import/{new_id()}", errno=404, json={"context": "x"})
