"""A sound card that is none: JACK's dummy driver, through which PortAudio hears and speaks in real time.

```python
with sound_card() as card:
    …  # a program that was started with card.environment finds one microphone and one loudspeaker
    assert card.converse(pcm)  # says this into its microphone; whether its loudspeaker was heard afterwards
```

ALSA's `null` device would need no server, but takes and gives sound as fast as the processor can.
"""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass

import pytest

from tests.processes import wait_until

RATE = 24_000
"""Samples a second: LiveKit's console asks for this rate, and JACK converts none."""
MISSING = (
    "The console needs a sound card; missing here: {}. Install them (Debian: apt install libportaudio2 "
    "jackd2), or leave this test to CI."
)


PERSON = """
import sys, threading, numpy, sounddevice
words, at, answered = numpy.zeros(0, numpy.int16), 0, threading.Event()
def turn(heard, spoken, frames, *_):
    global at
    part = words[at : at + frames]
    spoken[: len(part), 0], spoken[len(part) :] = part, 0
    at += len(part)
    if 0 < len(words) <= at and numpy.abs(heard.astype(int)).max() > 500:
        answered.set()
with sounddevice.Stream(channels=1, dtype="int16", callback=turn):
    words = numpy.frombuffer(sys.stdin.buffer.read(int(sys.argv[1])), numpy.int16)
    print("heard" if answered.wait(60) else "nothing", flush=True)
    sys.stdin.buffer.read()
    threading.Event().wait()
"""
"""Somebody at the card: says what they are given, and then listens for an answer."""


@dataclass(frozen=True, slots=True)
class SoundCard:
    """One that runs."""

    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What leads PortAudio here."""
        return {"JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}

    def ports(self) -> list[str]:
        """All microphones and loudspeakers, those of programs among them."""
        return self._run("jack_lsp").split()

    def converse(self, pcm: bytes, program: str = "PortAudio") -> bool:
        """Say something to a program that is connected, 16 bits at `RATE`; whether it made a sound then."""
        person = f"{program}-01"
        with subprocess.Popen(
            [sys.executable, "-c", PERSON, str(len(pcm))],
            env=os.environ | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin and process.stdout
            wait_until(lambda: f"{person}:out_0" in self.ports())
            self._run("jack_connect", f"{person}:out_0", f"{program}:in_0")
            self._run("jack_connect", f"{program}:out_0", f"{person}:in_0")
            process.stdin.write(pcm)
            process.stdin.close()
            heard = process.stdout.readline()
            process.kill()  # PortAudio does not leave JACK without a fault
        return heard == b"heard\n"

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.environment, capture_output=True, text=True, timeout=10
        )
        return done.stdout


@contextmanager
def sound_card() -> Iterator[SoundCard]:
    """A card of the test's own; skips the test, and says why, where there can be none."""
    absent = [program for program in ("jackd", "jack_connect", "jack_lsp") if shutil.which(program) is None]
    if find_library("portaudio") is None:
        absent.append("PortAudio")
    if absent:
        pytest.skip(MISSING.format(", ".join(absent)))
    card = SoundCard(f"echoic-{uuid.uuid4().hex[:8]}")
    driver = ["-d", "dummy", "-r", str(RATE), "-p", "480", "-C", "1", "-P", "1"]
    process = subprocess.Popen(
        ["jackd", "--no-realtime", "--name", card.name, *driver],
        env=os.environ | {"JACK_NO_AUDIO_RESERVATION": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: "system:capture_1" in card.ports())
        yield card
    finally:
        process.terminate()
        process.wait(10)
