"""One conversation sent again and again, whole or its last part: each turn is stored once, none is lost."""

import asyncio
from datetime import timedelta

import pytest

from echoic.memory.store.consent import ConsentStore

TALK = ("Hello", "Hi!", "I have a dog", "Nice", "yes", "Anything else?", "no", "Bye")


def messages(*texts):
    """User and assistant in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]


async def texts_of(memory, user_id="ana", agent_id=None):
    turns = await memory.turns.list(user_id)
    return [one.text for one in turns if agent_id in (None, one.agent_id)]


async def test_a_pipecat_bot_sends_everything_each_turn(client, memory):
    """Many requests at once and again: one conversation, each turn once, in order."""
    whole = messages(*TALK)
    for end in (1, 3, 5, 7):
        asked = {"user_id": "ana", "metadata": {"platform": "pipecat"}}
        await asyncio.gather(*(client.add(whole[:end], **asked) for _ in "123"))
    await client.add(whole[:3], user_id="ana")
    await client.add(whole, user_id="ana")
    turns = await memory.turns.list("ana")
    assert [one.text for one in turns] == list(TALK)
    assert len({one.call_id for one in turns}) == 1 and [one.position for one in turns] == list(range(8))


async def test_nothing_new_is_said_so(client):
    """With the event of what is known."""
    first = await client.add(messages("I have a dog"), user_id="ana")
    again = await client.add(messages("I have a dog"), user_id="ana")
    assert again["event_id"] == first["event_id"]
    silent = await client.add([{"role": "system", "content": "Be kind."}], user_id="ana")
    assert silent["status"] == "SUCCEEDED" and silent["event_id"]


async def test_users_agents_and_runs_have_conversations_of_their_own(client, memory):
    """The same words in each of them are said in each of them."""
    hello = messages("Hello", "Hi!")
    for names in (
        {"user_id": "ana"},
        {"user_id": "bo"},
        {"user_id": "ana", "agent_id": "butler"},
        {"user_id": "ana", "run_id": "tuesday"},
        {"user_id": "bo", "run_id": "tuesday"},
        {"agent_id": "butler"},
    ):
        await client.add(hello, **names)
        await client.add(hello, **names)
    assert (
        await texts_of(memory) == ["Hello", "Hi!"] * 3
        and await texts_of(memory, "bo") == ["Hello", "Hi!"] * 2
    )
    assert await texts_of(memory, "mem0.agent:butler") == ["Hello", "Hi!"]


async def test_after_a_rest_the_same_words_are_said_anew(client, memory, monkeypatch):
    """Unless at least two messages show that it is the same conversation."""
    await client.add(messages("Hello", "Hi!"), user_id="ana")
    now = memory.now
    memory.now = lambda: now() + timedelta(hours=1)
    await client.add(messages("Hello", "Hi!", "I have a dog"), user_id="ana")
    assert await texts_of(memory) == ["Hello", "Hi!", "I have a dog"]
    await client.add(messages("Hello"), user_id="ana")
    assert await texts_of(memory) == ["Hello", "Hi!", "I have a dog", "Hello"]
    assert len({one.call_id for one in await memory.turns.list("ana")}) == 2


async def test_what_was_forgotten_stays_forgotten(client, memory):
    """Although the bot goes on sending it."""
    await client.add(messages("My secret is Bob", "I see"), user_id="ana")
    await client.delete_all(user_id="ana")
    whole = messages("My secret is Bob", "I see", "I have a dog")
    await client.add(whole, user_id="ana")
    await client.add([*whole, {"role": "assistant", "content": "Nice"}], user_id="ana")
    assert await texts_of(memory) == ["I have a dog", "Nice"]


async def test_secrets_are_hidden_and_found_again(client, memory):
    """What never may be kept is not, and the conversation goes on all the same."""
    asked = messages("Hello", "What is your PIN?", "4711", "Thanks")
    await client.add(asked[:3], user_id="ana")
    await client.add(asked, user_id="ana")
    await client.add(asked[2:], user_id="ana")
    assert await texts_of(memory) == ["Hello", "What is your PIN?", "•••", "Thanks"]


async def test_parts_silent_roles_and_unknown_ones(client, memory, fault):
    """A message's words are the texts among its parts; prompts and tools are said by nobody."""
    await client.add(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": "Be short."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {}}],
            },
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "42"},
            {"role": "user", "content": "  "},
        ],
        user_id="ana",
    )
    assert await texts_of(memory) == ["Look:"]
    with pytest.raises(fault.ValidationError, match="role"):
        await client.add([{"role": "narrator", "content": "Once upon a time"}], user_id="ana")


async def test_a_conversation_longer_than_other_bodies(client, memory):
    """200 kB go through; what is larger than 4 MiB is refused with the client's own error."""
    whole = messages(*(f"{number} " + "word " * 200 for number in range(200)))
    await client.add(whole, user_id="ana")
    assert len(await memory.turns.list("ana")) == 200


async def test_who_is_not_to_be_remembered_is_not(client, memory, fault):
    """Neither turns nor statements, and the program is told."""
    await ConsentStore(memory.db).write("ana", "off")
    for options in ({}, {"infer": False}):
        with pytest.raises(fault.ValidationError, match="not to be remembered"):
            await client.add(messages("I have a dog"), user_id="ana", **options)
    assert await texts_of(memory) == [] and await memory.facts.list("ana") == []
