"""A voice note that is sent over WhatsApp becomes words of who calls from that number, once."""

import asyncio
import hashlib
import logging

import pytest
from aiohttp import web

from echoic.api.app import serving
from echoic.api.channels import voice_notes
from echoic.api.config import load_api_settings
from echoic.api.desk import AT_ONCE
from echoic.memory.errors import ModelUnavailable
from tests.api.conftest import Served
from tests.api.test_whatsapp import ANA, KEY, SAID_AT, SECRET, TOKEN, deliver, delivery, text, turns, value
from tests.local_server import Server

RECORDING, KIND = b"OggS and what follows", "audio/ogg; codecs=opus"


class Graph(Server):
    """Meta's, as far as media go."""

    def __init__(self):
        super().__init__()
        self.asked, self.about, self.status = [], {}, 200

    def routes(self):
        return [web.get("/v23.0/{media}", self._tell), web.get("/media", self._send)]

    async def _tell(self, http):
        self.asked.append((http.path, http.headers.get("Authorization")))
        sha256 = hashlib.sha256(RECORDING).hexdigest()
        told = {"url": f"{self.address}/media", "mime_type": KIND, "sha256": sha256, "id": "media1"}
        return web.json_response(told | self.about, status=self.status)

    async def _send(self, http):
        self.asked.append((http.path, http.headers.get("Authorization")))
        return web.Response(body=RECORDING)


class Ears:
    """Hears what it is told to; an error is raised, and an event is waited for before."""

    def __init__(self):
        self.hears, self.heard, self.wait = ["My dog is called Biscuit."], [], asyncio.Event()
        self.wait.set()

    async def __call__(self, content, kind):
        self.heard.append((content, kind))
        await self.wait.wait()
        said = self.hears.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def graph():
    with Graph() as server:
        yield server


@pytest.fixture
def ears():
    return Ears()


@pytest.fixture
async def channel(memory, monkeypatch, graph, ears):
    monkeypatch.setenv("ECHOIC_PHONE_KEY", KEY)
    settings = load_api_settings(
        whatsapp_verify_token=TOKEN,
        whatsapp_app_secret=SECRET,
        whatsapp_token="media token",
        whatsapp_url=f"{graph.address}/v23.0/",
    )
    async with serving(memory, settings, hear=ears) as app:
        yield Served(app, memory)


def note(wamid="wamid.note", audio="media1", **more):
    message = {"from": ANA, "id": wamid, "timestamp": str(int(SAID_AT.timestamp())), "type": "audio"}
    return message | {"audio": {"id": audio, "mime_type": KIND, "voice": True}} | more


async def test_a_voice_note_is_stored_as_what_was_said(channel, graph, ears):
    """With its date, beside what is written; delivered again it is neither fetched nor stored again."""
    body = delivery(value(text("Hello!"), note()))
    for _ in range(2):
        assert (await deliver(channel, body)).status_code == 200
    kept = await turns(channel)
    assert {(turn.text, turn.role, turn.said_at) for turn in kept} == {
        ("Hello!", "user", SAID_AT),
        ("My dog is called Biscuit.", "user", SAID_AT),
    }
    assert len(kept) == 2 and ears.heard == [(RECORDING, KIND)]
    assert graph.asked == [("/v23.0/media1", "Bearer media token"), ("/media", "Bearer media token")]


async def test_what_cannot_be_heard_now_is_delivered_again(channel, graph, ears, caplog):
    """No answer of 200 before it is stored: Meta brings it again. Nothing of it is logged."""
    graph.status = 503
    assert (await deliver(channel, delivery(value(note())))).status_code == 503
    graph.status, ears.hears = 200, [ModelUnavailable("away"), "My dog is called Biscuit."]
    with caplog.at_level(logging.INFO):
        assert (await deliver(channel, delivery(value(note())))).status_code == 503
        assert (await deliver(channel, delivery(value(note())))).status_code == 200
    assert [turn.text for turn in await turns(channel)] == ["My dog is called Biscuit."]
    assert "Biscuit" not in caplog.text and "ModelUnavailable" not in str(await turns(channel))


async def test_a_long_note_goes_on_while_meta_waits(channel, ears, monkeypatch):
    """Both deliveries wait for one and the same work."""
    monkeypatch.setattr(voice_notes, "PATIENCE_S", 0.2)
    ears.wait.clear()
    for _ in range(2):
        assert (await deliver(channel, delivery(value(note())))).status_code == 503
    ears.wait.set()
    async with asyncio.timeout(30):
        while (await deliver(channel, delivery(value(note())))).status_code != 200:
            await asyncio.sleep(0.05)
    assert len(ears.heard) == 1 and len(await turns(channel)) == 1


@pytest.mark.parametrize("lost", [{"status": 404}, {"hears": [""]}])
async def test_what_nobody_can_hear_is_given_up(channel, graph, ears, lost):
    """It would come again for days."""
    graph.status, ears.hears = lost.get("status", 200), lost.get("hears", [])
    assert (await deliver(channel, delivery(value(note())))).status_code == 200
    assert await turns(channel) == []


@pytest.mark.parametrize("about", [{"sha256": "0" * 64}, {"url": "no address"}, {"url": None}])
async def test_a_damaged_recording_is_not_believed(channel, graph, ears, about):
    graph.about = about
    assert (await deliver(channel, delivery(value(note())))).status_code == 503
    assert ears.heard == [] and await turns(channel) == []


@pytest.mark.parametrize("audio", ["../../me", "", None, 7, "a" * 201])
async def test_an_id_that_is_none_is_not_asked_for(channel, graph, audio):
    assert (await deliver(channel, delivery(value(note(audio=audio))))).status_code == 200
    assert graph.asked == []


async def test_who_waits_for_ears_keeps_nobody_from_the_api(channel, ears, monkeypatch):
    """As many deliveries as there are places wait, and others are answered."""
    monkeypatch.setattr(voice_notes, "PATIENCE_S", 60)
    ears.wait.clear()
    bodies = [delivery(value(note(wamid=f"wamid.{place}"))) for place in range(AT_ONCE)]
    waiting = [asyncio.create_task(deliver(channel, body)) for body in bodies]
    await asyncio.sleep(0)  # they have come before the next one
    async with asyncio.timeout(20), channel.client() as admin:
        assert (await admin.get("/v1/me")).status_code == 200
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
