"""LiveKit's `console` command: the agent at the microphone of this machine, without a room or a server."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from livekit import rtc

from echoic.local.servers.stores import open_stores
from echoic.local.speech.server import speech_served
from echoic.memory.config import load_settings
from tests import deepgram, openai_speech
from tests.deepgram import Deepgram
from tests.fakes import ScriptedModel
from tests.openai_speech import OpenAISpeech
from tests.processes import ROOT
from tests.rooms.sound_card import RATE, SoundCard, sound_card
from tests.rooms.speech import CALLER_RATE, Voice
from tests.rooms.test_calls import turns_of, what_it_sees
from tests.rooms.worker import environment_of

pytestmark = pytest.mark.timeout(180)


@contextmanager
def console(card: SoundCard, env: dict[str, str]) -> Iterator[list[bytes]]:
    """`python agent/main.py console` in a terminal of its own, ended by Ctrl-C; gives what it shows."""
    ours, its = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "echoic.agent.main", "console"],
        cwd=ROOT,
        env=kept | {"TERM": "xterm", "COLUMNS": "120"} | card.environment | env,
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    shown: list[bytes] = []
    reading = threading.Thread(target=lambda: shown.extend(iter(lambda: read(ours), b"")), daemon=True)
    reading.start()
    try:
        yield shown
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        reading.join(5)
        os.close(ours)


def read(terminal: int) -> bytes:
    """What comes next; nothing once the other end is closed."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


async def test_somebody_at_the_microphone_is_remembered(voice: Voice, tmp_path: Path):
    """Twice, through the default providers: what was said the first time is answered the second."""
    with (
        sound_card() as card,
        open_stores(tmp_path / "data") as stores,
        speech_served(stores.data_dir) as (ears, mouth),
        Deepgram(ears) as hearing,
        OpenAISpeech(mouth) as speaking,
        ScriptedModel(otherwise=what_it_sees) as model,
    ):
        settings = load_settings(
            database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
        )
        told = {
            "ECHOIC_SPEECH": "cloud",
            "ECHOIC_TURN_DETECTION": "vad",
            "ECHOIC_DEEPGRAM_URL": hearing.url,
            "ECHOIC_TTS_URL": speaking.url,
            "DEEPGRAM_API_KEY": deepgram.KEY,
            "OPENAI_API_KEY": openai_speech.KEY,
        }
        env = environment_of(settings, llm_url=model.url, **told)
        for words, count in (("My dog is called Biscuit.", 2), ("What is the name of my dog?", 4)):
            pcm = at_card_rate(await voice(words))
            heard = len(hearing.asked)
            with console(card, env) as shown:
                try:
                    await hearing.wait(lambda heard=heard: len(hearing.asked) > heard, "nobody listened", 60)
                    assert await asyncio.to_thread(card.converse, pcm)
                    turns = await turns_of(settings, "me", lambda turns, count=count: len(turns) == count)
                except BaseException:
                    print(b"".join(shown).decode(errors="replace")[-8000:])
                    raise
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    assert turns[-1].text == "Your dog is Biscuit."


def at_card_rate(pcm: bytes) -> bytes:
    resampler = rtc.AudioResampler(CALLER_RATE, RATE)
    frames = [*resampler.push(rtc.AudioFrame(pcm, CALLER_RATE, 1, len(pcm) // 2)), *resampler.flush()]
    return b"".join(bytes(frame.data) for frame in frames)
