"""Deepgram's streaming socket on this machine: its protocol, with our local ears behind it, and its faults.

```python
with Deepgram(ears) as deepgram:
    …  # an agent with ECHOIC_DEEPGRAM_URL=deepgram.url
    deepgram.refusals += [429, 401]  # the next two connections
    deepgram.cut()  # every socket, as a network does it: without a word
```

What it does as Deepgram documents it: `Token` keys, `Results` that are interim or final, `speech_final` at an
endpoint, `SpeechStarted`, `Finalize`, `CloseStream`, and an end after ten seconds in which nothing came.
"""

import asyncio
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents import stt

from echoic.local.speech.stt import LocalSTT
from tests.local_server import Server

KEY = "deepgram-key"
PATIENCE_S = 10.0
"""Deepgram hangs up (NET-0001) when neither sound nor a KeepAlive came for so long."""
NOTHING_CAME = 1011
Kind = stt.SpeechEventType


class Deepgram(Server):
    """Runs while the block does.

    Args:
        ears: the socket of a Moonshine (local/speech/server.py).
        key: the one that it takes; empty: any, as a Deepgram of one's own does.
    """

    def __init__(self, ears: Path, key: str = KEY) -> None:
        super().__init__()
        self._ears, self._key = ears, key
        self.refusals: list[int] = []
        """Statuses of the next connections; afterwards they are taken."""
        self.asked: list[dict[str, str]] = []
        """The options of every connection that was tried, oldest first."""
        self.commands: list[str] = []
        """The types of all text messages."""
        self.sent: list[dict[str, Any]] = []
        """Everything that it said."""
        self.closed: list[int] = []
        """With which code each socket ended."""
        self._open: set[asyncio.Transport] = set()

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/listen", self._listen), web.get("/v1/auth/token", self._check)]

    async def wait_idle(self) -> None:
        """Return once nobody is heard: the calls before have ended."""
        await self.wait(lambda: not self._open, "a call before did not end")

    def cut(self) -> None:
        """End every connection without a word."""

        async def abort() -> None:
            for transport in self._open:
                transport.abort()

        self.do(abort())

    async def _check(self, http: web.Request) -> web.Response:
        self._check_key(http)
        return web.json_response({})

    def _check_key(self, http: web.Request) -> None:
        if self._key and http.headers.get("Authorization") != f"Token {self._key}":
            raise web.HTTPUnauthorized

    async def _listen(self, http: web.Request) -> web.StreamResponse:
        await self.note(self.asked, dict(http.query))
        if self.refusals:
            return web.Response(status=self.refusals.pop(0))
        self._check_key(http)
        socket = web.WebSocketResponse()
        await socket.prepare(http)
        assert http.transport is not None
        self._open.add(transport := http.transport)
        hearing = LocalSTT(self._ears).stream()
        telling = asyncio.create_task(self._tell(hearing, socket))
        try:
            await self._hear(socket, hearing, int(http.query["sample_rate"]))
            hearing.end_input()
            with suppress(ConnectionError):
                await telling
                await socket.send_json({"type": "Metadata", "request_id": uuid.uuid4().hex})
        finally:
            self._open.discard(transport)
            telling.cancel()
            await hearing.aclose()
            await socket.close()
            await self.note(self.closed, socket.close_code or 0)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, hearing: stt.RecognizeStream, rate: int) -> None:
        """Until the other side has said everything, or nothing comes any more."""
        while True:
            try:
                message = await socket.receive(PATIENCE_S)
            except TimeoutError:
                await socket.close(code=NOTHING_CAME, message=b"NET-0001")
                return
            if message.type is WSMsgType.BINARY:
                hearing.push_frame(rtc.AudioFrame(message.data, rate, 1, len(message.data) // 2))
            elif message.type is WSMsgType.TEXT:
                command = message.json()["type"]
                await self.note(self.commands, command)
                if command == "Finalize":
                    hearing.flush()
                elif command == "CloseStream":
                    return
            else:
                return

    async def _tell(self, hearing: stt.RecognizeStream, socket: web.WebSocketResponse) -> None:
        """What was heard: a final result waits for the moment to say whether an endpoint follows."""
        final: list[stt.SpeechData] = []
        async for event in hearing:
            if event.type is Kind.START_OF_SPEECH:
                await self._send(socket, {"type": "SpeechStarted", "channel": [0], "timestamp": 0.0})
            elif event.type is Kind.INTERIM_TRANSCRIPT:
                await self._send(socket, _result(event.alternatives[0], is_final=False, at_end=False))
            elif event.type is Kind.FINAL_TRANSCRIPT:
                final += event.alternatives
            elif final:
                at_end = event.type is Kind.END_OF_SPEECH
                if at_end or len(final) > 1:
                    await self._send(socket, _result(final.pop(0), is_final=True, at_end=at_end))

    async def _send(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        await socket.send_json(message)
        await self.note(self.sent, message)


def _result(said: stt.SpeechData, *, is_final: bool, at_end: bool) -> dict[str, Any]:
    length = said.end_time - said.start_time
    words = said.text.split()
    each = [
        {
            "word": word.strip(".,?!").lower(),
            "punctuated_word": word,
            "start": said.start_time + length * number / len(words),
            "end": said.start_time + length * (number + 1) / len(words),
            "confidence": 0.99,
        }
        for number, word in enumerate(words)
    ]
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": said.start_time,
        "duration": length,
        "is_final": is_final,
        "speech_final": at_end,
        "channel": {"alternatives": [{"transcript": said.text, "confidence": 0.99, "words": each}]},
        "metadata": {"request_id": uuid.uuid4().hex, "model_uuid": uuid.uuid4().hex},
    }
