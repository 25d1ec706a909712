"""What somebody is saying: its audio since it began, and how much of it has been read already."""

from dataclasses import dataclass, field

import numpy as np

from echoic.local.speech.client import HEARING_RATE, SAMPLE_BYTES

BYTES_A_SECOND = HEARING_RATE * SAMPLE_BYTES
LONGEST_S = 12.0  # reading it takes 0.7 s on two cores; a longer one is cut where it is quietest
CUT_WITHIN_S = 4.0  # of its end
QUIET_S = 0.1
LEAST_VOICE_S = 0.1  # less is a click


@dataclass(slots=True)
class Utterance:
    """Audio is 16-bit, one channel, 16 kHz. Positions are counted in bytes."""

    begin_s: float
    """Where its audio begins, in seconds of the stream."""
    audio: bytearray = field(default_factory=bytearray)
    voice_end: int = 0
    """Up to here there was a voice; what follows is a pause."""
    voice_s: float = 0.0
    """How long there was a voice."""
    read: int = 0
    """Up to here `text` tells what was said."""
    text: str = ""

    def add(self, audio: bytes, *, is_voice: bool) -> None:
        self.audio += audio
        if is_voice:
            self.voice_end = len(self.audio)
            self.voice_s += len(audio) / BYTES_A_SECOND

    @property
    def unread_s(self) -> float:
        """Seconds since the reading that `text` came from; 0 when only silence followed."""
        return max(0, self.voice_end - self.read) / BYTES_A_SECOND

    @property
    def pause_s(self) -> float:
        """How long nothing was said."""
        return (len(self.audio) - self.voice_end) / BYTES_A_SECOND

    @property
    def end_s(self) -> float:
        """Where its last word ends, in seconds of the stream."""
        return self.begin_s + self.voice_end / BYTES_A_SECOND

    @property
    def is_too_long(self) -> bool:
        return len(self.audio) >= LONGEST_S * BYTES_A_SECOND

    @property
    def is_click(self) -> bool:
        return self.voice_s < LEAST_VOICE_S

    def cut(self) -> "Utterance":
        """Keep what lies before the quietest moment near the end; what follows is returned as an utterance of
        its own."""
        samples = np.frombuffer(bytes(self.audio), np.int16).astype(np.float32)
        window = int(QUIET_S * HEARING_RATE)
        first = max(0, len(samples) - int(CUT_WITHIN_S * HEARING_RATE))
        parts = samples[first : first + (len(samples) - first) // window * window].reshape(-1, window)
        quietest = first + int(np.argmin((parts**2).mean(axis=1))) * window + window // 2
        at = quietest * SAMPLE_BYTES
        rest = Utterance(self.begin_s + at / BYTES_A_SECOND)
        rest.add(bytes(self.audio[at:]), is_voice=self.voice_end > at)
        rest.voice_end = max(0, self.voice_end - at)
        del self.audio[at:]
        self.voice_end = min(self.voice_end, at)
        self.text, self.read = (self.text, self.read) if self.read <= at else ("", 0)
        return rest
