"""Who may ask over Mem0's interface: each route for each role, two users apart, and wrong requests."""

import asyncio
import re
import sys
from uuid import uuid4

import pytest

from echoic.memory.store.queries import query
from tests.remembered import fact, learn, say


async def test_two_users_apart(connect, memory, fault):
    """A key of one person sees that person, whatever it asks for."""
    await learn(memory, fact("Has a dog", "ana"), theirs := fact("Has a cat", "bo"))
    await say(memory, "My cat is called Miso.", user_id="bo")
    ana = await connect("user", "ana")
    assert [row["memory"] for row in (await ana.get_all(filters={"user_id": "ana"}))["results"]] == [
        "Has a dog"
    ]
    for filters in (
        {"user_id": "*"},
        {"agent_id": "echoic"},
        {"OR": [{"user_id": "ana"}, {"agent_id": "x"}]},
        {},
    ):
        for rows in (await ana.get_all(filters=filters), await ana.search("cat dog Miso", filters=filters)):
            assert {row["user_id"] for row in rows["results"]} <= {"ana"}, filters
    for filters in ({"user_id": "bo"}, {"OR": [{"user_id": "ana"}, {"user_id": "bo"}]}):
        for ask in (ana.get_all(filters=filters), ana.search("cat", filters=filters)):
            with pytest.raises(fault.AuthenticationError):
                await ask
    one = str(theirs.fact_id)
    for ask in (
        ana.get(one),
        ana.update(one, text="x"),
        ana.delete(one),
        ana.history(one),
        ana.feedback(one),
    ):
        with pytest.raises(fault.MemoryNotFoundError):
            await ask
    for ask in (
        ana.add("I am Bo", user_id="bo"),
        ana.delete_all(user_id="bo"),
        ana.delete_users(user_id="bo"),
    ):
        with pytest.raises(fault.AuthenticationError):
            await ask
    assert [row["name"] for row in (await ana.users())["results"]] == ["ana"]
    await ana.add("I have a hat")
    await ana.delete_all(user_id="*")
    assert await memory.turns.list("ana") == [] and len(await memory.facts.list("bo")) == 1
    assert len(await memory.turns.list("bo")) == 1


async def test_a_bot_is_not_told_what_others_told_it(client, memory):
    """Pipecat asks for a user, an agent or a run: that does not mean everybody of the agent."""
    await learn(memory, fact("Is ill", "bo", agent_id="butler", labels={"run_id": "r"}))
    await say(memory, "I am ill.", user_id="bo", agent_id="butler")
    either = {"OR": [{"user_id": "ana"}, {"agent_id": "butler"}, {"run_id": "r"}]}
    assert (await client.search("Who is ill?", filters=either, threshold=0))["results"] == []
    assert (await client.get_all(filters=either))["results"] == []


async def test_the_wall_stands_behind_each_route(served, connect, monkeypatch):
    """With the filter of every query removed, nothing of Bo is shown to Ana's program."""
    await learn(served.memory, mine := fact("Is ana", "ana"), fact("Is bo", "bo"))
    await say(served.memory, "I am bo.", user_id="bo")
    admin = await connect("admin")

    def unfiltered(name):
        return re.sub(r"((?:\w+\.)?user_id = \$1)", r"(\1 or true)", query(name))

    for name, module in list(sys.modules.items()):
        if name.startswith("echoic.") and getattr(module, "query", None) is query:
            monkeypatch.setattr(module, "query", unfiltered)
    for answer in (
        await admin.get_all(filters={"user_id": "ana"}),
        await admin.search("bo", filters={"user_id": "ana"}, threshold=0),
        await admin.get(str(mine.fact_id)),
        await admin.history(str(mine.fact_id)),
        await admin.event(str(mine.fact_id)),
    ):
        assert "Is bo" not in str(answer) and "I am bo" not in str(answer)
    await admin.delete_all(user_id="ana")
    monkeypatch.undo()
    assert len(await served.memory.facts.list("bo")) == 1 and len(await served.memory.turns.list("bo")) == 1


@pytest.mark.parametrize("key", ["x", "echoic_" + "a" * 43, "x" * 10_000])
async def test_a_key_that_is_none_makes_no_client(connect, mem0, key):
    """Both clients say so when they are made."""
    with pytest.raises(ValueError, match="valid key"):
        await connect(key=key)


