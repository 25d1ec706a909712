"""Text to speech without a key, as a LiveKit plugin: phrases go to Piper as soon as the model has written
them, in English or with a voice that was pulled; those of other languages to the system's espeak-ng, which
sounds like a machine and knows a hundred."""

import asyncio
import logging
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from livekit.agents import APIConnectionError, APIConnectOptions, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.utils import aio

from echoic.local.speech.client import SAMPLE_BYTES, VOICE_RATE, ask
from echoic.local.speech.phrases import Phrases
from echoic.local.speech.stt import ENGLISH
from echoic.memory.errors import ModelUnavailable
from echoic.memory.text.words import language_by_stop_words

log = logging.getLogger("echoic.speech")

ESPEAK = "espeak-ng"
WAVE_HEADER_BYTES = 44  # what follows is at VOICE_RATE
UNSPEAKABLE_S = (
    0.1  # silence for a reply such as "…": LiveKit takes no audio at all for a failure, and asks again
)


class LocalTTS(tts.TTS):
    """Piper of this machine.

    The first sound of a sentence is there before its end is written, let alone spoken. A reply that is
    interrupted hangs up on its phrase, and Piper stops within 10 ms.
    """

    def __init__(
        self, voice: Path, language: str = ENGLISH, voices: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`voice` is the socket of a Piper that is kept running (local/speech/server.py).

        Args:
            language: what is spoken; empty: told by the words of each reply.
            voices: language -> the pulled voice for it.
        """
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True), sample_rate=VOICE_RATE, num_channels=1
        )
        self._voice, self._language, self._voices = voice, language, dict(voices)
        if language not in (ENGLISH, *voices) and not shutil.which(ESPEAK):
            log.warning("speech.no_espeak", extra={"hint": "install espeak-ng to speak other languages"})

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
        return _Reply(self, self._voice, self._language, self._voices, conn_options)


class _Reply(tts.SynthesizeStream):
    """One reply: cut into phrases while it is written, spoken in order."""

    def __init__(
        self,
        plugin: LocalTTS,
        voice: Path,
        language: str,
        voices: dict[str, str],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(tts=plugin, conn_options=conn_options)
        self._voice, self._language, self._voices = voice, language, voices

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
        self._language = self._language or language_by_stop_words(phrase)
        if name := self._voices.get(self._language or ENGLISH):
            try:
                return (await ask(self._voice, {"text": phrase, "voice": name}))[1]
            except ModelUnavailable as exc:  # from now on as if it had not been pulled
                log.error("speech.voice_unusable", extra={"voice": name, "reason": str(exc)})
                self._voices.pop(self._language or ENGLISH, None)
        if self._language not in ("", ENGLISH) and shutil.which(ESPEAK):
            return await _by_espeak(phrase, self._language)
        _, audio = await ask(self._voice, {"text": phrase})
        return audio


async def _by_espeak(phrase: str, language: str) -> bytes:
    pipe = asyncio.subprocess.PIPE
    speaking = await asyncio.create_subprocess_exec(
        *(ESPEAK, "-v", language, "--stdout", "--stdin"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        wave, _ = await speaking.communicate(phrase.encode())
    finally:
        if speaking.returncode is None:
            speaking.kill()
    if speaking.returncode:
        raise ModelUnavailable(f"espeak-ng does not speak {language!r}.")
    return wave[WAVE_HEADER_BYTES:]
