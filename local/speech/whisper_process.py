"""`python -m echoic.local.speech.whisper_process SOCKET`: Whisper writes down what it is given, whichever the
language.

One for all calls, as Moonshine is. It was made for half a minute at a time; what is shorter is followed by
silence only as far as it needs: twelve seconds are read in a fifth of the time.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from echoic.local.speech.client import HEARING_RATE, SAMPLE_BYTES
from echoic.local.speech.whisper_files import whisper_files
from echoic.memory.hosting.priority_threads import PriorityThreads
from echoic.memory.hosting.wire import Message, serve

FULL_SCALE = 32_768.0
WINDOW, HOP, MELS = 400, 160, 80
SHORTEST_S, SILENCE_S, LONGEST_S = 12, 4, 30
"""With less silence behind the words it says them over and over."""
REPEATED = 5
"""Words in a row that nobody says twice."""
TOKENS_A_SECOND, LEAST_TOKENS = 8, 24
"""Faster nobody speaks: what is longer was invented."""
THREADS = 2
Floats = npt.NDArray[np.float32]


class Listener:
    """The model: whole utterances before partial ones, since a reply waits for them."""

    def __init__(self) -> None:
        files = whisper_files()
        self._tokens = Tokenizer.from_buffer(files.pop("tokenizer.json"))
        self._model = ctranslate2.models.Whisper(
            "whisper-base", compute_type="int8", intra_threads=THREADS, files=files
        )
        self._filters = mel_filters()
        self._thread = PriorityThreads(1, "whisper")

    async def answer(self, question: dict[str, Any], audio: bytes) -> Message:
        """The words of `audio`, 16-bit at 16 kHz, in `language`; without one, in the likeliest of `among`."""
        urgent = not question.get("partial")
        return await self._thread.submit(self._transcribe, question, audio, urgent=urgent), b""

    def _transcribe(self, question: dict[str, Any], audio: bytes) -> dict[str, Any]:
        samples = np.frombuffer(audio, np.int16).astype(np.float32) / FULL_SCALE
        sound = self._model.encode(ctranslate2.StorageView.from_array(self._spectrum(samples)[None]))
        language, share = question.get("language") or "", 1.0
        if not language:
            language, share = self._language(sound, question["among"])
        begin = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        prompt = [self._tokens.token_to_id(token) for token in begin]
        most = LEAST_TOKENS + TOKENS_A_SECOND * len(samples) // HEARING_RATE
        found = self._model.generate(
            sound, [prompt], beam_size=1, max_length=len(prompt) + most, no_repeat_ngram_size=REPEATED
        )[0]
        text = self._tokens.decode(found.sequences_ids[0]).strip()
        return {"text": text, "language": language, "share": share}

    def _language(self, sound: Any, among: list[str]) -> tuple[str, float]:
        shares = {token.strip("<|>"): share for token, share in self._model.detect_language(sound)[0]}
        best = max(among, key=lambda code: shares.get(code, 0.0))
        return best, shares.get(best, 0.0)

    def _spectrum(self, samples: Floats) -> Floats:
        """What the model is shown: 80 bands on a logarithmic scale, every 10 ms."""
        length = min(
            max(SHORTEST_S * HEARING_RATE, len(samples) + SILENCE_S * HEARING_RATE), LONGEST_S * HEARING_RATE
        )
        length -= length % (2 * HOP)
        samples = np.pad(samples[:length], (0, max(0, length - len(samples))))
        samples = np.pad(samples, WINDOW // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:-1]
        power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1])) ** 2
        bands = np.log10(np.maximum(self._filters @ power.T, 1e-10))
        spectrum: Floats = ((np.maximum(bands, bands.max() - 8) + 4) / 4).astype(np.float32)
        return spectrum


def mel_filters() -> Floats:
    """Slaney's mel bands from 0 to 8 kHz: linear to 1 kHz, logarithmic above."""
    log_step = np.log(6.4) / 27
    top = 15 + np.log(HEARING_RATE / 2 / 1_000) / log_step
    mels = np.linspace(0, top, MELS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1_000 * np.exp((mels - 15) * log_step))
    bins = np.fft.rfftfreq(WINDOW, 1 / HEARING_RATE)
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    bands = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return bands.astype(np.float32)


async def run(socket: str) -> None:
    listener = Listener()
    # the first run is slow: nobody should wait for it
    await listener.answer({"language": "en"}, bytes(HEARING_RATE * SAMPLE_BYTES))
    await serve(Path(socket), listener.answer)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
