"""The LiveKit worker's entry: what it refuses, and one whole call on real stores without a room."""

import contextlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from livekit.agents.testing import fake_job_context

from echoic.agent.call import room_call
from echoic.agent.speech import KEYS
from echoic.agent.worker import server as main
from echoic.memory.config import MemorySettings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import open_memory
from tests.agents import ScriptedLLM, text_session
from tests.processes import ROOT

COMPLETE = dict.fromkeys((*main.STORES, *KEYS), "set")


def test_a_worker_without_addresses_stops_with_a_sentence():
    """As it is started in production: exit code 1, one sentence, no traceback."""
    command = [sys.executable, "-m", "livekit.agents", "start", "agent/main.py"]
    ended = subprocess.run(
        command, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 1
    assert (
        ended.stderr.startswith("Not set: ECHOIC_DATABASE_URL, ECHOIC_REDIS_URL")
        and ended.stderr.count("\n") == 1
    )
    assert "Traceback" not in ended.stdout


@pytest.mark.parametrize("missing", [*main.STORES, *KEYS])
def test_each_missing_setting_is_named(missing: str, monkeypatch: pytest.MonkeyPatch):
    """With speech from the cloud; without a key, and without the extra, there is none."""
    monkeypatch.setenv("ECHOIC_SPEECH", "cloud")
    with pytest.raises(ConfigInvalid, match=missing):
        main.check({name: value for name, value in COMPLETE.items() if name != missing})


async def test_one_call_is_remembered(memory_settings: MemorySettings, monkeypatch: pytest.MonkeyPatch):
    """Turns of a call are stored, the next call sees them, and everything is closed at the end."""
    model, speech = ScriptedLLM("Nice to meet you.", "It is Biscuit."), contextlib.nullcontext(object())
    settings = memory_settings.model_copy(update={"llm_model": "quote"})
    monkeypatch.setattr(main, "load_settings", lambda: settings)
    monkeypatch.setattr(main, "open_speech", lambda *_: speech)
    monkeypatch.setattr(
        room_call,
        "speaking_session",
        lambda _memory, _settings, _speech: text_session(model),
    )
    for words in ("My dog is called Biscuit.", "What is my dog called?"):
        with fake_job_context() as job:
            main.prewarm(job.proc)
            monkeypatch.setattr(job, "wait_for_participant", somebody)
            await main.entrypoint(job)
            await job.primary_session.run(user_input=words)
            await main.hang_up(job)
            await job.primary_session.aclose()
            for callback in job._shutdown_callbacks:
                await callback("ended")
            job._tempdir.cleanup()  # LiveKit does so when its process ends
    assert "Biscuit" in model.texts()[-1] and "<memory>" in model.texts()[-1]
    async with open_memory(memory_settings) as memory:
        assert (await memory.turns.list(room_call.CONSOLE_USER))[0].text == "My dog is called Biscuit."


async def somebody() -> SimpleNamespace:
    return SimpleNamespace(identity="console", kind=0, attributes={})
