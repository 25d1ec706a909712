"""What is written to a channel is stored once, however often and whenever it is delivered."""

from datetime import UTC, datetime, timedelta

import pytest

from echoic.api.channels.characters import CreatedBody
from echoic.api.channels.storing import store
from echoic.memory.call import CallMemory
from echoic.memory.clock import moment
from echoic.memory.privacy.forget import forget
from echoic.memory.service import open_memory
from echoic.memory.store.turns import stored_item_id
from echoic.memory.types import Caller, ForgetRequest
from tests.embedders import WordEmbedder
from tests.remembered import said_of, say


async def test_delivered_again_on_the_next_day_it_is_the_same_turn(memory_settings):
    """The sender's clock is ahead: by ours it comes before midnight once, and after it the next time."""
    said_at = datetime.now(UTC) + timedelta(days=1)
    told = {"id": "1", "content": "I own a boat.", "created_at": said_at.isoformat()}
    body = CreatedBody(user_id="ana", character_name="luna", messages=[told])
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        await store(memory, body.written(memory))
        memory.clock.set(said_at + timedelta(minutes=2), moment())
        await store(memory, body.written(memory))
        (turn,) = await memory.turns.list("ana")
        assert f"{said_at:%Y-%m-%d}" in turn.call_id, "the day is the sender's"
        assert turn.said_at < said_at, "it was said when it came"


async def test_without_a_date_it_is_of_the_day_on_which_it_came_first(memory_settings):
    """Told again days later it is the same, also where it was forgotten meanwhile; another one is new."""
    told = [{"id": name, "content": f"I own a {name}."} for name in ("boat", "car")]
    body = CreatedBody(user_id="ana", character_name="luna", messages=told)
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        await store(memory, body.written(memory))
        (boat, car) = await memory.turns.list("ana")
        call = CallMemory(memory, Caller("ana", "luna", "x"))
        await forget(call, ForgetRequest(turn_ids=frozenset({car.turn_id})))
        memory.clock.set(datetime.now(UTC) + timedelta(days=3), moment())
        await store(memory, body.written(memory))
        assert [turn.turn_id for turn in await memory.turns.list("ana")] == [boat.turn_id]
        body.messages[0].id = "another"
        await store(memory, body.written(memory))
        assert len(await memory.turns.list("ana")) == 2


@pytest.mark.parametrize("name", ["turn:1", "theirs"])
async def test_a_message_may_be_called_as_turns_are(memory_settings, name):
    """It is a message of its own; what another person said stays theirs."""
    async with open_memory(memory_settings, embedder=WordEmbedder()) as memory:
        (theirs,) = await say(memory, "I am Bo.", user_id="bo")
        name = stored_item_id(theirs.turn_id) if name == "theirs" else name
        body = CreatedBody(
            user_id="ana", character_name="luna", messages=[{"id": name, "content": "I own a boat."}]
        )
        for _ in range(2):
            await store(memory, body.written(memory))
        assert [text for _, text, _ in await said_of(memory, "ana")] == ["I own a boat."]
        assert [text for _, text, _ in await said_of(memory, "bo")] == ["I am Bo."]
