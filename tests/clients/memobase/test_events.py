"""Events: listed, found by meaning, by tag and as gists, changed and deleted."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from memobase.error import ServerError

from tests.clients.memobase.said import tell
from tests.fakes import operation

TAGS = "event_tags:\n  - {name: emotion, description: how they feel}\n  - goal\n"
DOG = {"fact": "Has a dog called Biscuit", "topic": "pets"}
JOB = {"fact": "Works at Acme", "topic": "work"}


@pytest.fixture
def learned(user, client, model):
    """Two flushes, of which the second is sad."""
    client.update_config(TAGS)
    for words, fact, tags in (
        ("My dog is called Biscuit.", DOG, {"emotion": "happy", "goal": "walk"}),
        ("I work at Acme.", JOB, {"emotion": "sad"}),
    ):
        model.answers.append({"operations": [operation(**fact)], "tags": tags})
        tell(user, words)
        user.flush(sync=True)
    yield user
    client.update_config(None)


def tips(events):
    return ["dog" if "Biscuit" in event.event_data.event_tip else "job" for event in events]


def test_events_are_listed_newest_first(learned):
    """What each taught, its summary, its tags and its times."""
    events = learned.event()
    assert tips(events) == ["job", "dog"] and tips(learned.event(topk=1)) == ["job"]
    assert [one.content for one in events[1].event_data.profile_delta] == ["Has a dog called Biscuit"]
    assert events[1].event_data.profile_delta[0].attributes["topic"] == "pets"
    tags = {(one.tag, one.value) for one in events[1].event_data.event_tags}
    assert tags == {("emotion", "happy"), ("goal", "walk")}
    assert datetime.now(UTC) - events[0].created_at < timedelta(minutes=1)
    assert events[0].updated_at >= events[0].created_at
    assert len(learned.event(max_token_size=1)) <= 1 and learned.event(need_summary=True)


def test_by_meaning(learned):
    """Nearest first, so near at least, so many."""
    found = learned.search_event("What is my dog called?", similarity_threshold=0.0)
    assert tips(found)[0] == "dog" and found[0].similarity > found[-1].similarity >= 0
    assert tips(learned.search_event("What is my dog called?", topk=1)) == ["dog"]
    assert learned.search_event("What is my dog called?", similarity_threshold=0.999) == []
    assert learned.search_event("my dog & my cat", topk=1) is not None


def test_gists_by_meaning(learned):
    """Single facts of events, in the list that the Python client reads."""
    gist, *_ = learned.search_event_gist("What is my dog called?")
    assert "Has a dog called Biscuit" in gist.gist_data.content and 0.2 < gist.similarity <= 1
    assert gist.created_at.tzinfo
    assert len(learned.search_event_gist("dog", topk=1, similarity_threshold=0.0)) == 1


def test_by_tag(learned):
    """All that are named must be there; without any, the latest."""
    assert tips(learned.search_event_by_tags(tags=["emotion"])) == ["job", "dog"]
    assert tips(learned.search_event_by_tags(tags=["emotion", "goal"])) == ["dog"]
    assert tips(learned.search_event_by_tags(tag_values={"emotion": "happy"})) == ["dog"]
    assert tips(learned.search_event_by_tags(tags=["goal"], tag_values={"emotion": "sad"})) == []
    assert tips(learned.search_event_by_tags(tags=["emotion"], topk=1)) == ["job"]
    assert tips(learned.search_event_by_tags()) == ["job", "dog"]


def test_an_event_is_changed(learned):
    """Keys that are given replace what was there, and others stay."""
    event = learned.event()[0]
    assert learned.update_event(event.id, {"event_tip": "A new job."})
    changed = learned.event()[0].event_data
    assert changed.event_tip == "A new job." and changed.profile_delta == event.event_data.profile_delta
    learned.update_event(event.id, {"event_tags": [{"tag": "emotion", "value": "proud"}]})
    changed = learned.event()[0].event_data
    assert [(one.tag, one.value) for one in changed.event_tags] == [("emotion", "proud")]
    assert changed.event_tip == "A new job."
    delta = [{"content": "Acme", "attributes": {"topic": "work", "sub_topic": "company"}}]
    learned.update_event(event.id, {"profile_delta": delta})
    assert [one.content for one in learned.event()[0].event_data.profile_delta] == ["Acme"]


def test_an_event_is_deleted(learned):
    """Its gists are found no more; what it taught stays in the profile."""
    job, dog = learned.event()
    assert learned.delete_event(dog.id)
    assert [one.id for one in learned.event()] == [job.id]
    found = learned.search_event_gist("What is my dog called?", similarity_threshold=0.0)
    assert not any("Biscuit" in one.gist_data.content for one in found)
    for ask in (
        lambda: learned.delete_event(dog.id),
        lambda: learned.update_event(dog.id, {"event_tip": "x"}),
    ):
        with pytest.raises(ServerError):
            ask()


def test_only_the_last_weeks(house, learned):
    """21 days for the list, and `time_range_in_days` for a search."""
    house.run(_age, house.memory, timedelta(days=30))
    assert learned.event() == []
    assert tips(learned.search_event("What is my dog called?", topk=1)) == ["dog"]
    assert learned.search_event("What is my dog called?", time_range_in_days=7) == []
    assert learned.search_event_gist("What is my dog called?", time_range_in_days=7) == []


async def _age(memory, by):
    """As if everything had been learned so much earlier."""

    async def move(connection):
        for column in ("began_at", "ended_at", "created_at", "updated_at"):
            await connection.execute(f"update episodes set {column} = {column} - $1::interval", by)

    await memory.db.transaction(move)


def test_nothing_and_nobody(client, user):
    """Empty lists, and an error for an event that nobody has."""
    nobody = client.get_user(str(uuid4()), no_get=True)
    for who in (user, nobody):
        assert who.event() == who.search_event("dog") == who.search_event_gist("dog") == []
        assert who.search_event_by_tags(tags=["emotion"]) == []
    with pytest.raises(ServerError):
        user.delete_event(str(uuid4()))


@pytest.mark.parametrize("query", ["query=a&topk=many", "query=a&similarity_threshold=near", ""])
def test_parameters_of_another_type_are_refused(client, user, query):
    """422, as FastAPI's own; the query must be there."""
    answer = client.client.get(f"/users/event/search/{user.user_id}?{query}")
    assert answer.status_code == 422 and "detail" in answer.json()


def test_an_id_that_is_no_uuid(user):
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        user.update_event("x", {"event_tip": "x"})
