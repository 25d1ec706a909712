"""Ears and a model for evals: the sound's meaning is known and so is the reply, so no model is timed.

The ears listen to the real audio of the room: words come out of them as the sound goes on, and the turn ends
with the sound.
"""

import asyncio
import random
from collections import deque
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from tests.fake_llm import FakeLLM
from tests.tones import tone

WORD_S = 0.16
"""Of the caller's words: about the pace of quick speech."""
LOUD_RMS = 300.0
SURE_S, ENDED_S = 0.1, 0.3
"""Silence after which words are likely to stay (the model may begin), and after which they are final."""
FINAL_EQUAL_SHARE = 0.5
"""Turns whose last partial transcript holds every word; others get their last two words later."""
THINKS_S = 0.15
"""To the model's first word."""
REPLY = "All right then."
REPLY_WORD_S = 0.1


class EvalSTT(stt.STT):
    """Streaming ears that know what will be said."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=True, interim_results=True, offline_recognize=False)
        )
        self._script: deque[str] = deque()
        self._chance = random.Random(seed)
        self.last_partial_equal = False
        """Of the newest turn: did the last partial hold every word?"""

    def expect(self, text: str) -> None:
        """What the next sound of the caller means."""
        self._script.append(text)

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> "stt.RecognizeStream":
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


class CountingLLM(FakeLLM):
    """Thinks for a moment, says the same, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def reply(self, context: llm.ChatContext) -> str:
        self.calls += 1
        return REPLY

    async def think(self, context: llm.ChatContext) -> None:
        await asyncio.sleep(THINKS_S)


def spoken(text: str, rate: int) -> bytes:
    """A sound as long as the words would take."""
    return tone(WORD_S * (len(text.split()) + 1), rate)


def _rms(frame: rtc.AudioFrame) -> float:
    samples = np.frombuffer(frame.data, np.int16).astype(np.float32)
    return float(np.sqrt(np.mean(samples**2)))
