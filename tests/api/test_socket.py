"""Live events over a WebSocket: events, access and limits of the streams; no key in the address."""

import asyncio
import json
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from echoic.api.access import guard
from echoic.api.access.keys import add_key, revoke_key
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.routes.live import events as stream
from echoic.api.routes.live import socket as route
from echoic.memory.privacy.erase import erase_user
from tests.api.test_events import unlink_while_followed
from tests.remembered import fact, learn, say


def at(address, path):
    return f"{address.replace('http', 'ws', 1)}{path}"


@asynccontextmanager
async def following(served, address, path="/v1/socket", role="admin", user_id=None, last=None):
    """A socket that has begun."""
    key, _ = await add_key(served.memory.db, "a page", role, user_id)
    async with connect(at(address, path), proxy=None) as socket:
        await socket.send(json.dumps({"key": key, "last_event_id": last}))
        assert (await read(socket))["event"] == "stream.began"
        yield socket


async def read(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 15))


async def refusal(address, path, hello):
    """The close code and reason, and the sentence before them."""
    async with connect(at(address, path), proxy=None) as socket:
        if hello is not None:
            await socket.send(hello)
        said = await read(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await read(socket)
        assert said["event"] == "refused" and said["detail"]
        return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_link_taken_back_ends_what_a_running_socket_tells(served, address):
    """As of a stream."""
    await served.memory.links.add("phone:1", "web", made_by="a test")
    async with following(served, address, "/v1/users/phone:1/socket", "user", "phone:1") as socket:

        async def told():
            return (await read(socket))["data"]["user_id"]

        assert await unlink_while_followed(served.memory, told) == ({"web"}, "phone:1")


async def test_what_happens_is_told_and_goes_on_after_a_cut(served, address):
    """In order, each once, also what happened while nobody was connected."""
    async with following(served, address) as socket:
        await say(served.memory, "My dog is called Biscuit.")
        first = await read(socket)
    await learn(served.memory, fact("Has a dog called Biscuit"))
    async with following(served, address, last=first["id"]) as again:
        await say(served.memory, "four", call_id="d")
        told = [await read(again) for _ in range(3)]
    kinds = ["turn.captured", "learning.queued", "fact.added", "turn.captured"]
    assert [one["event"] for one in (first, *told)] == kinds
    assert told[2]["data"]["call_id"] == "d" and "Biscuit" not in str([first, *told])


async def test_a_person_sees_their_own_events_only(served, address):
    """Ids with a slash included, and to the end: that they were erased."""
    path = "/v1/users/ana%2Fb/socket"
    async with following(served, address, path, "user", "ana/b") as socket:
        await say(served.memory, "I am Bo.", user_id="bo")
        await learn(served.memory, fact("Has a dog", "ana/b"))
        await erase_user(served.memory, "bo")
        await erase_user(served.memory, "ana/b")
        told = [await read(socket) for _ in range(2)]
    assert [one["event"] for one in told] == ["fact.added", "user.erased"]


@pytest.mark.parametrize(
    ("role", "path", "allowed"),
    [
        ("admin", "/v1/socket", True),
        ("service", "/v1/socket", True),
        ("user", "/v1/socket", False),
        ("service", "/v1/users/ana/socket", True),
        ("user", "/v1/users/ana/socket", True),
        ("user", "/v1/users/bo/socket", False),
    ],
)
async def test_every_role_and_owner(served, address, role, path, allowed):
    """As for the streams; each is written down in the trail."""
    key, _ = await add_key(served.memory.db, "a page", role, "ana" if role == "user" else None)
    async with connect(at(address, path), proxy=None) as socket:
        await socket.send(json.dumps({"key": key}))
        assert (await read(socket))["event"] == ("stream.began" if allowed else "refused")
    async with served.client() as admin:
        noted = (await admin.get("/v1/audit?limit=2")).json()["items"][1]
    assert noted["allowed"] == allowed and noted["action"].startswith("WEBSOCKET /v1/")
    assert "ana" not in str(noted)


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ("{}", 4401),
        ('{"key": "x"}', 4401),
        ('{"key": "\' or 1=1 --"}', 4401),
        ("", 4400),
        ("null", 4400),
        ("{", 4400),
        (b"\xff\x00", 4400),
        ('{"key": 1}', 4400),
        ('{"key": "x", "user_id": "ana"}', 4400),
        (json.dumps({"key": "x" * 10_000}), 4400),
    ],
)
async def test_a_first_message_that_is_none_is_refused(address, hello, code):
    """With a sentence, and a code that says what to mend."""
    assert (await refusal(address, "/v1/socket", hello))[0] == code


