"""Whole calls with what the documentation names first: Deepgram hears, OpenAI answers and speaks.

LiveKit's own plugins speak to servers of this machine that speak the providers' protocols (tests/deepgram.py,
tests/openai_speech.py): our local ears and voice are behind them, and each of their faults is tried.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from echoic.agent.speech import STALLED_S
from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.servers.stores import Stores, open_stores
from echoic.local.speech.server import speech_served
from echoic.memory.config import MemorySettings, load_settings
from tests import deepgram, openai_speech
from tests.deepgram import NOTHING_CAME, Deepgram
from tests.fakes import Request, ScriptedModel
from tests.openai_speech import SECOND, OpenAISpeech
from tests.rooms.speech import Voice, silence
from tests.rooms.test_calls import AGENT, a_user, call, say, turns_of, what_it_sees
from tests.rooms.worker import AgentWorker, agent_worker, environment_of

pytestmark = pytest.mark.timeout(300)  # the first call starts a worker, two stores and two voices
OWN = "agent-of-ones-own"
DOG, QUESTION = "My dog is called Biscuit.", "What is the name of my dog?"
STORY = (
    "Once upon a time there was a river, and the river was long, and slow, and very old. It came from the "
    "hills."
)


def reply(request: Request) -> str:
    """A story when asked for one, else what memory holds."""
    return STORY if "story" in str(request["messages"][-1]["content"]).lower() else what_it_sees(request)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    with open_stores(tmp_path_factory.mktemp("default")) as opened:
        yield opened


@pytest.fixture(scope="module")
def settings(stores: Stores) -> MemorySettings:
    return load_settings(
        database_url=stores.database_url, redis_url=stores.redis_url, data_dir=stores.data_dir
    )


@pytest.fixture(scope="module")
def providers(stores: Stores) -> Iterator[tuple[Deepgram, OpenAISpeech]]:
    """Who hears and who speaks, for all calls of this module."""
    with (
        speech_served(stores.data_dir) as (ears, voice),
        Deepgram(ears) as hearing,
        OpenAISpeech(voice) as speaking,
    ):
        yield hearing, speaking


@pytest.fixture
def hearing(providers: tuple[Deepgram, OpenAISpeech]) -> Deepgram:
    return providers[0]


@pytest.fixture
def speaking(providers: tuple[Deepgram, OpenAISpeech]) -> OpenAISpeech:
    return providers[1]


@pytest.fixture(scope="module")
def worker(
    livekit: LiveKitServer,
    settings: MemorySettings,
    providers: tuple[Deepgram, OpenAISpeech],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AgentWorker]:
    """The worker as it ships, with two addresses and two keys."""
    hearing, speaking = providers
    with ScriptedModel(otherwise=reply) as model:
        keys = {"DEEPGRAM_API_KEY": deepgram.KEY, "OPENAI_API_KEY": openai_speech.KEY}
        told = {"LIVEKIT_AGENT_NAME": AGENT, **keys}
        env = environment_of(settings, llm_url=model.url, **told) | addresses(hearing, speaking)
        with agent_worker(livekit, env, tmp_path_factory.mktemp("worker") / "log") as running:
            yield running


async def test_what_is_said_is_heard_answered_and_remembered(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    hearing: Deepgram,
    speaking: OpenAISpeech,
):
    """Partial words come first, an endpoint ends them; the reply is one that OpenAI's voice spoke."""
    user = a_user()
    async with call(livekit, user) as caller:
        await say(caller, await voice(DOG), "Your dog is Biscuit")
    told = await turns_of(settings, user, lambda turns: len(turns) == 2)
    assert [(turn.role, "biscuit" in turn.text.lower(), turn.interrupted) for turn in told] == [
        ("user", True, False),
        ("assistant", True, False),
    ]
    async with call(livekit, user) as caller:
        await say(caller, await voice(QUESTION), "Your dog is Biscuit")
    assert {"interim_results": "true", "endpointing": "25", "sample_rate": "16000"}.items() <= hearing.asked[
        -1
    ].items()
    results = [told for told in hearing.sent if told["type"] == "Results"]
    first, last = results[0], results[-1]
    assert not first["is_final"] and last["is_final"] and last["speech_final"]
    spoken = speaking.requests[-1]
    assert spoken["input"] == "Your dog is Biscuit." and (spoken["model"], spoken["voice"]) == (
        "gpt-4o-mini-tts",
        "ash",
    )


