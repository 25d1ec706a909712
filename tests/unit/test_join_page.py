"""The join page: whom it lets in, what it refuses, and that it needs nothing from outside."""

import hashlib
import re
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from livekit import api

from echoic.agent.identity.identity import Rules, resolve
from echoic.local.dev.join_page import SERVED, USER_TOKEN, Door, _Handler, join_page
from echoic.local.dev.livekit_server import LiveKitServer
from tests.processes import ROOT

LIVEKIT = LiveKitServer("ws://127.0.0.1:1", "key", "s" * 32)
DOOR = Door(LIVEKIT, "i" * 32)


@pytest.fixture
def page() -> Iterator[str]:
    with join_page(DOOR) as address:
        yield address


def get(address: str, **headers: str) -> httpx.Response:
    return httpx.get(address, headers=headers, trust_env=False)


def test_page_and_its_parts_are_served(page: str):
    """All that the page asks for is there, under the address that was printed."""
    assert "<title>Echoic</title>" in get(page).text
    for name in SERVED:
        assert get(page + name).status_code == 200


def test_others_on_this_machine_need_the_key(page: str):
    """Without it, or with a wrong one, there is no page at this port."""
    stem = page.rstrip("/").rpartition("/")[0]
    for path in ("/", "/join.html", "/wrong/join.html", "/livekit-client.umd.js"):
        assert get(stem + path).status_code == 404


@pytest.mark.parametrize(
    "path", ["../dev.py", "..%2fdev.py", "join.html/../../dev.py", "%00", "nothing.html"]
)
def test_nothing_but_the_page_is_given_away(page: str, path: str):
    """No path leads out of its folder, however it is written."""
    assert get(page + path).status_code == 404


def test_another_site_cannot_ask_through_a_browser(page: str):
    """By a name that was made to lead here, or by a form of its own."""
    assert get(page, Host="evil.example").status_code == 404
    refused = httpx.post(
        page + "join", json={"user": "maya"}, headers={"Origin": "http://evil.example"}, trust_env=False
    )
    assert refused.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"{",
            b"[]",
            b"7",
            b'{"name": "x"}',
            b'{"user": "' + b"x" * 5000 + b'"}',
            b"[" * 4000,
            b"\xff",
        ),
        *(b'{"user": null}', b'{"user": 7}', b'{"user": ["maya"]}', b'{"user": {"sub": "maya"}}'),
    ],
)
def test_garbage_is_refused(page: str, body: bytes):
    """No JSON, no object, no user, or far too much: no token is made."""
    assert httpx.post(page + "join", content=body, trust_env=False).status_code == 400


def test_an_impossible_user_is_told_so(page: str):
    """The person at the page reads what a user id may be."""
    answer = httpx.post(page + "join", json={"user": ""}, trust_env=False)
    assert answer.status_code == 422 and "200 characters" in answer.json()["error"]


@pytest.mark.parametrize("user", ["phone:1234", "id:web-1", "anonymous:1", "phone:"])
def test_a_reserved_name_is_refused_with_a_sentence(page: str, user: str):
    """The agent would believe nobody by such a name, and remember nothing: the page says so at once."""
    answer = httpx.post(page + "join", json={"user": user}, trust_env=False)
    assert (
        answer.status_code == 422 and "may not begin with phone:, id: or anonymous:" in answer.json()["error"]
    )


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST {path}join HTTP/1.1\r\nHost: {host}\r\nContent-Length: \xb2", 400),
        (b"POST {path}join HTTP/1.1\r\nHost: {host}\r\nContent-Length: " + b"9" * 5_000, 400),
        (b"POST {path}join HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1", 400),
        (b"POST {path}join HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked", 400),
        (b"POST {path}join HTTP/1.1\r\nHost: {host}\r\nContent-Length: 40", 408),
        (b"POST http://[ HTTP/1.1\r\nHost: {host}", 404),
        (b"GET http://[::1/ HTTP/1.1\r\nHost: {host}", 404),
        (b"GET {path} HTTP/1.1", 404),
        (b"GET {path}\x00 HTTP/1.1\r\nHost: {host}", 404),
        (b"GET {path} HTTP/9.9.9\r\nHost: {host}", 400),
        (b"GET " + b"x" * 70_000, 414),
        (b"BREW {path} HTTP/1.1\r\nHost: {host}", 501),
        (b"\x16\x03\x01\x02\x00 \x01 \x00", 400),
        (b"GET {path} HTTP/1.1\r\nHost: {host}\r\n" + b"a: b\r\n" * 200, 431),
    ],
)
def test_every_malformed_request_is_answered(
    page: str, head: bytes, status: int, monkeypatch: pytest.MonkeyPatch
):
    """With a status that says what is wrong, and the next request is served."""
    monkeypatch.setattr(_Handler, "timeout", 0.3)
    parts = urlsplit(page)
    head = head.replace(b"{path}", parts.path.encode()).replace(b"{host}", parts.netloc.encode())
    with socket.create_connection((parts.hostname, parts.port), 10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(4_096).split()[1] == str(status).encode()
    assert get(page).status_code == 200


def test_the_agent_believes_who_was_let_in(page: str):
    """The room's token opens one room, and the agent accepts its user token for that room only."""
    answer = httpx.post(page + "join", json={"user": "maya"}, trust_env=False).json()
    claims = api.TokenVerifier(LIVEKIT.api_key, LIVEKIT.api_secret).verify(answer["token"])
    assert claims.video and claims.video.room == answer["room"] and answer["url"] == LIVEKIT.url
    participant = SimpleNamespace(identity=claims.identity, kind=0, attributes=claims.attributes)
    rules = Rules(identity_secret=DOOR.identity_secret)
    assert resolve(participant, answer["room"], "", rules, first=True).user_id == "maya"
    assert resolve(participant, "another room", "", rules, first=True).user_id != "maya"


def test_two_calls_have_two_rooms():
    """Calling again as the same user never joins an old call."""
    assert DOOR.admit("maya")["room"] != DOOR.admit("maya")["room"]


def test_a_named_agent_is_dispatched():
    """The room's token names the agent to send, and carries the user's own token to it."""
    claims = jwt.decode(
        Door(LIVEKIT, "i" * 32, "memo").admit("maya")["token"], options={"verify_signature": False}
    )
    assert claims["roomConfig"]["agents"] == [{"agentName": "memo"}]
    assert USER_TOKEN in claims["attributes"]


def test_the_page_loads_nothing_from_outside():
    """It works without internet, and nobody outside learns of the call."""
    for name in SERVED - {"livekit-client.umd.js"}:
        assert not re.search(
            r"https?:|//[a-z]", (ROOT / "local" / "dev" / "static" / name).read_text().replace("// ", "")
        )


def test_the_client_is_the_one_that_notice_names():
    """The library we ship is the file whose origin and licence are written down."""
    digest = hashlib.sha256(
        (ROOT / "local" / "dev" / "static" / "livekit-client.umd.js").read_bytes()
    ).hexdigest()
    assert digest in (ROOT / "NOTICE").read_text()
