"""Text to speech without a key, as a LiveKit plugin: phrases go to Piper as soon as the model has written
them."""

import asyncio
import uuid
from pathlib import Path

from livekit.agents import APIConnectionError, APIConnectOptions, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.utils import aio

from echoic.local.speech.client import SAMPLE_BYTES, VOICE_RATE, ask
from echoic.local.speech.phrases import Phrases
from echoic.memory.errors import ModelUnavailable

UNSPEAKABLE_S = (
    0.1  # silence for a reply such as "…": LiveKit takes no audio at all for a failure, and asks again
)


class LocalTTS(tts.TTS):
    """Piper of this machine.

    The first sound of a sentence is there before its end is written, let alone spoken. A reply that is
    interrupted hangs up on its phrase, and Piper stops within 10 ms.
    """

    def __init__(self, voice: Path) -> None:
        """`voice` is the socket of a Piper that is kept running (local/speech/server.py)."""
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True), sample_rate=VOICE_RATE, num_channels=1
        )
        self._voice = voice

    @property
    def model(self) -> str:
        return "en_US-joe-medium"

    @property
    def provider(self) -> str:
        return "piper"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.SynthesizeStream:
        return _Reply(self, self._voice, conn_options)


class _Reply(tts.SynthesizeStream):
    """One reply: cut into phrases while it is written, spoken in order."""

    def __init__(self, plugin: LocalTTS, voice: Path, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=plugin, conn_options=conn_options)
        self._voice = voice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid.uuid4().hex,
            sample_rate=VOICE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=uuid.uuid4().hex)
        phrases: aio.Chan[str] = aio.Chan()
        cutting = asyncio.create_task(self._cut(phrases), name="speech.cut")
        try:
            async for phrase in phrases:
                output_emitter.push(await self._speak(phrase))
                output_emitter.flush()
            await cutting
        except ModelUnavailable as exc:
            raise APIConnectionError(str(exc)) from exc
        finally:
            await aio.cancel_and_wait(cutting)

    async def _cut(self, phrases: aio.Chan[str]) -> None:
        cutter = Phrases()
        try:
            async for text in self._input_ch:
                for phrase in cutter.push(text) if isinstance(text, str) else cutter.finish():
                    phrases.send_nowait(phrase)
            for phrase in cutter.finish():
                phrases.send_nowait(phrase)
        finally:
            phrases.close()

    async def _speak(self, phrase: str) -> bytes:
        self._mark_started()
        if not any(letter.isalnum() for letter in phrase):
            return bytes(int(UNSPEAKABLE_S * VOICE_RATE) * SAMPLE_BYTES)
        _, audio = await ask(self._voice, {"text": phrase})
        return audio
