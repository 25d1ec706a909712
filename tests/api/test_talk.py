"""Calls from the page: whom the door lets in, and that the page loads and tells nothing outside."""

import hashlib
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from livekit import api

from echoic.agent.identity.identity import Rules, resolve
from echoic.api.access.door import NEEDED, USER_TOKEN, Door
from echoic.api.app import serving
from echoic.api.config import load_api_settings
from tests.api.conftest import Served
from tests.processes import ROOT
from tests.remembered import caller

STATIC = ROOT / "api" / "static"
DOOR = Door("ws://127.0.0.1:7880", "key", "s" * 32, "i" * 32)


@pytest.fixture
async def calls(memory, monkeypatch):
    """An administrator's client of an API that knows where calls are taken."""
    for name, value in zip(
        NEEDED, (DOOR.url, DOOR.api_key, DOOR.api_secret, DOOR.identity_secret), strict=True
    ):
        monkeypatch.setenv(name, value)
    async with (
        serving(memory, load_api_settings(rate_per_minute=100_000)) as app,
        Served(app, memory).client() as client,
    ):
        yield client


async def test_the_agent_believes_who_was_let_in(calls):
    """The room's token opens one room, and the agent accepts its user token for that room only."""
    ticket = (await calls.post("/v1/users/maya/talk")).json()
    claims = api.TokenVerifier(DOOR.api_key, DOOR.api_secret).verify(ticket["token"])
    assert claims.video and claims.video.room == ticket["room"] and ticket["url"] == DOOR.url
    participant = SimpleNamespace(identity=claims.identity, kind=0, attributes=claims.attributes)
    rules = Rules(identity_secret=DOOR.identity_secret)
    assert resolve(participant, ticket["room"], "", rules, first=True).user_id == "maya"
    assert resolve(participant, "another room", "", rules, first=True).user_id != "maya"
    assert (await calls.post("/v1/users/maya/talk")).json()["room"] != ticket["room"]


@pytest.mark.parametrize("user", ["phone:1234", "id:web-1", "anonymous:1", "phone:"])
async def test_a_reserved_name_is_refused_with_a_sentence(calls, user):
    """The agent would believe nobody by such a name, and remember nothing: the page says so at once."""
    answer = await calls.post(f"/v1/users/{user}/talk")
    assert answer.status_code == 422
    assert "may not begin with phone:, id: or anonymous:" in answer.json()["detail"]


async def test_where_no_calls_are_taken_the_answer_names_what_is_missing(admin, monkeypatch):
    """One variable or all: a sentence, and no token."""
    monkeypatch.setenv("LIVEKIT_URL", DOOR.url)
    for name in NEEDED[1:]:
        monkeypatch.delenv(name, raising=False)
    answer = await admin.post("/v1/users/maya/talk")
    assert answer.status_code == 503 and "LIVEKIT_API_KEY" in answer.json()["detail"]
    assert "LIVEKIT_URL" not in answer.json()["detail"]


def test_a_named_agent_is_dispatched():
    """The room's token names the agent to send, and carries the user's own token to it."""
    door = Door(DOOR.url, "key", "s" * 32, "i" * 32, "memo")
    claims = jwt.decode(door.admit("maya").token, options={"verify_signature": False})
    assert claims["roomConfig"]["agents"] == [{"agentName": "memo"}]
    assert USER_TOKEN in claims["attributes"]


async def test_the_page_may_reach_its_own_server_and_livekit_alone(calls):
    """By the policy that the browser is told."""
    policy = (await calls.get("/")).headers["content-security-policy"]
    (reached,) = re.findall(r"connect-src ([^;]*)", policy)
    assert reached == "'self' ws://127.0.0.1:7880 http://127.0.0.1:7880"


def test_the_page_loads_nothing_from_outside():
    """It works without internet, and nobody outside learns of a call."""
    for file in (one for one in STATIC.rglob("*") if one.is_file() and one.parent.name != "vendor"):
        assert not re.search(r"https?:|[\"'(]//[a-z]", file.read_text()), file


VENDORED = [*(STATIC / "vendor").iterdir(), *(ROOT / "tests" / "page" / "vendor").iterdir()]


@pytest.mark.parametrize("file", sorted(VENDORED), ids=lambda file: file.name)
def test_what_is_vendored_is_what_notice_names(file: Path):
    """The library we ship is the file whose origin and licence are written down."""
    notice = (ROOT / "NOTICE").read_text()
    assert str(file.relative_to(ROOT)) in notice
    assert hashlib.sha256(file.read_bytes()).hexdigest() in notice


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v1/users/maya/talk HTTP/1.1\r\nHost: {host}\r\nContent-Length: \xb2",
        b"POST /v1/users/maya/talk HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1",
        b"GET http://[::1/ HTTP/1.1\r\nHost: {host}",
        b"GET / HTTP/1.1",
        b"GET /\x00 HTTP/1.1\r\nHost: {host}",
        b"GET / HTTP/9.9.9\r\nHost: {host}",
        b"GET /" + b"x" * 70_000,
        b"\x16\x03\x01\x02\x00 \x01 \x00",
    ],
)
async def test_every_malformed_request_is_refused_and_the_next_one_served(address, head):
    """With a status of the 400s, or a closed connection."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), 10) as connection:
        connection.setblocking(True)
        connection.sendall(head.replace(b"{host}", parts.netloc.encode()) + b"\r\n\r\n")
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{address}/livez")).status_code == 200
        answer = connection.recv(4_096)
    assert not answer or answer.split()[1].startswith(b"4"), answer


async def test_what_memory_gave_a_reply_is_kept_with_it_and_told(memory, admin):
    """Ids, tiers and milliseconds, in the turn and in its event; a turn of the caller has none."""
    call = await memory.open_call(caller("ana"))
    await call.record("1", "user", "My dog is called Biscuit.")
    await call.record("2", "assistant", "A lovely name.")
    await call.record("3", "user", "What is my dog called?")
    recall = await call.recall("What is my dog called?", budget_s=5)
    await call.record("4", "assistant", "Biscuit.")
    await call.record("5", "assistant", "Is there anything else?")
    await call.end()
    turns = (await admin.get(f"/v1/users/ana/calls/{call.caller.call_id}/turns")).json()["items"]
    assert [one["recall"] is not None for one in turns] == [False, False, False, True, False]
    told = turns[3]["recall"]
    assert told["tiers"]["facts"]["status"] == recall.tiers["facts"].status and told["ms"] > 0
    assert [one["id"] for one in told["used"]] == [str(item.id) for item in recall.used]
    assert "Biscuit" not in str(told)
    one = (await admin.get(f"/v1/users/ana/turns/{turns[3]['turn_id']}")).json()
    assert one == turns[3]
    assert (await admin.get(f"/v1/users/bo/turns/{turns[3]['turn_id']}")).status_code == 404
