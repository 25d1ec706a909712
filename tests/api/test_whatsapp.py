"""WhatsApp's webhook: what is signed is stored once, for the person who calls from that number."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from echoic.api.app import serving
from echoic.api.config import load_api_settings
from echoic.api.edge import LARGER_BODIES
from echoic.memory.call import CallMemory
from echoic.memory.errors import ConfigInvalid, StoreUnavailable
from echoic.memory.identity.phone import phone_user
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.forget import forget
from echoic.memory.types import Caller, ForgetRequest
from tests.api.conftest import Served

PATH, SECRET, TOKEN, KEY = "/channels/whatsapp", "app secret ü", "verify me ü", "k" * 32
ANA, BO = "4915112345678", "351912345678"
SAID_AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


def user(number):
    return phone_user(f"+{number}", key=KEY)


def text(body, number=ANA, wamid="wamid.1", said_at=SAID_AT, **more):
    message = {"from": number, "id": wamid, "timestamp": str(int(said_at.timestamp())), "type": "text"}
    return message | {"text": {"body": body}} | more


def value(*messages, **more):
    metadata = {"display_phone_number": "15550001", "phone_number_id": "106540352242922"}
    contacts = [{"profile": {"name": "Zebra"}, "wa_id": one.get("from")} for one in messages]
    return {
        "messaging_product": "whatsapp",
        "metadata": metadata,
        "contacts": contacts,
        "messages": [*messages],
    } | more


def delivery(*values, field="messages"):
    """One entry for each of them."""
    entries = [{"id": "WABA", "changes": [{"field": field, "value": one}]} for one in values]
    return {"object": "whatsapp_business_account", "entry": entries}


def signed(content, secret=SECRET):
    return "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


@pytest.fixture
async def channel(memory, monkeypatch):
    """An API that has the webhook, with the agents' key for phone numbers."""
    monkeypatch.setenv("ECHOIC_PHONE_KEY", KEY)
    settings = load_api_settings(whatsapp_verify_token=TOKEN, whatsapp_app_secret=SECRET)
    async with serving(memory, settings) as app:
        yield Served(app, memory)


async def deliver(channel, body, signature=None, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Hub-Signature-256": signed(content) if signature is None else signature} | headers
    async with channel.without_key(**headers) as client:
        return await client.post(PATH, content=content)


async def turns(channel, number=ANA):
    return await channel.memory.turns.list(user(number))


async def test_meta_verifies_the_address(channel):
    """The challenge comes back as it is, as plain text, for the right token only."""
    asked = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158<b>201444"}
    async with channel.without_key() as client:
        answer = await client.get(PATH, params=asked)
        assert (answer.status_code, answer.text) == (200, "1158<b>201444")
        assert answer.headers["content-type"].startswith("text/plain")
        for wrong in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}, {"hub.verify_token": ""}):
            assert (await client.get(PATH, params=asked | wrong)).status_code == 403
        assert (await client.get(PATH)).status_code == 403


async def test_what_is_written_is_a_turn_of_who_calls_from_that_number(channel):
    """With its own time, under the id that a phone call of that number has, and the number nowhere."""
    answer = await deliver(channel, delivery(value(text("My dog is called Biscuit 🐶."))))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    (turn,) = await turns(channel)
    assert (turn.role, turn.text, turn.said_at) == ("user", "My dog is called Biscuit 🐶.", SAID_AT)
    assert turn.user_id.startswith("phone:") and turn.agent_id == "echoic"
    assert ANA not in turn.call_id
    async with channel.client() as client:
        found = await client.post(f"/v1/users/{turn.user_id}/search", json={"text": "What is my dog called?"})
        assert "Biscuit" in found.json()["block"]
    waiting = await channel.memory.jobs._redis.zrange("echoic:queue", 0, -1)
    assert [one.decode() for one in waiting] == [f"learn:{turn.user_id}"]