async def test_an_endpoint_within_a_turn_loses_nothing(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    hearing: Deepgram,
    speaking: OpenAISpeech,
):
    """Two sentences with a breath between them: two final results, and every word is stored in order.

    On a fast machine a reply begins in that breath. It is held until both are said: LiveKit gives the ears
    silence for the first three seconds of a call's first reply (its `aec_warmup_duration`).
    """
    user, asked = a_user(), len(speaking.requests)
    words = await voice(DOG) + silence(0.45) + await voice("He loves the garden.")
    async with call(livekit, user) as caller:
        speaking.stalls.append(0)
        ended = await caller.say(words)
        await speaking.wait_asked(asked + 1)
        speaking.release()
        await caller.wait_text("Biscuit", after=ended)
        await caller.wait_quiet(ended)
        turns = await turns_of(settings, user, lambda turns: "garden" in str(turns))
    said = " ".join(turn.text for turn in turns if turn.role == "user").lower()
    assert said.index("biscuit") < said.index("garden")
    ends = [told for told in hearing.sent if told.get("speech_final")]
    assert "garden" in ends[-1]["channel"]["alternatives"][0]["transcript"].lower()


async def test_a_caller_who_only_writes_keeps_the_ears_open(
    livekit: LiveKitServer, worker: AgentWorker, settings: MemorySettings, hearing: Deepgram
):
    """Without any sound Deepgram would hang up after ten seconds: the socket is kept alive, and stays one."""
    await hearing.wait_idle()
    user, asked, alive = a_user(), len(hearing.asked), hearing.commands.count("KeepAlive")
    async with call(livekit, user, microphone=False) as caller:
        await hearing.wait(lambda: hearing.commands.count("KeepAlive") >= alive + 4, "it was not kept alive")
        assert len(hearing.asked) == asked + 1 and NOTHING_CAME not in hearing.closed
        await caller.chat(DOG)
        await caller.wait_text("Biscuit")
        await caller.wait_quiet()
    await turns_of(settings, user, lambda turns: len(turns) == 2)


async def test_a_socket_cut_in_mid_sentence(
    livekit: LiveKitServer, worker: AgentWorker, voice: Voice, settings: MemorySettings, hearing: Deepgram
):
    """The socket is opened again: what was said after it is heard, answered and stored, and all that follows.

    What Deepgram had heard, and not yet said for good, goes with the socket.
    """
    user = a_user()
    words = await voice("I went to the market this morning, and my dog is called Biscuit.")
    await hearing.wait_idle()
    asked, sent = len(hearing.asked), len(hearing.sent)
    async with call(livekit, user) as caller:
        speaking = asyncio.create_task(caller.say(words))
        await hearing.wait(lambda: "market" in str(hearing.sent[sent:]).lower(), "no partial result came")
        hearing.cut()
        ended = await speaking
        await caller.wait_text("Biscuit", after=ended - 5)
        await caller.wait_quiet(ended)
        await say(caller, await voice(QUESTION), "Biscuit")
    assert len(hearing.asked) == asked + 2
    turns = await turns_of(settings, user, lambda turns: len(turns) >= 4)
    assert "biscuit" in turns[0].text.lower() and "market" not in turns[0].text.lower()
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2


@pytest.mark.parametrize(("status", "reason"), [(401, "refuses the key"), (429, "over its quota")])
async def test_ears_that_refuse(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    hearing: Deepgram,
    status: int,
    reason: str,
):
    """A key that is refused for a while, or a quota that is used up: meanwhile the call goes on in writing.

    The log says once why nobody is heard, and once that somebody is again.
    """
    await hearing.wait_idle()
    user, asked, logged = a_user(), len(hearing.asked), len(worker.output())
    hearing.refusals += [status] * 5
    async with call(livekit, user) as caller:
        await caller.chat(DOG)
        await caller.wait_text("Biscuit")
        await caller.wait_quiet()
        await hearing.wait(lambda: len(hearing.asked) >= asked + 6, "it was not tried again")
        await say(caller, await voice(QUESTION), "Biscuit")
    turns = await turns_of(settings, user, lambda turns: len(turns) == 4)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    log = worker.output()[logged:]
    assert log.count("speech.away") == log.count(reason) == log.count("speech.back") == 1


@pytest.mark.parametrize(("status", "heard"), [(429, True), (401, False)])
async def test_a_voice_that_refuses(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    speaking: OpenAISpeech,
    status: int,
    heard: bool,
):
    """429: it is asked again, and heard. 401: that reply is lost, and what was not heard is not stored."""
    user, asked, logged = a_user(), len(speaking.requests), len(worker.output())
    async with call(livekit, user) as caller:
        speaking.refusals.append(status)
        began = time.monotonic()
        ended = await caller.say(await voice(DOG))
        await speaking.wait_asked(asked + 1)
        if heard:
            await caller.wait_text("Biscuit", after=began)
            await caller.wait_quiet(ended)
        else:
            await worker_says(worker, "refuses the key", logged)
            assert caller.heard.first_loud(ended) is None
        await say(caller, await voice(QUESTION), "Biscuit")
    roles = ["user", "assistant", "user", "assistant"] if heard else ["user", "user", "assistant"]
    turns = await turns_of(settings, user, lambda turns: len(turns) == len(roles))
    assert [turn.role for turn in turns] == roles


