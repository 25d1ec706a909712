"""Every method of `mem0.MemoryClient`, as its users call it: added, found, changed, forgotten."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.privacy.export import export_user
from echoic.memory.store.batches import open_turns
from tests.remembered import fact, learn, say

ANA = {"filters": {"user_id": "ana"}}
BISCUIT = [
    {"role": "user", "content": "My dog is called Biscuit."},
    {"role": "assistant", "content": "What a lovely name!"},
]


async def stated(client, text, **options):
    """A memory that is kept as it was said."""
    answer = await client.add(text, infer=False, **({"user_id": "ana"} | options))
    assert answer["status"] == "SUCCEEDED"
    return answer["results"][0]["id"]


async def test_what_is_added_is_learned_and_found(client, memory, learn_now):
    """Turns with their roles first; the event tells when facts were learned from them."""
    added = await client.add(BISCUIT, user_id="ana", metadata={"plan": "gold"}, run_id="tuesday")
    assert added["status"] == "PENDING" and added["message"]
    turns = await memory.turns.list("ana")
    assert [(one.role, one.text) for one in turns] == [(one["role"], one["content"]) for one in BISCUIT]
    assert {one.agent_id for one in turns} == {"echoic"}
    assert (await client.event(added["event_id"]))["status"] == "PENDING"
    await learn_now("ana")
    event = await client.event(added["event_id"])
    assert event["status"] == "SUCCEEDED"
    assert [(one["memory"], one["event"]) for one in event["results"]] == [
        ("Has a dog called Biscuit", "ADD")
    ]
    assert [one["status"] for one in (await client.events())["results"]] == ["SUCCEEDED"]
    (found,) = (await client.search("What is my dog called?", **ANA))["results"]
    assert found["memory"] == "Has a dog called Biscuit" and 0 < found["score"] <= 1
    assert (found["user_id"], found["run_id"], found["metadata"]) == ("ana", "tuesday", {"plan": "gold"})
    assert found["categories"] == ["pets"] and found["agent_id"] is None
    assert (await client.get(found["id"]))["memory"] == found["memory"]
    exported = await export_user(memory, "ana")
    labels = {"run_id": "tuesday", "metadata": {"plan": "gold"}}
    assert [one["labels"] for one in (*exported["facts"], *exported["turns"])] == [labels] * 3


async def test_words_are_found_before_they_are_learned(client, memory, learn_now):
    """Word for word, by their own id; afterwards the fact is found in their place."""
    await client.add(BISCUIT, user_id="ana")
    (found,) = (await client.search("my dog", **ANA))["results"]
    assert found["memory"] == "My dog is called Biscuit."
    assert (await client.get(found["id"]))["memory"] == found["memory"]
    assert (await client.get_all(**ANA))["results"] == []
    await learn_now("ana")
    (learned,) = (await client.search("my dog", **ANA))["results"]
    assert learned["id"] != found["id"] and learned["memory"] == "Has a dog called Biscuit"


async def test_words_that_are_not_learned_can_be_forgotten_and_not_edited(client, memory, fault):
    """They were said so."""
    await client.add("My dog is called Biscuit.", user_id="ana")
    (found,) = (await client.search("my dog", **ANA))["results"]
    with pytest.raises(fault.ValidationError, match="not learned yet"):
        await client.update(found["id"], text="My cat is called Miso.")
    assert (await client.history(found["id"]))[0]["new_memory"] == found["memory"]
    await client.delete(found["id"])
    assert await memory.turns.list("ana") == [] and (await client.search("dog", **ANA))["results"] == []


async def test_infer_false_keeps_what_is_said(client, memory):
    """A fact each, at once, for everybody who shares this memory; said again it is the same one."""
    answer = await client.add(BISCUIT, user_id="ana", infer=False, metadata={"a": [1, {"b": None}]})
    assert [one["event"] for one in answer["results"]] == ["ADD", "ADD"]
    assert [one.text for one in await memory.facts.list("ana")] == [one["content"] for one in BISCUIT]
    again = await client.add(BISCUIT, user_id="ana", infer=False, metadata={"a": [1, {"b": None}]})
    assert [one["event"] for one in again["results"]] == ["NONE", "NONE"]
    assert [one["id"] for one in again["results"]] == [one["id"] for one in answer["results"]]
    one = await client.get(answer["results"][0]["id"])
    assert one["metadata"] == {"a": [1, {"b": None}]} and not await memory.turns.list("ana")
    assert (await client.event(answer["event_id"]))["status"] == "SUCCEEDED"
    assert await open_turns(memory.db, "ana") == 0


async def test_an_agent_keeps_what_it_is_told(client, memory):
    """agent_id is the house's scope: other agents of the same user are not told in a call."""
    kept = await stated(client, "Wants short answers", agent_id="butler")
    (known,) = await memory.facts.list("ana")
    assert (known.scope, known.agent_id) == ("agent", "butler")
    assert (await client.get(kept))["agent_id"] == "butler"
    await client.add("I live in Porto.", user_id="ana", agent_id="butler")
    assert [one.agent_id for one in await memory.turns.list("ana")] == ["butler"]


