"""The join page: whom it lets in, what it refuses, and that it needs nothing from outside."""

import hashlib
import re
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import jwt
import pytest
from livekit import api

from echoic.agent.identity.identity import Rules, resolve
from echoic.local.dev.join_page import SERVED, USER_TOKEN, Door, join_page
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


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": "x"}', b'{"user": "' + b"x" * 5000 + b'"}'])
def test_garbage_is_refused(page: str, body: bytes):
    """No JSON, no object, no user, or far too much: no token is made."""
    assert httpx.post(page + "join", content=body, trust_env=False).status_code == 400


def test_an_impossible_user_is_told_so(page: str):
    """The person at the page reads what a user id may be."""
    answer = httpx.post(page + "join", json={"user": ""}, trust_env=False)
    assert answer.status_code == 422 and "200 characters" in answer.json()["error"]


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