async def test_a_slow_first_byte(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    speaking: OpenAISpeech,
):
    """The reply comes late and whole; nothing else is said meanwhile."""
    user, asked = a_user(), len(speaking.requests)
    async with call(livekit, user) as caller:
        speaking.stalls.append(0)
        ended = await caller.say(await voice(DOG))
        await speaking.wait_asked(asked + 1)
        await caller.say(silence(3.0))
        assert caller.heard.first_loud(ended) is None
        speaking.release()
        await caller.wait_text("Biscuit", after=ended)
        await caller.wait_quiet(ended)
    assert len(speaking.requests) == asked + 1
    turns = await turns_of(settings, user, lambda turns: len(turns) == 2)
    assert turns[1].text == "Your dog is Biscuit." and not turns[1].interrupted


async def test_a_voice_that_stalls_is_asked_again(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    speaking: OpenAISpeech,
):
    """In mid-sentence: after some seconds of silence the caller hears it whole, and it is stored once."""
    user, asked = a_user(), len(speaking.requests)
    async with call(livekit, user) as caller:
        speaking.stalls.append(2 * SECOND)
        ended = await caller.say(await voice("Please tell me a story."))
        broke_off = await caller.wait_quiet(ended)
        await speaking.wait_asked(asked + 2)
        went_on = await caller.wait_heard(broke_off + 0.5)
        assert went_on - broke_off < STALLED_S + 5.0
        await caller.wait_text("from the hills", after=ended)
        await caller.wait_quiet(went_on)
    turns = await turns_of(settings, user, lambda turns: len(turns) >= 2)
    print(
        "STALL", [(turn.role, turn.text, turn.interrupted) for turn in turns], caller.heard.transcripts[-4:]
    )


async def test_a_stalled_reply_is_interrupted(
    livekit: LiveKitServer,
    worker: AgentWorker,
    voice: Voice,
    settings: MemorySettings,
    speaking: OpenAISpeech,
):
    """The caller speaks into the silence and is answered; of the reply only what was heard is stored."""
    user = a_user()
    async with call(livekit, user) as caller:
        speaking.stalls.append(2 * SECOND)
        ended = await caller.say(await voice("Please tell me a story."))
        await caller.wait_quiet(ended)
        await say(caller, await voice(DOG), "Your dog is Biscuit")
    turns = await turns_of(settings, user, lambda turns: len(turns) == 4)
    assert turns[1].interrupted and STORY.startswith(turns[1].text) and len(turns[1].text) < len(STORY) / 2


async def test_servers_of_ones_own_need_no_key(
    livekit: LiveKitServer, stores: Stores, voice: Voice, settings: MemorySettings, tmp_path: Path
):
    """A Deepgram without keys, and a voice that knows neither events nor MP3: addresses are enough."""
    user = a_user()
    with (
        speech_served(stores.data_dir) as (ears, mouth),
        Deepgram(ears, key="") as hearing,
        OpenAISpeech(mouth, key="", plain=True) as speaking,
        ScriptedModel(otherwise=reply) as model,
    ):
        told = {"LIVEKIT_AGENT_NAME": OWN, "ECHOIC_TTS_MODEL": "kokoro", "ECHOIC_TTS_VOICE": "af_sky"}
        env = environment_of(settings, llm_url=model.url, **told) | addresses(hearing, speaking)
        with agent_worker(livekit, env, tmp_path / "log"):
            async with call(livekit, user, agent_name=OWN) as caller:
                await say(caller, await voice(DOG), "Your dog is Biscuit")
    await turns_of(settings, user, lambda turns: len(turns) == 2)
    assert (speaking.requests[0]["model"], speaking.requests[0]["voice"]) == ("kokoro", "af_sky")


def addresses(hearing: Deepgram, speaking: OpenAISpeech) -> dict[str, str]:
    return {
        "ECHOIC_SPEECH": "auto",
        "ECHOIC_TURN_DETECTION": "vad",
        "ECHOIC_DEEPGRAM_URL": hearing.url,
        "ECHOIC_TTS_URL": speaking.url,
    }


async def worker_says(worker: AgentWorker, text: str, after: int) -> None:
    """Return once its log holds `text`, beyond what stood there before."""
    async with asyncio.timeout(30):
        while text not in worker.output()[after:]:
            await asyncio.sleep(0.05)
