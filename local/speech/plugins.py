"""Speech without a key, as LiveKit plugins: Moonshine hears and Piper speaks, in servers of a data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from echoic.local.speech.server import speech_served
from echoic.local.speech.stt import LocalSTT
from echoic.local.speech.tts import LocalTTS


@dataclass(frozen=True, slots=True)
class LocalSpeech:
    """English only. Each call makes its own; they hold nothing but addresses."""

    ears: Path
    voice: Path

    def stt(self) -> LocalSTT:
        return LocalSTT(self.ears)

    def tts(self) -> LocalTTS:
        return LocalTTS(self.voice)


@contextmanager
def open_local_speech(data_dir: Path) -> Iterator[LocalSpeech]:
    """Share the speech servers of `data_dir` until the block ends; starting them takes some 5 s, joining them
    milliseconds.

    Raises:
        ConfigInvalid: their packages are missing, or do not run on this machine.
        ModelUnavailable: they did not start.
    """
    with speech_served(data_dir) as (ears, voice):
        yield LocalSpeech(ears, voice)
