"""Speech to text without a key, as a LiveKit plugin: words while they are spoken, and the final ones when a
pause says so.

LiveKit's voice detector (it runs in this process) says where speech begins and ends; Moonshine writes down
what lies between, or Whisper, where it is not English. An utterance is read anew for every partial result.
The reading that begins in the first moment of a pause mostly is the final one already, so that nothing has to
be waited for when the pause turns out to be the end.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Literal

from livekit import rtc
from livekit.agents import NOT_GIVEN, APIConnectionError, APIConnectOptions, NotGivenOr, inference, stt, vad
from livekit.agents.language import LanguageCode
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.utils import AudioBuffer, aio

from echoic.local.speech.client import HEARING_RATE, ask
from echoic.local.speech.utterance import Utterance
from echoic.memory.errors import ModelUnavailable
from echoic.memory.text.language import languages

log = logging.getLogger("echoic.speech")

ENGLISH = "en"
SURE_S, SURE, SURE_ENGLISH = 1.0, 0.5, 0.8
"""A shorter utterance, or a smaller share, tells nothing; other languages are easily taken for English."""
# a pause that ends an utterance; shorter ones would tear sentences apart, which Moonshine then reads worse
END_S = 0.35
PAUSE_S = 0.12  # a pause in which a reading begins at once: it may be the last one
PARTIAL_S = 0.3  # new speech that is worth a partial result
STALLED_S = 1.0  # audio that stops in the middle of a word: what was heard until then is final
LEAD_S = 0.3  # audio before the detector was sure: first consonants are quiet
VOICE = 0.35  # the detector's probability, from which there is a voice; its own limit once somebody speaks

Moment = vad.VADEvent | Literal["end", "over"]
"""What the detector says; `end`: what was said must end here; `over`: nothing follows."""
Moments = asyncio.Queue[Moment]


class LocalSTT(stt.STT):
    """Moonshine of this machine, for English, and Whisper for other languages."""

    def __init__(self, ears: Path, whisper: Path | None = None, language: str = ENGLISH) -> None:
        """Sockets of models that are kept running (local/speech/server.py).

        Args:
            language: of the caller; empty: told by Whisper from the first longer words.
        """
        capabilities = stt.STTCapabilities(streaming=True, interim_results=True)
        if hasattr(capabilities, "keyterms"):  # since livekit-agents 1.8
            capabilities.keyterms = True
        super().__init__(capabilities=capabilities)
        self._ears, self._whisper, self._language = ears, whisper, language
        self._terms: list[str] = []
        self._detector = inference.VAD(
            min_speech_duration=0.1, min_silence_duration=END_S, prefix_padding_duration=LEAD_S
        )

    @property
    def model(self) -> str:
        return "moonshine-tiny-en"

    @property
    def provider(self) -> str:
        return "moonshine"

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        return _Caller(self, self._reader(), self._detector, conn_options)

    def _reader(self) -> "Reader":
        return Reader(self._ears, self._whisper, self._language, self._terms)

    def _update_session_keyterms(self, keyterms: list[str]) -> None:
        """Names that may be said, from now on: LiveKit's hook, since 1.8.9."""
        self._terms[:] = keyterms

    async def _recognize_impl(
        self, buffer: AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        frame = rtc.combine_audio_frames(buffer)
        try:
            reader = self._reader()
            text = await reader.read(_at_hearing_rate(frame), frame.duration)
        except ModelUnavailable as exc:
            raise APIConnectionError(str(exc)) from exc
        said = stt.SpeechData(reader.code, text, end_time=frame.duration, confidence=1.0)
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[said])


class Reader:
    """Has the audio of one caller read, in the language that they speak."""

    def __init__(self, ears: Path, whisper: Path | None, language: str, terms: Sequence[str] = ()) -> None:
        self._ears, self._whisper, self.language, self._terms = ears, whisper, language, terms

    @property
    def code(self) -> LanguageCode:
        """What the words were read in."""
        return LanguageCode(self.language or ENGLISH)

    async def read(self, audio: bytes, voice_s: float) -> str:
        """The words of a whole utterance; the first longer one tells the language, too."""
        if self._whisper is not None and not self.language and voice_s >= SURE_S:
            answer, _ = await ask(self._whisper, {"among": sorted(languages())}, audio)
            if answer["share"] >= (SURE_ENGLISH if answer["language"] == ENGLISH else SURE):
                self.language = answer["language"]
                if self.language != ENGLISH:
                    return str(answer["text"])
        return await self._read(audio, {})

    async def read_part(self, audio: bytes) -> str:
        """The words until now; English until the language is known."""
        return await self._read(audio, {"partial": True})

    async def _read(self, audio: bytes, question: dict[str, object]) -> str:
        if self._whisper is not None and self.language not in ("", ENGLISH):
            answer, _ = await ask(self._whisper, question | {"language": self.language}, audio)
        else:
            answer, _ = await ask(self._ears, question | {"terms": list(self._terms)}, audio)
        return str(answer["text"])


