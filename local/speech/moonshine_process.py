"""`python -m echoic.local.speech.moonshine_process SOCKET`: Moonshine writes down what it is given, one piece
of audio at a time.

One for all calls: the model takes 160 MB, which no call process should hold for itself.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
from moonshine_voice.moonshine_api import ModelArch
from moonshine_voice.transcriber import Transcriber
from moonshine_voice.utils import get_model_path

from echoic.local.speech.client import HEARING_RATE
from echoic.memory.hosting.priority_threads import PriorityThreads
from echoic.memory.hosting.wire import Message, serve

FULL_SCALE = 32_768.0
# Callers' voice activity is told by LiveKit's detector; Moonshine's own would cut the audio again, and copy
# it back.
OPTIONS = {"vad_threshold": "0.0", "return_audio_data": "false"}


class Listener:
    """The model: whole utterances before partial ones, since a reply waits for them."""

    def __init__(self) -> None:
        self._model = Transcriber(get_model_path("tiny-en"), ModelArch.TINY, options=OPTIONS)
        self._thread = PriorityThreads(1, "moonshine")

    async def answer(self, question: dict[str, Any], audio: bytes) -> Message:
        """The words of `audio`, 16-bit at 16 kHz; `partial` ones wait until nobody asks for a whole
        utterance."""
        urgent = not question.get("partial")
        return {"text": await self._thread.submit(self._transcribe, audio, urgent=urgent)}, b""

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
