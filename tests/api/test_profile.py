"""Profile, events and their context over HTTP: views on facts, so a change of one is one of all."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.api.desk import AT_ONCE
from echoic.memory.profile.episodes import note_episode
from tests.openai_server import OpenAIServer
from tests.remembered import fact, learn, say

PROFILE, EPISODES, FACTS = "/v1/users/ana/profile", "/v1/users/ana/episodes", "/v1/users/ana/facts"


async def happened(memory, *facts, call_id="call", said_at=None, **tags):
    """One batch that taught these facts."""
    turns = await say(memory, "Words.", call_id=call_id, said_at=said_at)
    batch_id = uuid4()

    async def add(connection):
        vectors = await memory.embedder.embed_batch([one.text for one in facts])
        await memory.facts.add(connection, facts, vectors, batch_id=batch_id)
        await note_episode(connection, "ana", batch_id, turns, tags)

    await memory.db.transaction(add)
    return batch_id


async def filled(client, *values, topic="work", sub_topic="Company"):
    body = {"topic": topic, "sub_topic": sub_topic, "values": values}
    answer = await client.post(PROFILE, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_slot_is_filled_and_read(admin):
    """Under the id that it has in every process; its facts are facts like any other."""
    slot = await filled(admin, "Works at Acme")
    again = await filled(admin, "Works at Acme", "Works at Bolt")
    assert (slot["topic"], slot["sub_topic"], slot["slot_id"]) == ("work", "company", again["slot_id"])
    (read,) = (await admin.get(PROFILE)).json()["items"]
    assert read == again and read["content"] == "Works at Bolt; Works at Acme"
    listed = (await admin.get(f"{FACTS}?topic=work")).json()["items"]
    assert {one["fact_id"] for one in listed} == {one["fact_id"] for one in read["facts"]}
    assert {one["sub_topic"] for one in listed} == {"company"}


async def test_a_slot_is_changed_by_its_version(admin):
    """Without it, or with an old one, nothing changes; the fact keeps its history."""
    slot = await filled(admin, "Works at Acme")
    path, body = f"{PROFILE}/{slot['slot_id']}", {"values": ["Works at Bolt"]}
    assert (await admin.put(path, json=body)).status_code == 428
    changed = await admin.put(path, json=body, headers={"If-Match": f'"{slot["version"]}"'})
    assert changed.status_code == 200 and changed.json()["content"] == "Works at Bolt"
    assert changed.headers["etag"] == f'"{changed.json()["version"]}"'
    lost = await admin.put(path, json=body, headers={"If-Match": f'"{slot["version"]}"'})
    assert lost.status_code == 412
    history = (await admin.get(f"{FACTS}/{slot['facts'][0]['fact_id']}/history")).json()["items"]
    assert [one["change"] for one in history] == ["added", "edited"]
    assert {one["by_whom"] for one in history} == {"api:the admin"}


async def test_a_forgotten_slot_is_forgotten_facts(admin):
    """None of another slot."""
    slot, other = await filled(admin, "Works at Acme"), await filled(admin, "Has a dog", topic="pets")
    path = f"{PROFILE}/{slot['slot_id']}"
    assert (await admin.delete(path, headers={"If-Match": '"old"'})).status_code == 412
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.delete(path)).status_code == 404
    assert [one["slot_id"] for one in (await admin.get(PROFILE)).json()["items"]] == [other["slot_id"]]


async def test_a_fact_is_put_into_another_slot(admin):
    """By an edit of the fact; empty takes it out."""
    made = await admin.post(FACTS, json={"text": "Has a dog.", "topic": "pets", "sub_topic": "My Dog"})
    path, etag = f"{FACTS}/{made.json()['fact_id']}", made.headers["etag"]
    moved = await admin.patch(path, json={"sub_topic": "Dogs"}, headers={"If-Match": etag})
    assert [one["sub_topic"] for one in (await admin.get(PROFILE)).json()["items"]] == ["dogs"]
    await admin.patch(path, json={"sub_topic": ""}, headers={"If-Match": moved.headers["etag"]})
    assert [one["sub_topic"] for one in (await admin.get(PROFILE)).json()["items"]] == [""]


async def test_a_profile_within_limits(served, admin):
    """Only these topics, these first, so many slots, so many tokens."""
    for topic in ("pets", "work", "home"):
        for number in range(3):
            await learn(served.memory, fact(f"{topic} {number}", topic=topic, sub_topic=f"s{number}"))
    shown = lambda query: admin.get(f"{PROFILE}?{query}")  # noqa: E731
    topics = [
        one["topic"] for one in (await shown("prefer=work&prefer=pets&slots_a_topic=1")).json()["items"]
    ]
    assert topics == ["work", "pets", "home"]
    assert {one["topic"] for one in (await shown("topic=home")).json()["items"]} == {"home"}
    assert len((await shown("slots=4")).json()["items"]) == 4
    assert len((await shown("max_tokens=1")).json()["items"]) == 1


async def test_the_configuration_is_set_and_taken_back(admin):
    """It counts at once, and what is wrong is refused in a sentence."""
    path = "/v1/profile/configuration"
    await filled(admin, "Works at Acme")
    text = "profile_strict_mode: true\nadditional_user_profiles: [{topic: pets, sub_topics: [dog]}]"
    put = await admin.put(path, json={"text": text})
    assert put.status_code == 200 and put.json()["effective"]["profile_strict_mode"] is True
    assert (await admin.get(PROFILE)).json()["items"] == []
    for wrong in ("a: [", "max_profile_subtopics: none", "x: &a 1\ny: *a"):
        refused = await admin.put(path, json={"text": wrong})
        assert refused.status_code == 422 and refused.json()["type"].endswith("not-acceptable-value")
    assert (await admin.put(path, json={"text": "a" * 65_536})).status_code in (413, 422)
    assert (await admin.get(path)).json()["text"] == text
    await admin.put(path, json={"text": ""})
    assert len((await admin.get(PROFILE)).json()["items"]) == 1


async def test_events_are_listed_and_looked_for(served, admin):
    """Page by page; by meaning, by tag and by time."""
    now = datetime.now(UTC)
    for number, (text, mood) in enumerate(
        (("Has a dog", "glad"), ("Works at Acme", "sad"), ("Sails", "glad"))
    ):
        said_at = now - timedelta(days=number)
        await happened(served.memory, fact(text), call_id=f"c{number}", said_at=said_at, mood=mood)
    first = (await admin.get(f"{EPISODES}?limit=2")).json()
    rest = (await admin.get(f"{EPISODES}?limit=2&cursor={first['next']}")).json()
    assert [one["call_id"] for one in first["items"] + rest["items"]] == ["c0", "c1", "c2"]
    assert rest["next"] is None
    asked = {
        "tag=mood=sad": ["c1"],
        "tag=mood": ["c0", "c1", "c2"],
        "tag=theme": [],
        "q=dog": ["c0"],
        "q=dog&tag=mood=sad": [],
        f"since={(now - timedelta(hours=30)).isoformat().replace('+', '%2B')}": ["c0", "c1"],
        f"until={(now - timedelta(hours=30)).isoformat().replace('+', '%2B')}": ["c2"],
    }
    for query, expected in asked.items():
        items = (await admin.get(f"{EPISODES}?{query}")).json()["items"]
        assert [one["call_id"] for one in items] == expected, query
    assert (await admin.get(f"{EPISODES}?cursor={first['next'][:-4]}")).status_code == 400
    gists = (await admin.get("/v1/users/ana/gists?q=dog")).json()["items"]
    assert [one["fact"]["text"] for one in gists] == ["Has a dog"] and gists[0]["similarity"] > 0.2
    assert len((await admin.get("/v1/users/ana/gists")).json()["items"]) == 3


async def test_an_event_is_changed_and_dropped(served, admin):
    """Its summary and tags; what it taught stays, and nobody else's is touched."""
    episode_id = await happened(served.memory, fact("Has a dog", valid_from=datetime(2026, 5, 2, tzinfo=UTC)))
    path = f"{EPISODES}/{episode_id}"
    read = (await admin.get(path)).json()
    assert read["happened_from"].startswith("2026-05-02") and read["deltas"][0]["change"] == "added"
    changed = await admin.patch(path, json={"summary": "A dog!", "tags": {"mood": "glad"}})
    assert (changed.json()["summary"], changed.json()["tags"]) == ("A dog!", {"mood": "glad"})
    assert (await admin.patch(path, json={})).status_code == 422
    assert (await admin.delete(f"/v1/users/bo/episodes/{episode_id}")).status_code == 404
    assert (await admin.delete(path)).status_code == 204
    assert [(await admin.get(path)).status_code, (await admin.delete(path)).status_code] == [404, 404]
    assert len((await admin.get(FACTS)).json()["items"]) == 1