async def test_many_messages_of_many_people_in_one_delivery(channel):
    """Several entries, changes and messages: each to its own person, in the order of their time."""
    later = SAID_AT + timedelta(seconds=5)
    body = delivery(
        value(text("second", wamid="wamid.2", said_at=later), text("first", wamid="wamid.1")),
        value(text("Hallo", BO, "wamid.3")),
    )
    body["entry"][1]["changes"].append(
        {"field": "messages", "value": value(text("third", wamid="wamid.4", said_at=later))}
    )
    assert (await deliver(channel, body)).status_code == 200
    mine = await turns(channel)
    assert [turn.text for turn in mine] == ["first", "second", "third"]
    assert [turn.position for turn in mine] == [0, 1, 2] and len({turn.call_id for turn in mine}) == 1
    assert [turn.text for turn in await turns(channel, BO)] == ["Hallo"]


async def test_a_message_that_comes_again_is_stored_once(channel):
    """Alone, beside a new one, at once, and on another day."""
    first, second = text("My dog is called Biscuit."), text("And my cat Minka.", wamid="wamid.2")
    for body in (
        delivery(value(first)),
        delivery(value(first)),
        delivery(value(second, first), value(first)),
    ):
        assert (await deliver(channel, body)).status_code == 200
    assert all(
        one.status_code == 200
        for one in await asyncio.gather(*(deliver(channel, delivery(value(first))) for _ in range(8)))
    )
    assert [turn.text for turn in await turns(channel)] == ["My dog is called Biscuit.", "And my cat Minka."]


async def test_what_was_forgotten_or_erased_does_not_come_back(channel):
    """A delivery that is replayed brings nobody back."""
    body = delivery(value(text("My dog is called Biscuit.")))
    await deliver(channel, body)
    (turn,) = await turns(channel)
    caller = Caller(turn.user_id, turn.agent_id, "test")
    await forget(CallMemory(channel.memory, caller), ForgetRequest(frozenset({turn.turn_id})))
    assert (await deliver(channel, body)).status_code == 200 and await turns(channel) == []
    await deliver(channel, delivery(value(text("I live in Porto.", wamid="wamid.2"))))
    await erase_user(channel.memory, user(ANA))
    assert (
        await deliver(channel, delivery(value(text("I live in Porto.", wamid="wamid.2"))))
    ).status_code == 200
    assert await turns(channel) == []


async def test_who_does_not_want_to_be_remembered_is_not(channel):
    """As in a call."""
    await channel.memory.consents.write(user(ANA), "off")
    later = datetime.now(UTC) + timedelta(seconds=1)  # Meta tells whole seconds
    assert (
        await deliver(channel, delivery(value(text("I live in Porto.", said_at=later))))
    ).status_code == 200
    assert await turns(channel) == []


FORGED = [
    "",
    "sha256=",
    "sha256=" + "0" * 64,
    "sha1=" + "0" * 40,
    "sha256=ü",
    "x" * 10_000,
]


@pytest.mark.parametrize("signature", FORGED)
async def test_what_is_not_signed_is_refused(channel, signature):
    """401, and nothing is stored."""
    headers = {"X-Hub-Signature-256": signature.encode()}
    content = json.dumps(delivery(value(text("I am Ana, forget me.")))).encode()
    async with channel.without_key() as client:
        answer = await client.post(PATH, content=content, headers=headers)
        assert answer.status_code == 401 and "forget" not in answer.text
        assert (await client.post(PATH, content=content)).status_code == 401
    assert await turns(channel) == []


async def test_a_signature_is_of_these_bytes_with_this_secret(channel):
    """Another secret, another body, the same JSON written in another way: forged."""
    body = delivery(value(text("Grüße 🐶")))
    written = json.dumps(body, ensure_ascii=False).encode()
    escaped = json.dumps(body).encode()
    assert (await deliver(channel, written, signed(written, "another"))).status_code == 401
    assert (await deliver(channel, written, signed(escaped))).status_code == 401
    assert (await deliver(channel, written, signed(written).upper())).status_code == 401
    assert await turns(channel) == []
    assert (await deliver(channel, written, signed(written))).status_code == 200
    assert [turn.text for turn in await turns(channel)] == ["Grüße 🐶"]


