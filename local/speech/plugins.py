"""Speech without a key, as LiveKit plugins, in servers of a data folder.

Moonshine hears English and Whisper other languages; Piper speaks English and whatever voices were pulled,
espeak-ng others.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from echoic.local.speech import whisper_files
from echoic.local.speech.server import speech_served, voices_in, whisper_served
from echoic.local.speech.stt import ENGLISH, LocalSTT
from echoic.local.speech.tts import LocalTTS

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class LocalSpeech:
    """Each call makes its own; they hold nothing but addresses."""

    ears: Path
    voice: Path
    whisper: Path | None = None
    """None: English only."""
    language: str = ENGLISH
    """Of all callers; empty: told by what they say."""
    voices: Mapping[str, str] = field(default_factory=dict)
    """Language -> the pulled voice for it."""

    def stt(self) -> LocalSTT:
        return LocalSTT(self.ears, self.whisper, self.language)

    def tts(self) -> LocalTTS:
        return LocalTTS(self.voice, self.language, self.voices)


@contextmanager
def open_local_speech(data_dir: Path, language: str = ENGLISH) -> Iterator[LocalSpeech]:
    """Share the speech servers of `data_dir` until the block ends; starting them takes some 5 s, joining them
    milliseconds.

    Args:
        language: of the callers; `auto`: whichever they speak, English only where Whisper is not installed.

    Raises:
        ConfigInvalid: their packages are missing, or do not run on this machine.
        ModelUnavailable: they did not start.
    """
    if language == AUTO:
        language = ENGLISH if whisper_files.missing() else ""
    with ExitStack() as stack:
        ears, voice = stack.enter_context(speech_served(data_dir))
        whisper = None if language == ENGLISH else stack.enter_context(whisper_served(data_dir))
        yield LocalSpeech(ears, voice, whisper, language, voices_in(data_dir / "models"))