async def test_update_and_history(client, memory):
    """Text, metadata, time and end are changed; what it was stays, with who changed it."""
    one = await stated(client, "Lives in Leeds", metadata={"a": 1})
    changed = await client.update(one, text="Lives in Porto", metadata={"b": 2})
    assert (changed["memory"], changed["metadata"]) == ("Lives in Porto", {"b": 2})
    await client.update(one, timestamp=1_700_000_000)
    assert (await client.get(one))["created_at"].startswith("2023-11-14")
    was = await client.history(one)
    assert [(row["event"], row["old_memory"], row["new_memory"]) for row in was] == [
        ("ADD", None, "Lives in Leeds"),
        ("UPDATE", "Lives in Leeds", "Lives in Porto"),
        ("UPDATE", "Lives in Porto", "Lives in Porto"),
    ]
    assert {row["memory_id"] for row in was} == {one} and was[0]["user_id"] == "ana"
    (found,) = (await client.search("Porto", **ANA))["results"]
    assert found["id"] == one


async def test_a_memory_expires(client, memory):
    """After its last day it is hidden, unless it is asked for; null makes it last."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    one = await stated(client, "Is on holiday", expiration_date=yesterday)
    assert (await client.get_all(**ANA))["results"] == []
    assert (await client.search("holiday", **ANA))["results"] == []
    shown = (await client.get_all(**ANA, show_expired=True))["results"]
    assert [row["expiration_date"] for row in shown] == [yesterday]
    await client.update(one, expiration_date=None)
    assert [row["expiration_date"] for row in (await client.get_all(**ANA))["results"]] == [None]


async def test_what_expires_is_learned_so(client, memory, learn_now):
    """The day that `add` was given counts for the facts, too."""
    await client.add(BISCUIT, user_id="ana", expiration_date="2199-01-31")
    await learn_now("ana")
    (known,) = await memory.facts.list("ana")
    assert known.valid_until == datetime(2199, 2, 1, tzinfo=UTC)
    assert (await client.get_all(**ANA))["results"][0]["expiration_date"] == "2199-01-31"


async def test_a_conversation_of_another_day_has_its_date(client, memory):
    """`timestamp` says when it was said, and it is kept although it was long ago."""
    await client.add(BISCUIT, user_id="ana", timestamp=1_700_000_000)
    assert {one.said_at for one in await memory.turns.list("ana")} == {
        datetime.fromtimestamp(1_700_000_000, UTC)
    }


async def test_delete(client, memory, fault):
    """Gone from every list; a second time it is unknown."""
    one = await stated(client, "Has a dog")
    assert (await client.delete(one, delete_linked=True))["message"]
    with pytest.raises(fault.MemoryNotFoundError):
        await client.get(one)
    with pytest.raises(fault.MemoryNotFoundError):
        await client.delete(one)
    assert (await client.get_all(**ANA))["count"] == 0


async def test_delete_all_forgets_what_was_said_too(client, memory, learn_now):
    """Of a person, of an agent of theirs, of a run: others keep theirs; nothing to delete is no error."""
    await client.add(BISCUIT, user_id="ana")
    await learn_now("ana")
    await client.add("I live in Porto.", user_id="ana", run_id="tuesday")
    await stated(client, "Wants short answers", agent_id="butler")
    await stated(client, "Has a cat", user_id="bo")
    await client.delete_all(user_id="ana", run_id="tuesday")
    assert len(await memory.turns.list("ana")) == 2
    await client.delete_all(user_id="ana", agent_id="butler")
    assert [one["memory"] for one in (await client.get_all(**ANA))["results"]] == ["Has a dog called Biscuit"]
    await client.delete_all(filters={"user_id": "ana"})
    assert await memory.turns.list("ana") == [] and await memory.facts.list("ana") == []
    assert len(await memory.facts.list("bo")) == 1
    await client.delete_all(user_id="nobody")


async def test_users_and_delete_users(client, connect, memory, fault):
    """Erasing is an admin's: a service's key forgets, and erases nobody."""
    await stated(client, "Has a dog")
    await stated(client, "Tells jokes", user_id=None, agent_id="butler")
    rows = (await client.users())["results"]
    assert {(row["type"], row["name"]) for row in rows} == {("user", "ana"), ("agent", "butler")}
    with pytest.raises(fault.AuthenticationError):
        await client.delete_users(user_id="ana")
    admin = await connect("admin")
    assert (await admin.delete_users(user_id="ana"))["message"]
    assert [row["name"] for row in (await admin.users())["results"]] == ["butler"]
    await admin.reset()
    assert (await admin.users())["results"] == []
    with pytest.raises(ValueError, match="No entities"):
        await admin.delete_users()


async def test_batches(client, fault):
    """All or, when one is unknown, nothing."""
    one, other = [await stated(client, text) for text in ("Has a dog", "Has a cat")]
    await client.batch_update(
        [{"memory_id": one, "text": "Has two dogs"}, {"memory_id": other, "metadata": {"a": 1}}]
    )
    assert (await client.get(one))["memory"] == "Has two dogs" and (await client.get(other))["metadata"] == {
        "a": 1
    }
    with pytest.raises(fault.MemoryNotFoundError):
        await client.batch_delete([{"memory_id": one}, {"memory_id": str(uuid4())}])
    assert await client.get(one)
    await client.batch_delete([{"memory_id": one}, {"memory_id": other}])
    assert (await client.get_all(**ANA))["results"] == []


async def test_feedback(client, memory, fault):
    """Kept with the memory, and taken back."""
    one = await stated(client, "Has a dog", metadata={"a": 1})
    given = await client.feedback(one, "negative", "it was a cat")
    assert given == {"id": one, "feedback": "NEGATIVE", "feedback_reason": "it was a cat"}
    assert (await memory.facts.list("ana"))[0].labels["feedback"] == "NEGATIVE"
    await client.feedback(one)
    (known,) = await memory.facts.list("ana")
    assert "feedback" not in known.labels and known.labels["metadata"] == {"a": 1}
    with pytest.raises(fault.MemoryNotFoundError):
        await client.feedback(str(uuid4()), "POSITIVE")


async def test_paging_over_250_memories(client, memory):
    """Each once, newest first; the count is of all."""
    await learn(memory, *(fact(f"Likes song {number}") for number in range(250)))
    seen = []
    for page in (1, 2, 3):
        answer = await client.get_all(**ANA, page=page, page_size=100)
        seen += [row["memory"] for row in answer["results"]]
        assert answer["count"] == 250 and (answer["next"] is None) == (page == 3)
        assert (answer["previous"] is None) == (page == 1)
    assert seen == [f"Likes song {number}" for number in reversed(range(250))]
    assert len((await client.get_all(**ANA))["results"]) == 100
    assert (await client.get_all(**ANA, page=4, page_size=100))["results"] == []


async def test_search_takes_its_limits(client, memory):
    """So many, so near, in order; another person's turn and fact are never among them."""
    await learn(memory, *(fact(f"Likes song {number}") for number in range(20)), fact("Likes song 3", "bo"))
    found = (await client.search("Likes song 3", **ANA))["results"]
    assert len(found) == 10 and found[0]["memory"] == "Likes song 3"
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True) and {row["user_id"] for row in found} == {"ana"}
    assert len((await client.search("Likes song 3", **ANA, top_k=3))["results"]) == 3
    assert len((await client.search("Likes song 3", **ANA, limit=4))["results"]) == 4
    nearest = (await client.search("Likes song 3", **ANA, top_k=15, threshold=0.99))["results"]
    assert 0 < len(nearest) < 10 and all(row["score"] >= 0.99 for row in nearest)
    assert (await client.search("zebra", **ANA))["results"] == []
    few = (await client.search("song", **ANA, top_k=1, fields=["memory"]))["results"]
    assert set(few[0]) == {"id", "memory", "score"}


