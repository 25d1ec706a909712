"""OpenAI's `/audio/speech` on this machine: its protocol, with the local voice behind it, and its faults.

```python
with OpenAISpeech(voice) as speech:
    …  # an agent with ECHOIC_TTS_URL=speech.url
    speech.refusals += [429]  # the next request
    speech.stalls += [2 * SECOND]  # the next one is sent so many bytes, and then nothing until `release()`
```

As OpenAI does it: MP3 in `speech.audio.delta` events. A compatible server (`plain`) sends the sound as it is.
"""

import asyncio
import base64
import io
import json
import uuid
import wave
from pathlib import Path
from typing import Any

import av
from aiohttp import web

from echoic.local.speech.client import VOICE_RATE, ask
from tests.local_server import Server

KEY = "openai-key"
BIT_RATE = 128_000
SECOND = BIT_RATE // 8
"""Bytes of a second of sound."""
PIECE = SECOND // 2
"""Bytes in one event."""


class OpenAISpeech(Server):
    """Runs while the block does.

    Args:
        voice: the socket of a Piper (local/speech/server.py).
        key: the one that it takes; empty: any.
        plain: answer as compatible servers do, which know neither events nor MP3.
    """

    def __init__(self, voice: Path, key: str = KEY, *, plain: bool = False) -> None:
        super().__init__()
        self._voice, self._key, self._plain = voice, key, plain
        self.refusals: list[int] = []
        """Statuses of the next requests; afterwards they are answered."""
        self.requests: list[dict[str, Any]] = []
        """The bodies of all requests, oldest first."""
        self.stalls: list[int] = []
        """Bytes after which the next requests hang; later ones do not."""

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/audio/speech", self._speak), web.get("/v1/models", self._check)]

    def release(self) -> None:
        """What has stalled goes on."""
        self._loop.call_soon_threadsafe(self._free.set)

    async def wait_asked(self, count: int) -> None:
        """Return once that many requests have come in all."""
        await self.wait(lambda: len(self.requests) >= count, f"{count} requests did not come")

    async def _check(self, http: web.Request) -> web.Response:
        self._check_key(http)
        return web.json_response({"object": "list", "data": []})

    def _check_key(self, http: web.Request) -> None:
        if self._key and http.headers.get("Authorization") != f"Bearer {self._key}":
            raise web.HTTPUnauthorized

    async def _speak(self, http: web.Request) -> web.StreamResponse:
        request = await http.json()
        await self.note(self.requests, request)
        if self.refusals:
            return web.json_response({"error": {"message": "scripted"}}, status=self.refusals.pop(0))
        self._check_key(http)
        _, pcm = await ask(self._voice, {"text": request["input"], "steady": True})
        sound = wav(pcm) if self._plain else await asyncio.to_thread(mp3, pcm)
        kind = "audio/wav" if self._plain else "text/event-stream"
        about = {"Content-Type": kind, "x-request-id": uuid.uuid4().hex}
        response = web.StreamResponse(headers=about)
        await response.prepare(http)
        sent = 0
        if self.stalls:
            self._free = asyncio.Event()
            await self._send(response, sound[: (sent := self.stalls.pop(0))])
            await self._free.wait()
        await self._send(response, sound[sent:])
        if not self._plain:
            await self._say(response, {"type": "speech.audio.done", "usage": {"output_tokens": 1}})
        return response

    async def _send(self, response: web.StreamResponse, sound: bytes) -> None:
        for at in range(0, len(sound), PIECE):
            piece = sound[at : at + PIECE]
            if self._plain:
                await response.write(piece)
            else:
                audio = base64.b64encode(piece).decode()
                await self._say(response, {"type": "speech.audio.delta", "audio": audio})

    async def _say(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())


def wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(VOICE_RATE)
        opened.writeframes(pcm)
    return file.getvalue()


def mp3(pcm: bytes) -> bytes:
    """The same, compressed."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as coded, av.open(io.BytesIO(wav(pcm))) as plain:
        stream = coded.add_stream("mp3", rate=24_000)
        stream.bit_rate = BIT_RATE
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=24_000)
        for frame in [*plain.decode(audio=0), None]:
            for part in resampler.resample(frame):
                coded.mux(stream.encode(part))
        coded.mux(stream.encode(None))
    return file.getvalue()