async def test_ids_that_are_none(client, fault):
    """400 for what is no UUID, 404 for one that nobody has; a slash in it is part of it."""
    for wrong in ("x", "1", "a/b", "%2F", "' or 1=1 --", "é", "x" * 5_000):
        for ask in (
            client.get(wrong),
            client.update(wrong, text="x"),
            client.delete(wrong),
            client.history(wrong),
        ):
            with pytest.raises(fault.ValidationError):
                await ask
    for ask in (
        client.get(str(uuid4())),
        client.history(str(uuid4())),
        client.update(str(uuid4()), text="x"),
    ):
        with pytest.raises(fault.MemoryNotFoundError):
            await ask
    assert "detail" in await client.event("x") and "detail" in await client.event(str(uuid4()))


@pytest.mark.parametrize(
    "user_id", ["a/b", "/", "100%", "%2F", "a?b#c", "ä/ö", "😀", "a b", "'; drop table facts; --"]
)
async def test_any_id_is_a_user_of_their_own(connect, memory, user_id):
    """Also in a path, when they are erased."""
    admin = await connect("admin")
    await admin.add("Has a dog", user_id=user_id, infer=False)
    assert (await admin.get_all(filters={"user_id": user_id}))["count"] == 1
    assert [row["name"] for row in (await admin.users())["results"]] == [user_id]
    await admin.delete_users(user_id=user_id)
    assert (await admin.users())["results"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": ""},
        {"user_id": " "},
        {"user_id": "x" * 201},
        {"user_id": "a\0b"},
        {"user_id": True},
        {"user_id": ["ana"]},
        {"user_id": "mem0.run:r"},
        {"user_id": "*"},
        {"user_id": "ana", "agent_id": "x" * 201},
        {"user_id": "ana", "metadata": {"a": "\0"}},
        {"user_id": "ana", "metadata": {"a": "x" * 20_000}},
        {"user_id": "ana", "timestamp": "yesterday"},
        {"user_id": "ana", "timestamp": 1e20},
        {"user_id": "ana", "timestamp": -1e10},
        {"user_id": "ana", "expiration_date": "32637-01-01"},
        {"user_id": "ana", "expiration_date": "2026-02-30"},
        {"user_id": "ana", "expiration_date": "soon"},
        {"user_id": "ana", "infer": "perhaps"},
    ],
)
async def test_what_cannot_be_added_is_refused(client, memory, fault, wrong):
    """With Mem0's own error, and nothing is kept of it."""
    with pytest.raises(fault.ValidationError):
        await client.add("I have a dog", **wrong)
    for messages in ([], [1], [{"role": "user"}] * 10_001):
        with pytest.raises(fault.ValidationError):
            await client.add(messages, user_id="ana")
    assert await memory.turns.list("ana") == []


async def test_delete_all_never_takes_a_wrong_filter_for_none(client, memory, fault):
    """The client writes it as Python does: what is not understood removes nothing."""
    await learn(memory, fact("Has a dog"))
    for options in (
        {},
        {"filters": {"user_id": {"ne": "bo"}}},
        {"filters": {"AND": [{"user_id": "ana"}]}},
        {"filters": "everything"},
        {"filters": {"created_at": {"lt": "2026-01-01"}}},
        {"user_id": ""},
        {"user_id": "ana", "agent_id": "*"},
        {"user_id": "ana", "metadata": {"plan": "gold"}},
        {"user_id": "ana", "start_date": "2026-01-01"},
        {"user_id": "ana", "filters": {"metadata": {"plan": "gold"}}},
    ):
        with pytest.raises(fault.ValidationError):
            await client.delete_all(**options)
    with pytest.raises(fault.AuthenticationError):
        await client.delete_all(user_id="*")
    assert len(await memory.facts.list("ana")) == 1


async def test_no_words_go_to_the_log_or_the_trail(connect, memory, caplog):
    """Nor ids of persons."""
    client = await connect("admin")
    with caplog.at_level("DEBUG", "echoic"):
        await client.add("xylquorvane", user_id="zanzibar")
        await client.search("xylquorvane", filters={"user_id": "zanzibar"})
        await client.get_all(filters={"user_id": "zanzibar"})
    ours = [one for one in caplog.records if one.name.startswith("echoic")]
    assert not any(word in str(vars(one)) for one in ours for word in ("xylquorvane", "zanzibar"))
    rows = await memory.db.run(lambda connection: connection.fetch("select action, user_hash from audit"))
    assert {row["action"] for row in rows} >= {"POST /v3/memories/add/", "POST /v3/memories/search/"}
    assert not any("zanzibar" in str(dict(row)) for row in rows)


async def test_a_store_that_is_down_is_told(served, connect, fault, monkeypatch):
    """NetworkError: try again."""
    from echoic.memory.errors import StoreUnavailable

    client = await connect()

    async def down(*_, **__):
        raise StoreUnavailable

    monkeypatch.setattr(served.memory.db, "run", down)
    with pytest.raises(fault.NetworkError):
        await client.get_all(filters={"user_id": "ana"})
    await asyncio.sleep(0)
