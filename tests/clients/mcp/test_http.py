"""Over HTTP: who is let in, for whose memory, and what is refused before any tool sees it."""

import json

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from echoic.api.access.keys import add_key, revoke_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.edge import LARGER_BODIES
from echoic.api.mcp.http import serving_mcp
from tests.clients.mcp.conftest import Served
from tests.clients.mcp.test_tools import text_of, told
from tests.clients.serving import at_a_port
from tests.remembered import fact, learn

ACCEPTS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def call(name="get_user_profiles", **arguments):
    """A message as a client before 2026 sends it."""
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


async def key_of(memory, role="user", user_id="ana", **more):
    return (await add_key(memory.db, f"the {role}", role, user_id, **more))[0]


async def sent(served, key=None, message=None, **headers):
    if key is not None:
        headers = {"Authorization": f"Bearer {key}"} | headers
    async with httpx.AsyncClient(headers=ACCEPTS | headers, timeout=30) as client:
        return await client.post(served.url, json=call() if message is None else message)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer x", "Basic eDp5", "Bearer echoic_" + "a" * 43]
)
async def test_without_a_key_nobody_is_let_in(served, authorization):
    """401, as a problem and with what to send; the SDK's client too gets no further."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await sent(served, **headers)
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"].endswith("key-needed")


async def test_the_client_cannot_begin_without_a_key(served, mode):
    """Whichever way it begins."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - the SDK wraps it in groups
        async with Client(served.url, mode=mode) as client:
            await client.list_tools()
    assert not isinstance(caught.value, KeyboardInterrupt)


async def test_a_key_that_was_revoked_or_is_too_old_is_refused_at_once(served):
    """There is no session that outlives it."""
    db = served.memory.db
    key, listed = await add_key(db, "a program", "user", "ana")
    assert (await sent(served, key)).status_code == 200
    assert await revoke_key(db, listed.key_id)
    assert (await sent(served, key)).status_code == 401
    assert (await sent(served, await key_of(served.memory, valid_s=-1))).status_code == 401


async def test_a_persons_key_opens_that_persons_memory_only(served):
    """Whatever a header or an argument names."""
    await learn(served.memory, fact("Is Ana", "ana"), fact("Is Bo", "bo"))
    key = await key_of(served.memory)
    assert "Is Ana" in (await sent(served, key)).text
    assert "Is Ana" in (await sent(served, key, **{"Echoic-User": "ana"})).text
    answer = await sent(served, key, **{"Echoic-User": "bo"})
    assert answer.status_code == 403 and "Is" not in answer.json()["detail"]
    answer = await sent(served, key, call("get_user_profiles", user_id="bo"))
    assert "Is Ana" in answer.text and "Is Bo" not in answer.text


@pytest.mark.parametrize("role", ["service", "admin"])
async def test_a_key_for_all_names_the_user_in_a_header(served, role, mode):
    """And without one nothing is guessed."""
    await learn(served.memory, fact("Is Bo", "bo"), fact("Is André", "André/1"))
    async with served.client(None, role=role, mode=mode, **{"Echoic-User": "bo"}) as client:
        assert "Is Bo" in await told(client, "get_user_profiles")
    key = await key_of(served.memory, role, None)
    assert "Is Andr" in (await sent(served, key, **{"Echoic-User": "Andr%C3%A9%2F1"})).text
    answer = await sent(served, key)
    assert answer.status_code == 400 and "Echoic-User" in answer.json()["detail"]
    for wrong in ("x" * 201, "%00", "%20"):
        answer = await sent(served, key, **{"Echoic-User": wrong})
        assert answer.status_code == 422 and "xxx" not in answer.text


async def test_other_schemes_of_clients_are_understood(served):
    """Clients of Mem0 send `Token`; case does not matter."""
    key = await key_of(served.memory)
    for scheme in ("Token", "bearer", "BEARER"):
        assert (await sent(served, Authorization=f"{scheme} {key}")).status_code == 200


async def test_another_name_or_origin_is_refused(served):
    """DNS rebinding, and somebody else's page."""
    key = await key_of(served.memory)
    assert (await sent(served, key, Host="evil.example")).status_code == 421
    assert (await sent(served, key, Origin="https://evil.example")).status_code == 403
    assert (await sent(served, key, Origin=served.address)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD"])
async def test_nothing_is_streamed(served, method):
    """A stream that never says anything would hold a connection; 405 tells the client so."""
    headers = {"Authorization": f"Bearer {await key_of(served.memory)}"} | ACCEPTS
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.request(method, served.url)
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 20_000, b"null", b"[]", b'"zebra"', b'{"jsonrpc": "2.0", "id": 1}',
     b'{"jsonrpc": "2.0", "id": 1, "method": "zebra/zebra", "params": {"name": ["zebra"]}}',
     b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ["zebra"]}',
     b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "forget", "arguments": 7}}'],
)  # fmt: skip
async def test_what_is_no_message_is_refused(served, body):
    """As JSON, without a defect, and the server goes on."""
    headers = {"Authorization": f"Bearer {await key_of(served.memory)}"} | ACCEPTS
    async with httpx.AsyncClient(headers=headers) as client:
        answer = await client.post(served.url, content=body)
        assert answer.status_code < 500 and "Traceback" not in answer.text, answer.text
        assert "error" in answer.json()
        assert (await client.post(served.url, json=call())).status_code == 200