async def test_a_context_of_two_sections(served, admin):
    """The profile, then what happened; what is asked for first, in the person's language."""
    await happened(served.memory, fact("Has a dog called Biscuit", topic="pets", sub_topic="dog"))
    await happened(served.memory, fact("Sails on Sundays", topic="hobbies", sub_topic="boat"), call_id="two")
    ask = lambda **body: admin.post("/v1/users/ana/context", json=body)  # noqa: E731
    block = (await ask(sections={})).json()["block"]
    assert block.index("- hobbies::boat: Sails") < block.index("## Past Events:")
    asked = (await ask(text="What is my dog called?", sections={})).json()
    events = asked["block"].partition("## Past Events:")[2]
    assert events.index("Biscuit") < events.index("Sails") and asked["tiers"]["facts"]["status"] == "ok"
    own = {"template": "{profile_section}", "prefer": ["pets"], "profile_share": 1}
    assert (await ask(sections=own)).json()["block"].startswith("- pets::dog")
    pets = (await ask(topics=["pets"], sections={"days": 1})).json()["block"]
    assert "Sails" not in pets.partition("## Past Events:")[0]
    path = "/v1/users/ana/settings"
    etag = (await admin.get(path)).headers["etag"]
    await admin.patch(path, json={"language": "de-AT"}, headers={"If-Match": etag})
    assert "Frühere Ereignisse" in (await ask(sections={})).json()["block"]
    for wrong in ({"profile_share": 0}, {"days": 0}, {"language": "deutsch"}, {"unknown": 1}):
        assert (await ask(sections=wrong)).status_code == 422


