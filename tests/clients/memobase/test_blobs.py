"""What is inserted: read back, listed, waiting, flushed, and one memory with what is said in calls."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from memobase.core.blob import BlobType, CodeBlob, DocBlob, ImageBlob, SummaryBlob
from memobase.error import ServerError

from tests.clients.memobase.said import REPLY, chat, tell

DOG = "My dog is called Biscuit."


def test_a_chat_is_kept_as_it_came(user):
    """Until it is deleted."""
    blob = chat(DOG, alias="Gus", created_at="2026-05-04")
    blob.fields = {"from": "web"}
    blob_id = user.insert(blob)
    kept = user.get(blob_id)
    assert kept.messages == blob.messages and kept.fields == {"from": "web"}
    assert kept.created_at.tzinfo and abs((datetime.now(UTC) - kept.created_at).total_seconds()) < 60
    assert user.delete(blob_id)
    with pytest.raises(ServerError):
        user.get(blob_id)
    assert user.get_all(BlobType.chat) == []
    assert user.delete(blob_id)


def test_other_kinds(user):
    """Texts are kept; what nobody can read is refused, and kept nowhere."""
    doc, summary = user.insert(DocBlob(content="A page.")), user.insert(SummaryBlob(summary="Short."))
    assert user.get(doc).content == "A page." and user.get(summary).summary == "Short."
    assert (user.get_all("doc"), user.get_all("summary"), user.get_all("chat")) == ([doc], [summary], [])
    for blob in (CodeBlob(content="x = 1"), ImageBlob(url="http://127.0.0.1/a.png")):
        with pytest.raises(ServerError):
            user.insert(blob)
        assert user.get_all(blob.type) == []


def test_pages(user):
    """Oldest first."""
    ids = [tell(user, f"I own {number} boats.") for number in range(5)]
    assert user.get_all("chat") == ids
    assert [user.get_all("chat", page=at, page_size=2) for at in range(4)] == [ids[:2], ids[2:4], ids[4:], []]


def test_what_waits_is_idle_and_a_flush_learns_it(user):
    """At once, with `sync`; afterwards nothing waits."""
    blob_id = tell(user, DOG)
    assert user.buffer("chat") == [blob_id] and user.buffer("chat", "processing") == []
    assert user.profile() == []
    assert user.flush(sync=True)
    assert user.buffer("chat") == user.buffer("chat", "processing") == user.buffer("chat", "failed") == []
    assert [one.content for one in user.profile()] == ["Has a dog called Biscuit"]
    assert user.flush(sync=True) and len(user.event()) == 1


def test_an_async_flush_is_seen_by_the_very_next_read(user):
    """Their suite reads right after it: whoever asks for this user waits until it is through."""
    tell(user, DOG)
    assert user.flush()
    assert len(user.event()) == 1
    tell(user, "My cat is called Miso.")
    user.flush()
    assert "Biscuit" in user.context()
    user.flush()
    assert [one.content for one in user.profile()] == ["Has a dog called Biscuit"]


def test_each_flush_learns_what_came_since(user, model):
    """A second one is another event, and asks the model of the new words."""
    tell(user, DOG)
    user.flush(sync=True)
    asked = len(model.requests)
    tell(user, "I sold the red van yesterday.")
    user.flush(sync=True)
    assert len(model.requests) > asked and "red van" in model.asked()
    assert len(user.get_all("chat")) in (0, 2)


def test_an_insert_that_waits(user):
    """`sync` flushes what is there when it is more than the buffer takes, and else does nothing more."""
    tell(user, DOG, sync=True)
    long = [
        f"I drive van number {number}, and it is as red as the one that I had before." for number in range(30)
    ]
    tell(user, *long, sync=True)
    assert user.buffer("chat") == [] and user.profile() != []


def test_a_document_is_not_learned(user, model):
    """Its words are nobody's; a flush of it is no error that a client could mend."""
    user.insert(DocBlob(content="My dog is called Rex."))
    user.flush("doc")
    assert model.requests == [] and user.profile() == []


def test_one_memory_with_the_phone(house, user):
    """A chat's sentences are turns like those of a call: each once, with its role."""
    tell(user, DOG)
    turns = house.run(house.memory.turns.list, user.user_id)
    assert [(turn.role, turn.text) for turn in turns] == [("user", DOG), ("assistant", REPLY)]
    user.flush(sync=True)
    facts = house.run(house.memory.facts.list, user.user_id)
    assert [one.text for one in facts] == ["Has a dog called Biscuit"]
    tell(user, DOG)
    user.flush(sync=True)
    assert len(house.run(house.memory.facts.list, user.user_id)) == 1


@pytest.mark.parametrize("answer", [500, "I would rather not."], ids=["is down", "answers nonsense"])
def test_a_model_that_fails_loses_no_words(own_house, model, monkeypatch, answer):
    """A flush that waits says so; they stay turns, for a later one."""
    monkeypatch.setattr("echoic.api.memobase.learning.SYNC_S", 3.0)
    monkeypatch.setattr("echoic.api.memobase.learning.READS_S", 0.5)
    model.otherwise = answer
    client = own_house.client()
    user = client.get_user(client.add_user(), no_get=True)
    tell(user, DOG)
    with pytest.raises(ServerError):
        user.flush(sync=True)
    assert user.profile() == []
    assert [turn.text for turn in own_house.run(own_house.memory.turns.list, user.user_id)] == [DOG, REPLY]


def test_nobody_can_insert_for_an_unknown_user(client):
    """Nor is anybody made by it."""
    nobody = client.get_user(str(uuid4()), no_get=True)
    with pytest.raises(ServerError):
        tell(nobody, DOG)
    assert nobody.profile() == [] and client.get_all_users(search=nobody.user_id) == []