async def test_what_the_phone_was_told_is_found(client, memory, learn_now):
    """One memory: a call's turns and facts are Mem0's memories."""
    await say(memory, "My dog is called Biscuit.")
    await learn_now("ana")
    (found,) = (await client.search("dog", **ANA))["results"]
    assert found["memory"] == "Has a dog called Biscuit"
    (row,) = await client.history(found["id"])
    assert row["input"] == [{"role": "user", "content": "My dog is called Biscuit."}]


async def test_a_newer_client_is_understood(client):
    """Options that nobody here knows change nothing."""
    one = await stated(
        client, "Has a dog", enable_graph=True, version="v9", immutable=False, custom_categories=[{}]
    )
    assert await client.search(
        "dog", **ANA, rerank=True, keyword_search=True, filter_memories=True, moods=["good"]
    )
    assert await client.update(one, text="Has two dogs", mood="good")


async def test_what_is_not_offered_says_so(client, fault):
    """With a status that no client retries, and Mem0's own exception."""
    for ask in (
        client.create_memory_export(schema="{}", user_id="ana"),
        client.get_memory_export(user_id="ana"),
        client.get_summary(),
        client.get_profile("ana"),
        client.get_project(),
        client.get_webhooks("echoic"),
    ):
        with pytest.raises(fault.MemoryError, match="does not offer"):
            await ask


