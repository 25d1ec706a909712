"""One conversation sent again and again, whole or its last part: each turn is stored once, none is lost."""

import asyncio
import random
from datetime import timedelta

import pytest

from echoic.api.mem0.conversation.overlap import Said, new_places
from echoic.memory.store.consent import ConsentStore

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)


def said(*texts):
    """User and assistant in turn."""
    return [Said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def messages(*texts):
    return [{"role": one.role, "content": one.text} for one in said(*texts)]


def new(known, sent):
    return [sent[place].text for place in new_places(known, sent)]


TALK = said("Hello", "Hi!", "I have a dog", "Nice", "yes", "Anything else?", "no", "Bye")


def test_a_conversation_that_grows_is_new_at_its_end():
    """Whatever is stored of it."""
    for known in range(len(TALK) + 1):
        for sent in range(known, len(TALK) + 1):
            assert new_places(TALK[:known], TALK[:sent]) == list(range(known, sent))


def test_a_window_that_slides_is_new_at_its_end():
    """Clients with a short memory send the last messages only."""
    known = TALK[:6]
    for first in range(1, 6):
        assert new(known, TALK[first:]) == ["no", "Bye"]


def test_a_request_that_comes_late_or_twice_is_not_new():
    """Clients send in threads: an earlier state of the conversation may arrive last."""
    for known in range(1, len(TALK) + 1):
        for sent in range(1, known + 1):
            assert new_places(TALK[:known], TALK[:sent]) == []


def test_one_message_at_a_time_is_said_again():
    """Whoever sends only what is new may answer "yes" twice."""
    known = said("Hello", "Tea?", "yes", "Coffee?")
    assert new(known, said("yes")) == ["yes"]
    assert new([*known, *said("yes")], said("yes")) == []


def test_a_summary_in_front_hides_nothing():
    """What stands before the part that is known was said before it."""
    sent = [Said("user", "Summary: a dog."), *TALK[4:]]
    assert new(TALK[:6], sent) == ["no", "Bye"]


def test_two_ways_of_a_conversation_are_each_stored_once():
    """An answer was made anew, or a sentence went on after it had been sent."""
    known = said("Hello", "Hi!", "I have a")
    changed = said("Hello", "Hi!", "I have a dog")
    assert new(known, changed) == ["I have a dog"]
    both = [*known, changed[-1]]
    assert new(both, [*changed, *said("", "Nice")[1:]]) == ["Nice"]


def test_a_secret_is_known_by_what_is_left_of_it():
    """It is stored hidden, and sent again in clear."""
    known = [Said("user", "My PIN is •••."), Said("assistant", "Thanks.")]
    assert new(
        known, [Said("user", "My PIN is 4711."), Said("assistant", "Thanks."), Said("user", "ok")]
    ) == ["ok"]


def test_what_is_left_of_a_forgotten_conversation_goes_on():
    """Its beginning is gone, and is sent all the same."""
    assert new(TALK[3:4], TALK[:6]) == ["yes", "Anything else?"]


def test_a_long_conversation_costs_little():
    """Of 12,000 messages the last ones are compared."""
    whole = said(*(f"message {number % 500}" for number in range(12_000)))
    assert new_places(whole[-2_200:-3], whole) == [11_997, 11_998, 11_999]


@pytest.mark.parametrize("seed", range(20))
def test_any_conversation_in_any_pieces_is_stored_once(seed):
    """Whole or as windows of six messages and more, some of them twice: the same order comes out."""
    dice = random.Random(seed)
    whole = said(*(f"{number} {dice.choice(['yes', 'no', 'ok'])}" for number in range(60)))
    stored, end = [], 0
    while end < len(whole):
        end = min(len(whole), end + dice.randint(1, 4))
        first = 0 if dice.random() < 0.5 else max(0, end - dice.randint(6, 12))
        for sent in (whole[first:end], whole[: dice.randint(1, end)] if dice.random() < 0.3 else []):
            stored += [sent[place] for place in new_places(stored, sent)]
    assert stored == whole


async def texts_of(memory, user_id="ana", agent_id=None):
    turns = await memory.turns.list(user_id)
    return [one.text for one in turns if agent_id in (None, one.agent_id)]


async def test_a_pipecat_bot_sends_everything_each_turn(client, memory):
    """Many requests at once and again: one conversation, each turn once, in order."""
    whole = messages(*(one.text for one in TALK))
    for end in (1, 3, 5, 7):
        asked = {"user_id": "ana", "metadata": {"platform": "pipecat"}}
        await asyncio.gather(*(client.add(whole[:end], **asked) for _ in "123"))
    await client.add(whole[:3], user_id="ana")
    await client.add(whole, user_id="ana")
    turns = await memory.turns.list("ana")
    assert [one.text for one in turns] == [one.text for one in TALK]
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