async def test_a_context_keeps_to_what_a_feature_needs(admin):
    """By Echoic's own table, or by a configured one, down to single slots; an unknown name is told."""
    for topic, slot in (
        ("food", "likes"),
        ("health", "allergies"),
        ("health", "doctor"),
        ("work", "company"),
    ):
        await filled(admin, f"Something of {topic} {slot}", topic=topic, sub_topic=slot)

    async def shown(feature):
        sections = {"feature": feature, "template": "{profile_section}"}
        answer = await admin.post("/v1/users/ana/context", json={"sections": sections})
        lines = answer.json()["block"].splitlines() if answer.status_code == 200 else []
        return answer.status_code, {line.split(":")[0][2:] + "/" + line.split(":")[2] for line in lines}

    assert await shown("Restaurant") == (200, {"food/likes", "health/allergies", "health/doctor"})
    text = "feature_topics: {menu: [food, health/allergies]}"
    await admin.put("/v1/profile/configuration", json={"text": text})
    assert await shown("menu") == (200, {"food/likes", "health/allergies"})
    assert await shown("restaurant") == (422, set())


async def test_what_an_agent_may_bring_up(served, admin):
    """Promises first, then what comes, then what is not known; nothing of another agent, nothing long ago."""
    now, memory = datetime.now(UTC), served.memory
    day = timedelta(days=1)
    promise = {"topic": "promises", "kind": "promise", "scope": "agent"}
    await learn(
        memory,
        fact("The agent sends the plan", due=now - day, **promise),
        fact("The agent calls", due=now - 2 * day, **promise),
        fact("The agent called long ago", due=now - 90 * day, **promise),
        fact("The bank calls", due=now - day, **promise | {"agent_id": "bank"}),
        fact("Moves to Kiel", topic="home", valid_from=now + 5 * day),
        fact("Lives in Bremen", topic="home", valid_from=now - 5 * day),
        fact("Has a trip", topic="travel", valid_from=now + 90 * day),
        fact("Has a dog", topic="pets", sub_topic="dog"),
    )
    text = "additional_user_profiles: [{topic: pets, sub_topics: [dog, {name: cat, description: theirs}]}]"
    await admin.put("/v1/profile/configuration", json={"text": text})
    items = (await admin.get("/v1/users/ana/proposals")).json()["items"]
    assert [(one["reason"], one["fact"] and one["fact"]["text"]) for one in items] == [
        ("overdue", "The agent sends the plan"),
        ("overdue", "The agent calls"),
        ("coming", "Moves to Kiel"),
        ("unknown", None),
    ]
    assert (items[3]["topic"], items[3]["sub_topic"], items[3]["description"]) == ("pets", "cat", "theirs")
    assert len((await admin.get("/v1/users/ana/proposals?limit=2")).json()["items"]) == 2


