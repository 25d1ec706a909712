"""`memobase.patch.openai`: an OpenAI client with Memobase's memory, which is Echoic's here."""

import time
from uuid import uuid4

import openai
import pytest
from memobase.patch.openai import openai_memory
from memobase.utils import string_to_uuid

from tests.openai_server import MODEL, OpenAIServer

QUESTION = {"role": "user", "content": "What is my dog called?"}


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def name():
    """Any text is a user's name here."""
    return f"Gus {uuid4()}"


@pytest.fixture
def patched(client, server):
    with openai.OpenAI(api_key="key", base_url=server.url, max_retries=0) as bare:
        yield openai_memory(bare, client)


def wait_inserted(client, name, count=1):
    """The patch stores in a thread of its own."""
    user, until = client.get_user(string_to_uuid(name), no_get=True), time.monotonic() + 20
    while len(user.get_all("chat")) < count:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_conversation_is_remembered_in_the_next(patched, client, server, name):
    """Said, flushed by its user's name, and shown to the model after the system prompt."""
    said = [{"role": "user", "content": "My dog is called Biscuit."}]
    patched.chat.completions.create(model=MODEL, messages=said, user_id=name)
    wait_inserted(client, name)
    assert patched.flush(name)
    ask = [{"role": "system", "content": "Be short."}, dict(QUESTION)]
    patched.chat.completions.create(model=MODEL, messages=ask, user_id=name)
    first, second = (one.body["messages"] for one in server.asked)
    assert first[0]["role"] == "system" and "# Memory" in first[0]["content"]
    assert second[0]["content"].startswith("Be short.") and "Biscuit" in second[0]["content"]
    assert [one.content for one in patched.get_profile(name)] == ["Has a dog called Biscuit"]
    assert "Biscuit" in patched.get_memory_prompt(name)


def test_a_stream_is_stored_when_it_has_ended(patched, client, server, name):
    server.replies.append("One two.")
    stream = patched.chat.completions.create(
        model=MODEL, messages=[dict(QUESTION)], stream=True, user_id=name
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "One two."
    wait_inserted(client, name)
    user = client.get_user(string_to_uuid(name), no_get=True)
    (blob_id,) = user.get_all("chat")
    assert [(one.role, one.content) for one in user.get(blob_id).messages] == [
        ("user", "What is my dog called?"),
        ("assistant", "One two."),
    ]


def test_what_is_said_twice_is_two_turns(patched, client, server, name, house):
    """It sends the last pair alone: each is a conversation's next turn."""
    for count in (1, 2):
        patched.chat.completions.create(model=MODEL, messages=[dict(QUESTION)], user_id=name)
        wait_inserted(client, name, count)
    turns = house.run(house.memory.turns.list, string_to_uuid(name))
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
