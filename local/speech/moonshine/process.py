"""`python -m echoic.local.speech.moonshine.process SOCKET`: Moonshine writes down what it is given, one piece
of audio at a time.

One for all calls: the model takes 160 MB, which no call process should hold for itself.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np

from echoic.local.speech.client import HEARING_RATE
from echoic.local.speech.moonshine.model import Moonshine
from echoic.memory.hosting.priority_threads import PriorityThreads
from echoic.memory.hosting.wire import Message, serve

FULL_SCALE = 32_768.0


class Listener:
    """The model: whole utterances before partial ones, since a reply waits for them."""

    def __init__(self) -> None:
        self._model = Moonshine()
        self._thread = PriorityThreads(1, "moonshine")

    async def answer(self, question: dict[str, Any], audio: bytes) -> Message:
        """The words of `audio`, 16-bit at 16 kHz, in which `terms` may be said; `partial` ones wait until
        nobody asks for a whole utterance."""
        urgent, terms = not question.get("partial"), question.get("terms") or []
        return {"text": await self._thread.submit(self._transcribe, audio, terms, urgent=urgent)}, b""

    def _transcribe(self, audio: bytes, terms: list[str]) -> str:
        samples = np.frombuffer(audio, np.int16).astype(np.float32) / FULL_SCALE
        return self._model.hear(samples, terms)


async def run(socket: str) -> None:
    listener = Listener()
    await listener.answer({}, bytes(HEARING_RATE))  # the first run is slow: nobody should wait for it
    await serve(Path(socket), listener.answer)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