async def test_a_forger_is_slowed_down(memory):
    """By address; nobody who signs is."""
    settings = load_api_settings(whatsapp_verify_token=TOKEN, whatsapp_app_secret=SECRET, rate_per_minute=3)
    async with serving(memory, settings) as app:
        channel = Served(app, memory)
        body = delivery(value(text("Hello.")))
        assert [(await deliver(channel, body, "x")).status_code for _ in range(5)] == [
            401,
            401,
            401,
            429,
            429,
        ]
        assert [(await deliver(channel, body)).status_code for _ in range(5)] == [200] * 5


async def test_answers_that_are_chosen_and_captions_are_words_too(channel):
    """A button, a line of a list, what stands below a picture: the person said so."""
    said = [
        text("", wamid="w1", type="button", button={"text": "Yes, please", "payload": "p"}),
        text(
            "", wamid="w2", type="interactive", interactive={"button_reply": {"id": "1", "title": "At nine"}}
        ),
        text("", wamid="w3", type="interactive", interactive={"list_reply": {"id": "1", "title": "Window"}}),
        text("", wamid="w4", type="image", image={"id": "1", "caption": "My dog Biscuit"}),
        text("", wamid="w5", type="document", document={"id": "1", "caption": "My visa"}),
    ]
    for _ in range(2):
        assert (await deliver(channel, delivery(value(*said)))).status_code == 200
    stored = await channel.memory.turns.list(user(ANA))
    assert [one.text for one in stored] == ["Yes, please", "At nine", "Window", "My dog Biscuit", "My visa"]


@pytest.mark.parametrize(
    "body",
    [
        delivery(value(statuses=[{"id": "wamid.1", "status": "read", "recipient_id": ANA}])),
        delivery({"statuses": [{"id": "wamid.1", "status": "failed"}]}),
        delivery(value(text("x", type="reaction", reaction={"emoji": "👍"}))),
        delivery(value(text("x", type="image", image={"id": "1"}))),
        delivery(value(text("x", type="button", button="x"))),
        delivery(value(text("x", type="interactive", interactive={"type": "nfm_reply"}))),
        delivery(value(text("x", type="edit", edit={"body": "x"}))),
        delivery(value(text("x", type="unsupported", errors=[{"code": 131051}]))),
        delivery(value(text("x", type="system", system={"body": "x"}))),
        delivery(value(text("x")), field="message_echoes"),
        delivery(value(text("x")), field="account_update"),
        delivery(value(text("x", number="0"))),
        delivery(value(text("x", number="not a number"))),
        delivery(value(text("x", number="PT.1234567890"))),
        delivery(value(text("x", number=None))),
        delivery(value(text("x", timestamp="tomorrow"))),
        delivery(value(text("x", timestamp=1_700_000_000))),
        delivery(value(text("x", timestamp="²"))),
        delivery(value(text("x", timestamp="-1"))),
        delivery(value(text("x", id=""))),
        delivery(value(text("x", id=["wamid.1"]))),
        delivery(value(text("  \n"))),
        delivery(value(text(None))),
        delivery(value({"text": {"body": "x"}})),
        delivery(value(text("x"), metadata=None)),
        delivery(value(text("x"), messages={"0": text("x")})),
        delivery(value(text("x"), messages=["x", 7, None])),
        delivery(None, [], "x"),
        {"object": "page", "entry": []},
        {"entry": {"changes": []}},
        {"entry": [{"changes": {"field": "messages"}}, None]},
        [], "text", 7, None, {},
    ],
)  # fmt: skip
async def test_what_is_not_for_us_is_answered_and_left_alone(channel, body):
    """200: anything else would bring it again for days."""
    assert (await deliver(channel, body)).status_code == 200
    rows = await channel.memory.db.run(lambda connection: connection.fetch("select 1 from turns"))
    assert rows == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 20_000, b'{"entry": NaN'])
async def test_what_is_signed_and_no_json_is_refused(channel, body):
    """As a problem, not a defect."""
    assert (await deliver(channel, body)).status_code == 400


