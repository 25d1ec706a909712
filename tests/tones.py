"""A voice made of tones: it sounds for as long as its words would, at once and without a speech engine."""

import math
from array import array
from uuid import uuid4

from livekit.agents import APIConnectOptions, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

RATE = 24_000
WORD_S = 0.08
"""Length of one spoken word: four times as fast as people speak."""


class ToneTTS(tts.TTS):
    """Says each word as `word_s` seconds of a tone."""

    def __init__(self, word_s: float = WORD_S) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)
        self.word = tone(word_s, RATE)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Tone(self, text, conn_options)


class _Tone(tts.ChunkedStream):
    def __init__(self, voice: ToneTTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=voice, input_text=text, conn_options=conn_options)
        self._word = voice.word

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=uuid4().hex, sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(self._word * len(self.input_text.split()))
        output_emitter.flush()


def tone(seconds: float, rate: int) -> bytes:
    """440 Hz, mono, 16 bit, loud enough that no codec takes it for silence."""
    return array(
        "h", (int(9_000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(int(seconds * rate)))
    ).tobytes()
