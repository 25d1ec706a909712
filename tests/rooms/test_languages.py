"""Calls in German and Spanish without any key: said in one, found in the next.

The caller speaks with espeak-ng, Whisper hears, and the reply is spoken by espeak-ng too; only the model is
scripted.
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.stores import Stores, open_stores
from echoic.local.speech import whisper_files
from echoic.local.speech.client import VOICE_RATE
from echoic.local.speech.server import speech_served, whisper_served
from echoic.memory.config import MemorySettings, load_settings
from tests.fakes import Request, ScriptedModel
from tests.rooms.speech import at_caller_rate
from tests.rooms.test_calls import AGENT, a_user, call, say, turns_of
from tests.rooms.worker import agent_worker, environment_of

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(whisper_files.missing()), reason="needs pip install 'echoic[languages]'"),
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng: apt install espeak-ng"),
]
CASES = {
    "de": ("Mein Hund heißt Oskar.", "Wie heißt mein Hund?", "oscar", "Dein Hund heißt Oscar."),
    "es": (
        *("Mi hermano se llama Carlos.", "¿Cómo se llama mi hermano?", "carlos"),
        "Tu hermano se llama Carlos.",
    ),
}
"""What is said, what is asked, the word that only the first holds, and the reply of a model that saw it.

Whisper understands these words of espeak-ng's each time, also beside noise; of most others it does not.
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """With speech running: a worker then registers in time on a busy machine."""
    folder = tmp_path_factory.mktemp("languages")
    with open_stores(folder) as opened, speech_served(opened.data_dir), whisper_served(opened.data_dir):
        yield opened


@pytest.fixture(scope="module")
def settings(stores: Stores) -> MemorySettings:
    return load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )


async def spoken(text: str, language: str) -> bytes:
    pipe = asyncio.subprocess.PIPE
    speaking = await asyncio.create_subprocess_exec(
        *("espeak-ng", "-v", language, "-s", "140", "--stdout", "--stdin"), stdin=pipe, stdout=pipe
    )
    wave, _ = await speaking.communicate(text.encode())
    return at_caller_rate(wave[44:], VOICE_RATE)


@pytest.mark.parametrize("language", sorted(CASES))
async def test_said_in_one_call_and_found_in_the_next(
    livekit: LiveKitServer, settings: MemorySettings, tmp_path: Path, language: str
) -> None:
    """What was said stands in the prompt of the next call's question, and the reply is heard."""
    told, asked, word, reply = CASES[language]

    def answer(request: Request) -> str:
        said = [str(one["content"]) for one in request["messages"] if one["role"] == "user"]
        return reply if word in " ".join(said).lower() else "…"

    user = a_user()
    with ScriptedModel(otherwise=answer) as model:
        env = environment_of(
            settings,
            llm_url=model.url,
            LIVEKIT_AGENT_NAME=AGENT,
            ECHOIC_TURN_DETECTION="vad",
            ECHOIC_LANGUAGE=language,
        )
        with agent_worker(livekit, env, tmp_path / "log"):
            async with call(livekit, user) as caller:
                await say(caller, await spoken(told, language), reply)
            first = await turns_of(settings, user, lambda turns: len(turns) == 2)
            async with call(livekit, user) as caller:
                await say(caller, await spoken(asked, language), reply)
    assert word in first[0].text.lower() and word not in asked.lower()
