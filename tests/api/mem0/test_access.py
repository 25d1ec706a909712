"""Who may ask over Mem0's interface: each route for each role, two users apart, and wrong requests."""

import asyncio
import json
import re
import sys
from uuid import uuid4

import httpx
import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.mem0 import hosted, self_hosted
from echoic.memory.store.queries import query
from tests.remembered import fact, learn, say

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)
NAMED = {"filters": {"user_id": "bo"}}
BODIES = {
    "add": {"messages": "I have a dog", "user_id": "bo"},
    "get_all": NAMED,
    "add_v1": {"messages": "I have a dog", "user_id": "bo"},
    "search": NAMED | {"query": "dog"},
    "search_v1": NAMED | {"query": "dog"},
    "update": {"text": "Has two cats"},
    "batch_update": {"memories": [{"memory_id": "{id}", "text": "Has two cats"}]},
    "batch_delete": {"memories": [{"memory_id": "{id}"}]},
    "feedback": {"memory_id": "{id}", "feedback": "POSITIVE"},
}
QUERY = {"get_all_by_query", "delete_all", "own_get_all", "own_delete_all"}
"""Routes that are told in the address whom they are about."""
ADMINS = {"delete_entity", "reset"}
ANYBODYS = {"ping", "not_offered"}
OVER_ALL = {"users", "entities", "events"}


def routes():
    """Method, path and name of each; what removes a person comes last."""
    found = []
    for router in (hosted.router, self_hosted.router):
        for route in router.routes:
            name = route.name.removeprefix("own_").removeprefix("mem0_")
            is_query = ("own_" if route.name.startswith("own_") else "") + name in QUERY
            found += [(method, route.path, name, is_query) for method in route.methods]
    return sorted(found, key=lambda one: (one[2] in ("reset", "delete_entity", "delete_all"), one[1]))


def may(role, owns, name):
    """The rule, written down once more and without the code's help."""
    if role is None:
        return False
    if name in ANYBODYS or role == "admin":
        return True
    if name in OVER_ALL:
        return True
    if name in ADMINS:
        return role == "user" and owns and name == "delete_entity"
    return role == "service" or owns


@pytest.mark.parametrize(
    ("role", "user_id"), [("admin", None), ("service", None), ("user", "bo"), ("user", "ana"), (None, None)]
)
async def test_every_route_for_every_role(served, role, user_id):
    """Somebody else's memory by its id is unknown, by its person forbidden; no answer is a defect."""
    for method, path, name, is_query in routes():
        known = fact("Has a cat", "bo")
        await learn(served.memory, known)
        one = str(known.fact_id)
        url = re.sub(r"\{(memory_id|event_id)\b[^}]*\}", one, path)
        url = url.replace("{kind}", "user").replace("{name:id}", "bo").replace("{rest:path}", "x/")
        body = json.loads(json.dumps(BODIES.get(name)).replace("{id}", one))
        query_string = {"user_id": "bo"} if is_query else None
        # a key of a person who was erased went with them: each route is asked with a new one
        async with served.without_key() if role is None else served.client(role, user_id) as client:
            answer = await client.request(method, url, json=body, params=query_string)
        seen = answer.status_code
        if role is None:
            assert seen == 401, (method, path, answer.text)
        elif may(role, user_id == "bo", name):
            assert seen == (501 if name == "not_offered" else 200), (method, path, answer.text)
        else:
            assert seen in (403, 404), (method, path, answer.text)
            assert await served.memory.facts.list("bo"), (method, path)
        assert "problem+json" not in answer.headers["content-type"]
        assert seen == 200 or answer.json()["detail"]


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


@pytest.mark.parametrize("scheme", ["Token {}", "token {}", "Bearer {}", "X-API-Key"])
async def test_keys_come_as_either_of_mem0s_servers_takes_them(served, address, scheme):
    """And as MCP clients and ours send them."""
    async with served.client("service") as made:
        key = made.headers["Authorization"].partition(" ")[2]
    name = "X-API-Key" if scheme == "X-API-Key" else "Authorization"
    async with httpx.AsyncClient(
        base_url=address, headers={name: scheme.format(key) if "{" in scheme else key}
    ) as one:
        assert (await one.get("/v1/ping/")).json()["project_id"]
    async with httpx.AsyncClient(base_url=address) as nobody:
        assert (await nobody.get("/v1/ping/")).status_code == 401


async def test_who_asks_too_often_waits(memory, mem0, fault):
    """Mem0's RateLimitError, with the seconds."""
    async with serving(memory, load_api_settings(rate_per_minute=2), development=True) as app:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = [await client.get("/v1/ping/") for _ in range(4)]
    assert [one.status_code for one in answers].count(200) == 2
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1


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


async def test_bodies_that_are_none(served):
    """Broken JSON, another type, half a character, a text that is too long: 400, and 413 above the limit."""
    async with served.client("service") as client:
        for content in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'"x"',
            b'{"query": NaN}',
            b'{"query": "\\ud800"}',
            b"\xff",
        ):
            answer = await client.post("/v3/memories/search/", content=content)
            assert answer.status_code == 400 and answer.json()["detail"], content
        long = {"messages": "x" * 2_001, "user_id": "ana", "infer": False}
        assert (await client.post("/v3/memories/add/", json=long)).status_code == 400
        for path, size in (("/v3/memories/add/", 5 * 2**20), ("/v3/memories/search/", 2**17)):
            answer = await client.post(path, content=b" " * size)
            assert answer.status_code == 413, path


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


async def test_the_houses_document_knows_nothing_of_it(served):
    """The generated client stays as it is."""
    async with served.without_key() as client:
        paths = (await client.get("/v1/openapi.json")).json()["paths"]
    assert not [path for path in paths if "memories" in path or "entities" in path]


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