async def test_a_text_is_imported_as_what_somebody_said(served, admin):
    """Kept word for word, once, and handed to a worker at once."""
    body = {"turns": [{"role": "user", "text": "I work at Acme. " * 900, "id": "cv"}], "call_id": "cv"}
    for _ in range(2):
        kept = await admin.post("/v1/users/ana/turns", json=body | {"ended": True})
        assert kept.status_code == 200, kept.text
    assert len(await served.memory.turns.list("ana")) == 1


@pytest.mark.parametrize("path", ["profile", "episodes", "gists", "proposals"])
async def test_of_nobody_there_is_nothing(admin, path):
    """Which is no mistake."""
    assert (await admin.get(f"/v1/users/nobody/{path}")).json()["items"] == []


@pytest.mark.parametrize("when", ["0", "1700000000", "-5", "0.5"])
async def test_a_number_is_no_time(admin, when):
    """Pydantic reads it as seconds since 1970; the document speaks of dates."""
    assert (await admin.get(f"{EPISODES}?since={when}")).status_code == 422


@pytest.fixture
def model():
    """The language model of the settings, at an address."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def memory_settings(memory_settings, request):
    if "model" not in request.fixturenames:
        return memory_settings
    address = {"llm_url": request.getfixturevalue("model").url, "llm_model": "ours"}
    return memory_settings.model_copy(update=address)


NEED = {"said": [{"role": "user", "text": "Where shall we eat?"}], "most": 2}


async def test_a_model_chooses_what_a_conversation_needs(model, admin):
    """By the numbers of its last line, in its order; what it invents is nothing."""
    await filled(admin, "Works at Acme")
    await filled(admin, "Is allergic to nuts", topic="health", sub_topic="allergies")
    await filled(admin, "Loves Thai food", topic="food", sub_topic="likes")
    shown = [slot["content"] for slot in (await admin.get(PROFILE)).json()["items"]]
    model.replies.append("Notes 9 and 1 look useful.\n3, 7, 0, 3, 2, 1\n")
    needed = await admin.post(f"{PROFILE}/needed", json=NEED)
    assert [slot["content"] for slot in needed.json()["items"]] == [shown[2], shown[1]]
    (asked,) = model.asked
    assert "Where shall we eat?" in asked.said and "3. " in asked.said and "at most 2" in str(asked.body)


async def test_a_model_that_fails_is_told_apart_from_nothing_needed(model, admin):
    assert (await admin.post(f"{PROFILE}/needed", json=NEED)).json() == {"items": []} and not model.asked
    await filled(admin, "Works at Acme")
    model.replies.append("0")
    assert (await admin.post(f"{PROFILE}/needed", json=NEED)).json() == {"items": []}
    model.replies.append(500)
    refused = await admin.post(f"{PROFILE}/needed", json=NEED)
    assert refused.status_code == 502 and refused.json()["type"].endswith("model-refused")


async def test_a_model_that_thinks_keeps_nobody_from_the_api(served, admin, monkeypatch):
    """As many as there are places wait for it, and others are answered."""
    await filled(admin, "Works at Acme")
    monkeypatch.setattr(served.app.state.model, "complete", lambda _: asyncio.Event().wait())
    waiting = [asyncio.create_task(admin.post(f"{PROFILE}/needed", json=NEED)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)  # they have come before the next one
    async with asyncio.timeout(15):
        assert (await admin.get("/v1/me")).status_code == 200
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_without_a_model_nothing_is_chosen(admin):
    await filled(admin, "Works at Acme")
    assert (await admin.post(f"{PROFILE}/needed", json=NEED)).status_code == 409
