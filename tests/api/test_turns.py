"""Turns over HTTP: stored in their order, once, by whoever may; learned as those of a call are."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.store import jobs

TOLD = "My dog is called Biscuit."
SAID = [{"role": "user", "text": TOLD}, {"role": "assistant", "text": "Nice name."}]


async def stored(served, user_id="maya"):
    return [(one.role, one.text, one.call_id) for one in await served.memory.turns.list(user_id)]


async def test_a_conversation_is_stored_in_its_order_and_found(served, admin):
    """With its call, its agent and its dates; the next question finds it."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    said = [one | {"said_at": yesterday.isoformat()} for one in SAID]
    body = {"call_id": "chat 1", "agent_id": "desk", "turns": said}
    answer = await admin.post("/v1/users/maya/turns", json=body)
    assert answer.status_code == 200 and answer.json()["call_id"] == "chat 1"
    turns = await served.memory.turns.list("maya")
    assert [str(one.turn_id) for one in turns] == answer.json()["turn_ids"]
    assert [(one.text, one.agent_id, one.said_at) for one in turns] == [
        (one["text"], "desk", yesterday) for one in SAID
    ]
    found = await admin.post(
        "/v1/users/maya/search",
        json={"text": "What is my dog called?", "agent_id": "desk", "budget_ms": 5000},
    )
    assert "Biscuit" in found.json()["block"]


async def test_parts_of_a_call_that_come_at_once_have_each_their_place(served, admin):
    """As a trigger fires for each message."""
    parts = [[{"role": "user", "text": f"Number {number}.", "id": str(number)}] for number in range(6)]
    send = [admin.post("/v1/users/maya/turns", json={"call_id": "c", "turns": one}) for one in parts]
    assert {one.status_code for one in await asyncio.gather(*send)} == {200}
    assert sorted(one.position for one in await served.memory.turns.list("maya")) == [*range(6)]


async def test_what_is_sent_again_is_stored_once(served, admin):
    """By the sender's ids, or else by place and words; what is new behind it is added behind it."""
    more = [*SAID, {"role": "user", "text": "He is brown.", "id": "m3"}]
    for turns in (SAID, SAID, more, more):
        answer = await admin.post("/v1/users/maya/turns", json={"call_id": "c", "turns": turns})
        assert len(answer.json()["turn_ids"]) == len(turns)
    changed = more[2] | {"text": "He is black."}
    await admin.post("/v1/users/maya/turns", json={"call_id": "c", "turns": [changed]})
    assert [text for _, text, _ in await stored(served)] == [one["text"] for one in more]


async def test_conversations_without_an_id_are_two(served, admin):
    """Somebody says the same on another day."""
    for _ in range(2):
        await admin.post("/v1/users/maya/turns", json={"turns": SAID})
    assert len({call_id for _, _, call_id in await stored(served)}) == 2 and len(await stored(served)) == 4


@pytest.mark.parametrize("ended", [True, False])
async def test_learning_is_told(served, admin, monkeypatch, ended):
    """At once when the conversation is over; else after its pause, as during a call."""
    told = []

    async def enqueue(_, user_id, *, hurry=False):
        told.append((user_id, hurry))
        return True

    monkeypatch.setattr(jobs.JobQueue, "enqueue_learn", enqueue)
    await admin.post("/v1/users/maya/turns", json={"turns": SAID[:1], "ended": ended})
    assert set(told) == ({("maya", False), ("maya", True)} if ended else {("maya", False)})


async def test_who_does_not_want_to_be_remembered_is_not(served, admin):
    """Neither what is said now, nor what is told of another day."""
    await served.memory.consents.write("maya", "off")
    old = SAID[0] | {"said_at": "2020-01-01T00:00:00Z"}
    answer = await admin.post("/v1/users/maya/turns", json={"turns": [SAID[0], old]})
    assert answer.json()["turn_ids"] == [None, None] and await stored(served) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"turns": []},
        {"turns": [{"role": "system", "text": "x"}]},
        {"turns": [{"role": "user", "text": "  "}]},
        {"turns": [{"role": "user", "text": "x" * 20_001}]},
        {"turns": [{"role": "user", "text": "x\x00"}]},
        {"turns": [{"role": "user", "text": "x", "said_at": "32637-01-01T00:00:00Z"}]},
        {"turns": [{"role": "user", "text": "x", "said_at": "2026-01-01T00:00:00"}]},
        {"turns": SAID, "call_id": ""},
        {"turns": SAID, "text": "x"},
        {"turns": SAID * 251},
    ],
)
async def test_what_does_not_fit_stores_nothing(served, admin, body):
    """Not even the part that would."""
    assert (await admin.post("/v1/users/maya/turns", json=body)).status_code == 422
    assert await stored(served) == []


async def test_only_who_may_write_there(served):
    """A key of one person writes their own words, and nobody else's; without a key nobody does."""
    for role, user_id, path, status in (
        ("user", "maya", "maya", 200),
        ("user", "maya", "ben", 403),
        ("service", None, "ben", 200),
    ):
        async with served.client(role, user_id) as client:
            answer = await client.post(f"/v1/users/{path}/turns", json={"turns": SAID})
            assert answer.status_code == status, (role, path)
    async with served.without_key() as client:
        assert (await client.post("/v1/users/maya/turns", json={"turns": SAID})).status_code == 401
    assert len(await stored(served)) == 2 and len(await stored(served, "ben")) == 2


async def test_one_word_of_two_people_is_two_turns(served, admin):
    """The same call id and the same sender's id of somebody else are another's."""
    name = uuid4().hex
    for user_id in ("maya", "ben"):
        body = {"call_id": name, "turns": [SAID[0] | {"id": "1"}]}
        await admin.post(f"/v1/users/{user_id}/turns", json=body)
    assert await stored(served) == [("user", TOLD, name)] == await stored(served, "ben")
