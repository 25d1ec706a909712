"""OpenAI's realtime API on this machine: a speech-to-speech model that answers from its instructions.

`OPENAI_BASE_URL` leads LiveKit's plugin here. It hears what a test says: the sound that is sent counts for
nothing.
"""

import base64
import uuid
from typing import Any

from aiohttp import web

from tests.inference_gateway import UNKNOWN, Request, quoted
from tests.local_server import Server, messages_of
from tests.tones import WORD_S, tone

RATE = 24_000


class RealtimeOpenAI(Server):
    """Runs while the block does; one conversation at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.instructions: list[str] = []
        """What the model was told to be, oldest first."""
        self.replies: list[str] = []
        self._socket: web.WebSocketResponse | None = None
        self._asked = ""

    @property
    def environment(self) -> dict[str, str]:
        """What leads the plugin here."""
        return {"OPENAI_BASE_URL": f"{self.address}/v1", "OPENAI_API_KEY": "test"}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/realtime", self._converse)]

    def hear(self, text: str) -> None:
        """Whoever speaks has said this, and it is the model's turn, as its own turn detection finds."""
        self.do(self._hear(text))

    async def _converse(self, http: web.Request) -> web.WebSocketResponse:
        self._socket = socket = web.WebSocketResponse()
        await socket.prepare(http)
        async for message in messages_of(socket):
            match message["type"]:
                case "session.update" if "instructions" in message["session"]:
                    await self.note(self.instructions, message["session"]["instructions"])
                case "conversation.item.create":
                    await self._add(message["item"])
                case "response.create":
                    await self._reply(message["response"].get("metadata"))
        return socket

    async def _add(self, item: Request) -> None:
        if item.get("role") == "user":
            self._asked = " ".join(part.get("text") or "" for part in item["content"])
        await self._send("conversation.item.added", item=item)

    async def _hear(self, text: str) -> None:
        about: dict[str, Any] = {"item_id": f"item_{uuid.uuid4().hex[:12]}"}
        item = {"id": about["item_id"], "type": "message", "role": "user", "content": []}
        await self._send("input_audio_buffer.speech_started", **about)
        await self._send("input_audio_buffer.speech_stopped", **about)
        await self._send("conversation.item.added", item=item)
        kind, self._asked = "conversation.item.input_audio_transcription.completed", text
        await self._send(kind, content_index=0, transcript=text, **about)
        await self._reply(None)

    async def _reply(self, metadata: Request | None) -> None:
        words = quoted(self.instructions[-1] if self.instructions else "", self._asked) or UNKNOWN
        self.replies.append(words)
        response = {"id": f"resp_{uuid.uuid4().hex[:12]}", "metadata": metadata, "status": "completed"}
        item = {"id": f"item_{uuid.uuid4().hex[:12]}", "type": "message", "role": "assistant", "content": []}
        about = {"item_id": item["id"], "response_id": response["id"]}
        sound = base64.b64encode(tone(WORD_S * len(words.split()), RATE)).decode()
        await self._send("response.created", response=response)
        await self._send("response.output_item.added", item=item)
        await self._send("conversation.item.added", item=item)
        await self._send("response.content_part.added", part={"type": "audio"}, **about)
        await self._send("response.output_audio_transcript.delta", delta=words, **about)
        await self._send("response.output_audio.delta", delta=sound, **about)
        await self._send("response.output_audio.done", **about)
        await self._send("response.output_item.done", item=item)
        await self._send("response.done", response=response)

    async def _send(self, kind: str, **about: Any) -> None:
        assert self._socket is not None, "nobody is connected"
        await self._socket.send_json({"type": kind, "event_id": uuid.uuid4().hex, **about})
