"""`python -m echoic.local.speech.moonshine_process SOCKET`: Moonshine writes down what it is given, one piece
of audio at a time.

One for all calls: the model takes 160 MB, which no call process should hold for itself.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from moonshine_voice.moonshine_api import ModelArch
from moonshine_voice.transcriber import Transcriber
from moonshine_voice.utils import get_model_path

from echoic.local.speech.wire import HEARING_RATE, Message, serve

FULL_SCALE = 32_768.0
# Callers' voice activity is told by LiveKit's detector; Moonshine's own would cut the audio again, and copy
# it back.
OPTIONS = {"vad_threshold": "0.0", "return_audio_data": "false"}


class Listener:
    """The model, and who waits for it: whole utterances before partial ones, since a reply hangs on them."""

    def __init__(self) -> None:
        self._model = Transcriber(get_model_path("tiny-en"), ModelArch.TINY, options=OPTIONS)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="moonshine")
        self._waiting: list[tuple[bool, int, asyncio.Event]] = []
        self._numbers = count()
        self._busy = False

    async def answer(self, question: dict[str, Any], audio: bytes) -> Message:
        """The words of `audio`, 16-bit at 16 kHz; `partial` ones wait until nobody asks for a whole
        utterance."""
        await self._wait_turn(partial=bool(question.get("partial")))
        try:
            return {
                "text": await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._transcribe, audio
                )
            }, b""
        finally:
            self._next()

    async def _wait_turn(self, *, partial: bool) -> None:
        if not self._busy:
            self._busy = True
            return
        place = (partial, next(self._numbers), asyncio.Event())
        self._waiting.append(place)
        try:
            await place[2].wait()
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            else:
                self._next()
            raise

    def _next(self) -> None:
        if self._waiting:
            first = min(self._waiting, key=lambda place: place[:2])
            self._waiting.remove(first)
            first[2].set()
        else:
            self._busy = False

    def _transcribe(self, audio: bytes) -> str:
        samples = np.frombuffer(audio, np.int16).astype(np.float32) / FULL_SCALE
        return " ".join(
            line.text
            for line in self._model.transcribe_without_streaming(samples.tolist(), HEARING_RATE).lines
        )


async def run(socket: str) -> None:
    listener = Listener()
    await listener.answer({}, bytes(HEARING_RATE))  # the first run is slow: nobody should wait for it
    await serve(Path(socket), listener.answer)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