@pytest.mark.parametrize("last", ["x", "1-", "-1-2", "1-1' or true --", "٣-٣"])
async def test_an_id_that_is_none_is_refused(served, address, last):
    """Before anything is told."""
    key, _ = await add_key(served.memory.db, "a page", "admin")
    hello = json.dumps({"key": key, "last_event_id": last})
    assert await refusal(address, "/v1/socket", hello) == (4400, "event-id-invalid")


async def test_a_key_in_the_address_or_a_header_counts_for_nothing(served, address):
    """An address is written to logs; a page that may set no header is not told apart from one that may."""
    key, _ = await add_key(served.memory.db, "a page", "admin")
    assert (await refusal(address, f"/v1/socket?key={key}", "{}"))[0] == 4401


async def test_another_page_or_name_opens_none(address):
    """The origin is checked before anything is accepted."""
    port = int(address.rpartition(":")[2])
    for host, headers in (("127.0.0.1", {"Origin": "https://evil.example"}), ("evil.example", {})):
        opening = connect(f"ws://{host}/v1/socket", host="127.0.0.1", port=port, additional_headers=headers)
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403


async def test_who_says_nothing_is_sent_away(served, address, monkeypatch):
    """And takes no place from the streams meanwhile; of these, too, there are so many."""
    monkeypatch.setattr(route, "HELLO_S", 2.0)
    served.app.state.gate.greeting = greeting = asyncio.Semaphore(1)
    silent = asyncio.create_task(refusal(address, "/v1/socket", None))
    async with asyncio.timeout(10):
        while not greeting.locked():
            await asyncio.sleep(0.01)
    assert (await refusal(address, "/v1/socket", None))[0] == 4503
    assert (await silent)[0] == 4408 and guard.GREETING > 1
    async with following(served, address):
        pass


async def test_it_ends_with_its_key_also_while_events_come(served, address, monkeypatch):
    """At the next heartbeat."""
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.3)
    key, listed = await add_key(served.memory.db, "a page", "admin")
    async with connect(at(address, "/v1/socket"), proxy=None) as socket:
        await socket.send(json.dumps({"key": key}))
        await read(socket)
        await revoke_key(served.memory.db, listed.key_id)
        told = {"event": ""}
        async with asyncio.timeout(10):
            while told["event"] != "refused":
                await say(served.memory, "one", call_id=str(uuid4()))
                told = await read(socket)
        assert told["status"] == 401


async def test_it_counts_as_a_stream(served, address):
    """One limit for both, and a place is free again when its client is gone."""
    served.app.state.streams = asyncio.Semaphore(1)
    async with served.client() as admin:
        async with following(served, address):
            assert (await admin.get("/v1/events")).status_code == 503
        async with asyncio.timeout(10):
            while served.app.state.streams.locked():
                await asyncio.sleep(0.02)
    async with following(served, address):
        pass


async def test_who_speaks_on_is_refused(served, address):
    """After the first message only the API speaks."""
    async with following(served, address) as socket:
        await socket.send("more")
        assert (await read(socket))["status"] == 400


async def test_in_development_nobody_needs_a_key(memory):
    """As everywhere; a page of another origin is refused all the same (above)."""
    async with serving(memory, load_api_settings(), development=True) as app:
        sent, asked = [], iter(({"type": "websocket.connect"}, {"type": "websocket.receive", "text": "{}"}))

        async def receive():
            return next(asked, {"type": "websocket.disconnect", "code": 1000})

        async def send(message):
            sent.append(message)

        scope = {
            "type": "websocket",
            "path": "/v1/socket",
            "raw_path": b"/v1/socket",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8090")],
            "client": ("127.0.0.1", 1),
        }
        await app(scope, receive, send)
    assert sent[0]["type"] == "websocket.accept"
