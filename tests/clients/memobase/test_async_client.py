"""The async client: the same methods, awaited."""

import asyncio
from uuid import uuid4

import httpx
import pytest
from memobase import AsyncMemoBaseClient
from memobase.error import ServerError

from tests.clients.memobase.said import chat
from tests.fakes import facts

ASKED = "What is my dog called?"


@pytest.fixture
async def program(house):
    key = await asyncio.to_thread(house.key)
    async with AsyncMemoBaseClient(project_url=house.address, api_key=key) as client:
        yield client


async def test_one_conversation(own_house):
    """From an unknown user to an erased one."""
    key = await asyncio.to_thread(own_house.key)
    async with AsyncMemoBaseClient(project_url=own_house.address, api_key=key) as program:
        await converse(program)


async def converse(program):
    assert await program.ping()
    name = str(uuid4())
    with pytest.raises(ServerError):
        await program.get_user(name)
    user = await program.get_or_create_user(name)
    assert await program.update_user(name, {"plan": "gold"}) == name
    assert (await program.get_user(name)).fields["data"] == {"data": {"plan": "gold"}}
    blob_id = await user.insert(chat("My dog is called Biscuit."))
    assert (await user.get(blob_id)).messages[0].content == "My dog is called Biscuit."
    assert await user.get_all("chat") == await user.buffer("chat") == [blob_id]
    await user.flush(sync=True)
    assert [one.content for one in await user.profile(only_topics=["pets"])] == ["Has a dog called Biscuit"]
    (event,) = await user.event()
    (found,) = await user.search_event(ASKED)
    assert found.id == event.id and found.similarity >= 0.5
    assert "Biscuit" in (await user.search_event_gist(ASKED))[0].gist_data.content
    await user.update_event(event.id, {"event_tip": "Spoke of a dog."})
    assert (await user.event())[0].event_data.event_tip == "Spoke of a dog."
    slot_id = await user.add_profile("Porto", "contact_info", "city")
    await user.update_profile(slot_id, "Lisbon", "contact_info", "city")
    assert "Lisbon" in await user.context(
        prefer_topics=["contact_info"], chats=[{"role": "user", "content": ASKED}]
    )
    assert await user.delete_profile(slot_id) and await user.delete_event(event.id)
    other = await user.insert(chat("I live in Porto."))
    assert await user.delete(other)
    assert await program.update_config("language: en") and await program.get_config() == "language: en"
    assert [one["id"] for one in await program.get_all_users()] == [name]
    assert (await program.get_daily_usage())[0]["total_insert"] == 1  # one was deleted
    assert "token_left" in await program.get_usage()
    assert await program.delete_user(name)
    with pytest.raises(ServerError):
        await program.get_user(name)


async def test_an_async_flush_is_seen_by_the_very_next_read(program, model):
    """The event race of their suite."""
    model.otherwise = facts("Is called Gus", topic="basic_info")
    user = await program.get_or_create_user(str(uuid4()))
    await user.insert(chat("Hello, I'm Gus"))
    await user.flush()
    assert len(await user.event()) == 1


async def test_many_users_at_once(program):
    """None sees another's; each flush learns its own."""
    users = [await program.get_or_create_user(str(uuid4())) for _ in range(5)]

    async def live(number, user):
        await user.add_profile(f"Town {number}", "contact_info", "city")
        await user.insert(chat("My dog is called Biscuit."))
        await user.flush()
        return await user.context()

    texts = await asyncio.gather(*(live(number, user) for number, user in enumerate(users)))
    for number, text in enumerate(texts):
        assert f"Town {number}" in text and "Biscuit" in text
        assert sum(f"Town {other}" in text for other in range(5)) == 1


async def test_one_user_from_many_places_at_once(program, house):
    """Every message is kept once, however many write."""
    user = await program.get_or_create_user(str(uuid4()))
    said = [f"I own boat number {number}." for number in range(12)]
    await asyncio.gather(*(user.insert(chat(one)) for one in said), *(user.flush() for _ in range(3)))
    await user.flush(sync=True)
    turns = await asyncio.to_thread(house.run, house.memory.turns.list, user.user_id)
    assert sorted(turn.text for turn in turns if turn.role == "user") == sorted(said)


async def test_a_key_that_is_none(house):
    async with AsyncMemoBaseClient(project_url=house.address, api_key="wrong") as stranger:
        assert await stranger.ping()
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await stranger.get_all_users()
