"""Ears and a mouth for evals: what the caller's sound means is known, and a reply is a tone, so that what is timed is not a model.

The ears listen to the real audio of the room: words come out of them as the sound goes on, and the turn ends with the sound.
"""

import asyncio
import math
import random
from array import array
from collections import deque
from typing import Any
from uuid import uuid4

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

RATE = 24_000
WORD_S = 0.16
"""About the pace of quick speech."""
LOUD_RMS = 300.0
SURE_S, ENDED_S = 0.1, 0.3
"""Silence after which the words are likely to stay (a preflight transcript: the model may begin), and after which they are final."""
FINAL_EQUAL_SHARE = 0.5
"""Turns whose last partial transcript holds every word; in the others the last two words come with the next transcript only."""
THINKS_S = 0.15
"""To the model's first word."""
REPLY = "All right then."


class EvalSTT(stt.STT):
    """Streaming ears that know what will be said."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True, offline_recognize=False))
        self._script: deque[str] = deque()
        self._chance = random.Random(seed)
        self.last_partial_equal = False
        """Of the newest turn: did the last partial hold every word?"""

    def expect(self, text: str) -> None:
        """What the next sound of the caller means."""
        self._script.append(text)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS, **_: Any) -> "stt.RecognizeStream":
        return _Ears(self, conn_options)

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError("these ears only stream")

    def next_words(self) -> list[str]:
        """The words of the sound that begins now."""
        self.last_partial_equal = self._chance.random() < FINAL_EQUAL_SHARE
        return self._script.popleft().split() if self._script else []


class _Ears(stt.RecognizeStream):
    def __init__(self, ears: EvalSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=ears, conn_options=conn_options)
        self._ears = ears

    async def _run(self) -> None:
        words: list[str] = []
        told = heard_s = quiet_s = 0.0
        sure = False
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            loud = _rms(frame) > LOUD_RMS
            if loud and not words:
                words, told, heard_s, sure = self._ears.next_words(), 0, 0.0, False
                self._tell(stt.SpeechEventType.START_OF_SPEECH)
            if not words:
                continue
            heard_s, quiet_s = heard_s + frame.duration, 0.0 if loud else quiet_s + frame.duration
            most = len(words) if self._ears.last_partial_equal else max(len(words) - 2, 1)
            if loud and (count := min(int(heard_s / WORD_S), most)) > told:
                told = count
                self._tell(stt.SpeechEventType.INTERIM_TRANSCRIPT, " ".join(words[:count]))
            if quiet_s >= SURE_S and not sure:
                sure = True
                self._tell(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, " ".join(words))
            if quiet_s >= ENDED_S:
                self._tell(stt.SpeechEventType.FINAL_TRANSCRIPT, " ".join(words))
                self._tell(stt.SpeechEventType.END_OF_SPEECH)
                words = []

    def _tell(self, kind: stt.SpeechEventType, text: str = "") -> None:
        heard = [stt.SpeechData(language="en", text=text, confidence=0.9)] if text else []  # type: ignore[arg-type]
        self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=heard))


class ToneTTS(tts.TTS):
    """Says each word as a tenth of a second of a tone, at once."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        return _Tone(tts=self, input_text=text, conn_options=conn_options)


class _Tone(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(request_id=uuid4().hex, sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push(tone(0.1 * len(self.input_text.split()), RATE))
        output_emitter.flush()


class CountingLLM(llm.LLM):
    """Thinks for a moment, says the same, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        self.calls += 1
        return _Thinking(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Thinking(llm.LLMStream):
    async def _run(self) -> None:
        await asyncio.sleep(THINKS_S)
        self._event_ch.send_nowait(llm.ChatChunk(id="reply", delta=llm.ChoiceDelta(role="assistant", content=REPLY)))


def spoken(text: str, rate: int) -> bytes:
    """A sound as long as the words would take, that no codec takes for silence."""
    return tone(WORD_S * (len(text.split()) + 1), rate)


def tone(seconds: float, rate: int) -> bytes:
    """440 Hz, mono, 16 bit."""
    return array("h", (int(9_000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(int(seconds * rate)))).tobytes()


def _rms(frame: rtc.AudioFrame) -> float:
    samples = np.frombuffer(frame.data, np.int16).astype(np.float32)
    return float(np.sqrt(np.mean(samples**2)))