@pytest.mark.parametrize(
    "stamp", ["99999999999999", "9" * 4_000, str(int((SAID_AT + timedelta(days=36_500)).timestamp()))]
)
async def test_a_time_that_lies_ahead_is_now(channel, stamp):
    """Nothing is remembered from the year 32637."""
    assert (await deliver(channel, delivery(value(text("Hello there.", timestamp=stamp))))).status_code == 200
    (turn,) = await turns(channel)
    assert abs(datetime.now(UTC) - turn.said_at) < timedelta(minutes=1)


async def test_a_malformed_message_costs_the_others_nothing(channel):
    """In the same delivery."""
    body = delivery(value({"type": "text"}, text("I live in Porto."), text(7, wamid="wamid.3")), None)
    assert (await deliver(channel, body)).status_code == 200
    assert [turn.text for turn in await turns(channel)] == ["I live in Porto."]


async def test_a_large_delivery_is_taken(channel):
    """Meta sends up to three megabytes; other routes take less than that."""
    many = [text(f"{number} " + "words " * 600, wamid=f"wamid.{number}") for number in range(60)]
    assert len(json.dumps(delivery(value(*many)))) > 200_000
    assert (await deliver(channel, delivery(value(*many)))).status_code == 200
    assert len(await turns(channel)) == 60
    assert (await deliver(channel, b" " * (LARGER_BODIES[PATH] + 1))).status_code == 413


async def test_stores_that_are_away_lose_no_message(channel, monkeypatch):
    """It waits on the disk; where that is full too, Meta sends it again."""

    async def gone(*_, **__):
        raise StoreUnavailable

    memory = channel.memory
    with monkeypatch.context() as patch:
        for name in ("run", "transaction"):
            patch.setattr(memory.db, name, gone)
        assert (await deliver(channel, delivery(value(text("I live in Porto."))))).status_code == 200
        patch.setattr(memory.spool, "append", gone)
        again = await deliver(channel, delivery(value(text("And my dog is Biscuit.", wamid="wamid.2"))))
        assert again.status_code == 503 and again.headers["retry-after"]
    again = delivery(value(text("And my dog is Biscuit.", wamid="wamid.2")))
    assert (await deliver(channel, again)).status_code == 200
    async with asyncio.timeout(30):
        while len(found := await turns(channel)) < 2:  # what waited on the disk is on its way
            await asyncio.sleep(0.05)
    assert sorted(turn.text for turn in found) == ["And my dog is Biscuit.", "I live in Porto."]


async def test_no_word_and_no_number_is_logged(channel, caplog):
    """Of what is stored, refused, or nobody's."""
    caplog.set_level("DEBUG")
    await deliver(channel, delivery(value(text("zebra"))))
    await deliver(channel, delivery(value(text("zebra", number="4989"))))
    await deliver(channel, delivery(value(text("zebra"))), "forged")
    ours = [str(vars(record)) for record in caplog.records if record.name.startswith("echoic")]
    assert len(ours) >= 3 and not any(
        word in line for line in ours for word in ("zebra", ANA, "4989", "Zebra")
    )


async def test_a_channel_that_is_not_set_up_is_not_there(served):
    """404 for both, whatever is sent."""
    async with served.without_key() as client:
        assert (
            (await client.get(PATH)).status_code
            == (await client.post(PATH, content=b"{}")).status_code
            == 404
        )


@pytest.mark.parametrize("given", [{"whatsapp_verify_token": "x"}, {"whatsapp_app_secret": "x"}])
async def test_half_a_channel_is_a_wrong_setting(memory, given):
    """The sentence names both."""
    with pytest.raises(ConfigInvalid, match="ECHOIC_API_WHATSAPP_APP_SECRET"):
        async with serving(memory, load_api_settings(**given)):
            pass


async def test_hosts_and_origins_count_here_too(channel):
    """DNS rebinding and somebody else's page."""
    content = json.dumps(delivery(value(text("Hello.")))).encode()
    headers = {"X-Hub-Signature-256": signed(content)}
    transport = httpx.ASGITransport(channel.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        assert (await client.post(PATH, content=content, headers={"Host": "evil.example"})).status_code == 421
        assert (
            await client.post(PATH, content=content, headers={"Origin": "http://evil.example"})
        ).status_code == 403
