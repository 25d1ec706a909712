"""Slots of a profile: added, changed, filtered within limits, and forgotten."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from memobase.error import ServerError


def places(profile):
    return [(one.topic, one.sub_topic, one.content) for one in profile]


@pytest.fixture
def filled(user):
    """Five slots of three topics, the last one newest."""
    for content, topic, sub_topic in (
        ("Acme", "work", "company"),
        ("Cook", "work", "title"),
        ("Porto", "contact_info", "city"),
        ("Sailing", "interest", "sports"),
        ("Fado", "interest", "music"),
    ):
        user.add_profile(content, topic, sub_topic)
    return user


def test_a_slot_is_added_changed_and_deleted(user):
    """Its id is one that the client can read, and stays while the slot does."""
    slot_id = user.add_profile("Acme", "Work", " Job Title ")
    (slot,) = user.profile()
    assert str(slot.id) == slot_id and UUID(slot_id).version in (4, 5)
    assert (slot.topic, slot.sub_topic, slot.content) == ("work", "job_title", "Acme")
    assert slot.created_at.tzinfo and slot.updated_at >= slot.created_at
    assert user.update_profile(slot_id, "Bolt", "work", "job_title")
    (changed,) = user.profile()
    assert changed.content == "Bolt" and changed.updated_at >= slot.updated_at
    assert user.delete_profile(changed.id)
    assert user.profile() == []
    with pytest.raises(ServerError):
        user.delete_profile(changed.id)


def test_a_slot_moves_to_another_place(user):
    """By an update that names it."""
    slot_id = user.add_profile("Acme", "work", "company")
    user.update_profile(slot_id, "Acme", "education", "school")
    assert places(user.profile()) == [("education", "school", "Acme")]


def test_a_slot_that_nobody_has_can_be_updated_in_vain(user):
    """As the client's server answers: no error, and nothing is made."""
    assert user.update_profile(str(uuid4()), "Acme", "work", "company")
    assert user.profile() == []


def test_what_is_added_is_known_on_the_phone(house, user):
    """It is a fact like any other."""
    user.add_profile("Plays the oboe", "interest", "music")
    (fact,) = house.run(house.memory.facts.list, user.user_id)
    assert "oboe" in fact.text and fact.topic == "interest"


def test_topics_that_come_first_and_topics_alone(filled):
    """In the order in which they are named."""
    preferred = [one.topic for one in filled.profile(prefer_topics=["work", "contact_info"])]
    assert preferred == ["work", "work", "contact_info", "interest", "interest"]
    assert {one.topic for one in filled.profile(only_topics=["interest"])} == {"interest"}
    both = filled.profile(only_topics=["contact_info", "interest"], prefer_topics=["contact_info"])
    assert [one.topic for one in both] == ["contact_info", "interest", "interest"]
    assert filled.profile(only_topics=["nothing"]) == []


def test_the_newest_first(filled):
    """Where nothing else says so."""
    assert [one.content for one in filled.profile()] == ["Fado", "Sailing", "Porto", "Cook", "Acme"]


def test_limits(filled):
    """So many of each topic, so many of one, so many tokens, and never none."""
    assert len(filled.profile(max_subtopic_size=1)) == 3
    limited = filled.profile(max_subtopic_size=1, topic_limits={"interest": 2})
    assert sorted(one.topic for one in limited) == ["contact_info", "interest", "interest", "work"]
    assert len(filled.profile(topic_limits={"work": 0})) <= 4
    assert len(filled.profile(max_token_size=1)) == 1
    assert 1 < len(filled.profile(max_token_size=18)) < 5


def test_as_json(filled):
    """The client makes it of the same answer."""
    known = filled.profile(need_json=True)
    assert known["work"]["company"]["content"] == "Acme" and set(known["interest"]) == {"sports", "music"}


def test_chats_choose_nothing_away_that_is_asked_for(filled):
    """With messages, what answers them is there."""
    found = filled.profile(chats=[{"role": "user", "content": "Which music do I like?"}])
    assert "Fado" in [one.content for one in found]


def test_who_is_unknown_has_an_empty_profile(client):
    """And no error."""
    assert client.get_user(str(uuid4()), no_get=True).profile() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": "x", "attributes": {"topic": "work"}},
        {"content": "x", "attributes": {}},
        {"content": "x"},
        {"attributes": {"topic": "work", "sub_topic": "title"}},
    ],
)
def test_what_is_no_slot_is_refused(client, user, wrong):
    """With an error of one kind or the other, and nothing is kept."""
    answer = client.client.post(f"/users/profile/{user.user_id}", json=wrong)
    assert answer.status_code == 422 or answer.json()["errno"] in (400, 422, 520)
    assert user.profile() == []


@pytest.mark.parametrize(
    "query", ["topic_limits_json={", "chats_str=[1]", "chats_str={", "topic_limits_json=[]"]
)
def test_parameters_that_are_no_json_are_refused(client, user, query):
    """As errno 400: `ServerError` for whoever uses the client."""
    answer = client.client.get(f"/users/profile/{user.user_id}?{query}")
    assert (answer.status_code, answer.json()["errno"]) == (200, 400)


def test_an_id_that_is_no_uuid(user):
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        user.delete_profile("x")


def test_times_are_in_a_zone(filled):
    """Whoever compares them must not fail."""
    assert all(one.updated_at <= datetime.now(UTC) for one in filled.profile())
