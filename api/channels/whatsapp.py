"""The webhook of WhatsApp's Cloud API: what is written or said becomes turns of who calls from there."""

import json
import logging
from dataclasses import dataclass, field
from typing import Self

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from echoic.api.access.guard import Mind
from echoic.api.channels.deliveries import messages
from echoic.api.channels.signatures import check_signature, is_same
from echoic.api.channels.storing import Written, store
from echoic.api.channels.voice_notes import Hear, VoiceNotes
from echoic.api.config import ApiSettings
from echoic.api.problems import Problem
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import Memory, spool_folder

log = logging.getLogger("echoic.whatsapp")
router = APIRouter(prefix="/channels", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class WhatsApp:
    """What it takes to believe a delivery, and to know who wrote."""

    verify_token: str = field(repr=False)
    app_secret: str = field(repr=False)
    phone_key: str = field(repr=False)
    notes: VoiceNotes | None = None
    """None: voice notes are left alone."""

    @classmethod
    def of(cls, settings: ApiSettings, memory: Memory, hear: Hear | None = None) -> Self | None:
        """The channel that the settings name; None where they name none.

        Args:
            hear: the ears of this machine, for voice notes.

        Raises:
            ConfigInvalid: one of the two secrets is missing, or there is no key for phone numbers.
        """
        token = settings.whatsapp_verify_token.get_secret_value()
        secret = settings.whatsapp_app_secret.get_secret_value()
        if not token and not secret:
            return None
        if not token or not secret:
            raise ConfigInvalid(
                "Set both ECHOIC_API_WHATSAPP_VERIFY_TOKEN and ECHOIC_API_WHATSAPP_APP_SECRET, or neither."
            )
        from echoic.memory.identity.phone import open_phone_key  # a fifth of a second, for those who need it
        from echoic.memory.identity.settings import load_phone_settings

        access, url = settings.whatsapp_token.get_secret_value(), settings.whatsapp_url
        notes = VoiceNotes(memory, url, access, hear) if access and hear else None
        key = open_phone_key(load_phone_settings(), spool_folder(memory.settings).parent)
        return cls(token, secret, key, notes)

    async def close(self) -> None:
        if self.notes is not None:
            await self.notes.close()

    def said(self, memory: Memory, delivery: object) -> list[tuple[Written, str]]:
        """What a delivery holds, as words of who calls from those numbers, and ids of recordings whose words
        are still to be heard; a number that is nobody's is passed by."""
        from echoic.memory.identity.phone import phone_user

        found = []
        for one in messages(delivery):
            if (user_id := phone_user(one.sender, key=self.phone_key)) is None:
                log.warning("whatsapp.no_number")
                continue
            whose = (user_id, memory.settings.agent_id, one.line, one.message_id)
            found.append((Written(*whose, "user", one.text, one.said_at), one.audio))
        return found


@router.get("/whatsapp")
async def verify(request: Request) -> PlainTextResponse:
    """The handshake with which Meta makes sure that this address is ours."""
    channel, asked = _channel(request), request.query_params
    token = asked.get("hub.verify_token", "")
    if asked.get("hub.mode") != "subscribe" or not is_same(token, channel.verify_token):
        request.app.state.gate.doubt(request)
        raise Problem(403, "verify-token-wrong", "This is not the verify token of this webhook.")
    return PlainTextResponse(asked.get("hub.challenge", ""))


@router.post("/whatsapp")
async def receive(request: Request, mind: Mind) -> dict[str, bool]:
    """A delivery; 200 once what it holds is durable, also when it holds nothing for us."""
    channel, body = _channel(request), await request.body()
    signature = request.headers.get("x-hub-signature-256", "")
    detail = "The body is not signed with the app's secret."
    check_signature(request, channel.app_secret, body, signature, detail)
    try:
        delivery = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "body-invalid", "The body is no JSON.") from None
    said = channel.said(mind, delivery)
    texts, notes = [one for one, audio in said if not audio], [one for one in said if one[1]]
    await store(mind, texts)
    log.info("whatsapp.received", extra={"texts": len(texts), "notes": len(notes)})
    request.scope["echoic.give_back"]()  # others are answered while a note is heard
    if channel.notes is not None and not await channel.notes.take(notes):
        raise Problem(503, "voice-note-waits", "A voice note is not stored yet: deliver it again.")
    return {"received": True}


def _channel(request: Request) -> WhatsApp:
    channel: WhatsApp | None = request.app.state.whatsapp
    if channel is None:
        raise Problem(404, "channel-off", "This channel is not set up here.")
    return channel