async def test_a_body_that_is_too_large_is_refused(served):
    """Before it is read whole."""
    key = await key_of(served.memory)
    answer = await sent(served, key, call("save_memory", text="x" * LARGER_BODIES["/mcp"]))
    assert answer.status_code == 413
    answer = await sent(served, key, call("save_memory", text="x" * 1_000_000))
    assert answer.status_code == 200 and "`text`" in answer.text, "a model reads why, and saves less"
    assert await served.memory.turns.list("ana") == []


async def test_the_trail_says_which_tool_was_used_for_whom(served):
    """Refusals too, and no words."""
    key = await key_of(served.memory)
    await sent(served, key, call("save_memory", text="My dog is called Biscuit."))
    await sent(served, key, call("forget", about="dog"))
    await sent(served, key, call("zebra"))
    await sent(
        served,
        key,
        {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "echoic://profile"}},
    )
    await sent(served, key, call("forget", about="dog"), **{"Echoic-User": "bo"})
    rows = await served.memory.db.run(
        lambda connection: connection.fetch("select key_name, action, allowed from audit order by audit_id")
    )
    assert [tuple(row) for row in rows] == [
        ("the user", "MCP save_memory", True),
        ("the user", "MCP forget", True),
        ("the user", "POST /mcp", True),
        ("the user", "MCP echoic://profile", True),
        ("the user", "MCP forget", False),
    ]


async def test_without_postgres_nobody_is_let_in(served, monkeypatch):
    """A key cannot be checked: 503 with when to ask again."""
    from echoic.memory.errors import StoreUnavailable

    key = await key_of(served.memory)

    async def gone(*_, **__):
        raise StoreUnavailable

    monkeypatch.setattr(served.memory.db, "run", gone)
    answer = await sent(served, key)
    assert answer.status_code == 503 and answer.headers["retry-after"]


async def test_a_key_that_asks_too_often_waits(memory):
    """429, and another key goes on."""
    async with serving_mcp(memory, load_api_settings(rate_per_minute=3)) as app, at_a_port(app) as address:
        served = Served(address, memory)
        one, two = await key_of(memory), await key_of(memory)
        assert [(await sent(served, one)).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert (await sent(served, two)).status_code == 200


async def test_the_memory_api_serves_the_same_tools(memory, mode):
    """At /mcp beside its own routes, with the same keys; in development too a user is named."""
    async with serving(memory, load_api_settings(), development=True) as app, at_a_port(app) as address:
        served = Served(address, memory)
        async with served.client(mode=mode) as client:
            await told(client, "save_memory", text="My dog is called Biscuit.")
            assert "Biscuit" in await told(client, "search_memories", query="What is my dog called?")
        assert (await sent(served)).status_code == 400
        async with (
            httpx2.AsyncClient(headers={"Echoic-User": "ana"}) as http,
            Client(streamable_http_client(served.url, http_client=http), mode=mode) as client,
        ):
            found = await client.call_tool("search_memories", {"query": "What is my dog called?"})
            assert "Biscuit" in text_of(found)


async def test_one_request_does_not_stand_behind_anothers_wall(served, memory):
    """What waits in the spool of somebody else comes into Postgres while Ana saves."""
    from echoic.memory.types import Turn
    from tests.remembered import NOW, uuid4

    waiting = Turn(uuid4(), "bo", "echoic", "call", 0, "user", "My cat is called Minka.", NOW)
    await memory.spool.append(waiting)
    async with served.client() as client:
        await told(client, "save_memory", text="My dog is called Biscuit.")
        await told(client, "search_memories", query="What is my dog called?")
    memory.recorder.replay_soon()
    await memory.recorder.wait_replayed()
    assert [turn.text for turn in await memory.turns.list("bo")] == ["My cat is called Minka."]
    assert not await memory.spool.set_aside()


def test_messages_of_these_tests_are_messages():
    """So that what is refused above is refused for its own fault."""
    assert json.loads(json.dumps(call()))["method"] == "tools/call"