class _Caller(stt.RecognizeStream):
    """Everything one caller says."""

    def __init__(
        self, plugin: LocalSTT, reader: Reader, detector: vad.VAD, conn_options: APIConnectOptions
    ) -> None:
        super().__init__(stt=plugin, conn_options=conn_options, sample_rate=HEARING_RATE)
        self._reader, self._detector = reader, detector
        self._said: Utterance | None = None
        self._reading: asyncio.Task[None] | None = None
        self._reading_to = 0
        self._rest_until = 0.0

    async def _run(self) -> None:
        self._said = None
        moments: Moments = asyncio.Queue()
        async with aclosing(self._detector.stream()) as detecting:
            feeding = asyncio.create_task(self._feed(detecting, moments), name="speech.feed")
            passing = asyncio.create_task(_pass_on(detecting, moments), name="speech.detect")
            try:
                while (moment := await self._next(moments)) != "over":
                    await self._follow(moment)
                await self._finish()
                await passing  # first: if the detector failed, nobody takes what is fed
                await feeding
            finally:
                await aio.cancel_and_wait(feeding, passing, *filter(None, [self._reading]))

    async def _feed(self, detecting: vad.VADStream, moments: Moments) -> None:
        try:
            async for frame in self._input_ch:
                if isinstance(frame, rtc.AudioFrame):
                    detecting.push_frame(frame)
                else:
                    # flushed: LiveKit, or a push-to-talk button, says that this was the end
                    moments.put_nowait("end")
        finally:
            detecting.end_input()

    async def _next(self, moments: Moments) -> Moment:
        """The next moment; `end` if audio stopped coming in the middle of an utterance."""
        if self._said is None:
            return await moments.get()
        try:
            async with asyncio.timeout(STALLED_S):
                return await moments.get()
        except TimeoutError:
            return "end"

    async def _follow(self, moment: Moment) -> None:
        if isinstance(moment, str):
            await self._finish()
        elif moment.type is vad.VADEventType.START_OF_SPEECH:
            self._begin(moment)
        elif moment.type is vad.VADEventType.END_OF_SPEECH:
            await self._finish()
            self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.END_OF_SPEECH))
        elif moment.speaking:
            await self._go_on(moment)

    def _begin(self, moment: vad.VADEvent) -> None:
        audio = b"".join(bytes(frame.data) for frame in moment.frames)
        self._said = Utterance(self.start_time_offset + moment.timestamp - len(audio) / (2 * HEARING_RATE))
        self._said.add(audio, is_voice=True)
        self._event_ch.send_nowait(stt.SpeechEvent(stt.SpeechEventType.START_OF_SPEECH))

    async def _go_on(self, moment: vad.VADEvent) -> None:
        # none: it was flushed, or stalled
        said = self._said = self._said or Utterance(self.start_time_offset + moment.timestamp)
        said.add(b"".join(bytes(frame.data) for frame in moment.frames), is_voice=moment.probability > VOICE)
        if said.is_too_long:
            rest = said.cut()
            await self._finish()
            self._said = rest
        elif self._is_worth_reading(said):
            self._reading_to = len(said.audio)
            self._reading = asyncio.create_task(self._read(said), name="speech.read")

    def _is_worth_reading(self, said: Utterance) -> bool:
        if self._reading and not self._reading.done():
            return False
        if said.pause_s >= PAUSE_S:
            return said.unread_s > 0
        return said.unread_s >= PARTIAL_S and time.monotonic() >= self._rest_until

    async def _read(self, said: Utterance) -> None:
        """A partial result. Losing one costs nothing: the next one covers its words."""
        length, started = len(said.audio), time.monotonic()
        try:
            text = await self._reader.read_part(bytes(said.audio))
        except ModelUnavailable:
            log.warning("speech.partial_lost")
            return
        finally:
            # rests as long as it took: half of one core at most
            self._rest_until = 2 * time.monotonic() - started
        is_new = text != said.text
        said.text, said.read = text, length
        if is_new and said.text:
            self._send(stt.SpeechEventType.INTERIM_TRANSCRIPT, said)

    async def _finish(self) -> None:
        """What was said until now is final.

        When it cannot be read it is lost, and says so: the caller is heard again afterwards.
        """
        said, self._said = self._said, None
        if said is None:
            return
        try:
            await self._read_to_the_end(said)
        except ModelUnavailable as exc:
            log.error("speech.words_lost", extra={"seconds": round(said.voice_s, 1)})
            self._emit_error(APIConnectionError(str(exc)), recoverable=True)
            return
        if said.text and not said.is_click:
            self._send(stt.SpeechEventType.FINAL_TRANSCRIPT, said)
        usage = stt.RecognitionUsage(audio_duration=said.voice_s)
        self._event_ch.send_nowait(
            stt.SpeechEvent(stt.SpeechEventType.RECOGNITION_USAGE, recognition_usage=usage)
        )

    async def _read_to_the_end(self, said: Utterance) -> None:
        if self._reading:
            if self._reading_to < said.voice_end:
                self._reading.cancel()  # it lacks the last words
            await asyncio.wait({self._reading})
            if not self._reading.cancelled():
                self._reading.result()
        if (said.unread_s or not self._reader.language) and not said.is_click:
            said.text, said.read = await self._reader.read(bytes(said.audio), said.voice_s), len(said.audio)

    def _send(self, kind: stt.SpeechEventType, said: Utterance) -> None:
        words = stt.SpeechData(
            self._reader.code, said.text, start_time=said.begin_s, end_time=said.end_s, confidence=1.0
        )
        self._event_ch.send_nowait(stt.SpeechEvent(kind, alternatives=[words]))


async def _pass_on(detecting: vad.VADStream, moments: Moments) -> None:
    """A queue can be waited for with a limit, the detector's own stream cannot."""
    try:
        async for moment in detecting:
            moments.put_nowait(moment)
    finally:
        moments.put_nowait("over")


def _at_hearing_rate(frame: rtc.AudioFrame) -> bytes:
    if (frame.sample_rate, frame.num_channels) == (HEARING_RATE, 1):
        return bytes(frame.data)
    resampler = rtc.AudioResampler(
        frame.sample_rate, HEARING_RATE, num_channels=1, quality=rtc.AudioResamplerQuality.HIGH
    )
    return b"".join(bytes(part.data) for part in (*resampler.push(frame), *resampler.flush()))