async def test_the_async_client(async_client, learn_now):
    """The same methods, awaited."""
    await async_client.add(BISCUIT, user_id="ana")
    await learn_now("ana")
    (found,) = (await async_client.search("dog", **ANA))["results"]
    assert (await async_client.get(found["id"]))["memory"] == "Has a dog called Biscuit"
    await async_client.update(found["id"], text="Has two dogs")
    assert [row["event"] for row in await async_client.history(found["id"])] == ["ADD", "UPDATE"]
    assert (await async_client.get_all(**ANA, page=1, page_size=1))["count"] == 1
    await async_client.feedback(found["id"], "POSITIVE")
    await async_client.batch_update([{"memory_id": found["id"], "text": "Has three dogs"}])
    assert [row["name"] for row in (await async_client.users())["results"]] == ["ana"]
    await async_client.batch_delete([{"memory_id": found["id"]}])
    other = (await async_client.add("Has a cat", user_id="ana", infer=False))["results"][0]["id"]
    await async_client.delete(other)
    await async_client.delete_all(user_id="ana")
    assert (await async_client.get_all(**ANA))["results"] == []
    await async_client.add("I am here", user_id="bo")
    await async_client.delete_users(user_id="bo")
    await async_client.add("I am here", user_id="cy")
    await async_client.reset()
    assert (await async_client.users())["results"] == []
