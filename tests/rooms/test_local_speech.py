"""A call without any key: the caller's voice goes to Moonshine, the reply comes from Piper."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, JobContext

from echoic.agent.config import load_agent_settings
from echoic.agent.speech import Speech, open_speech, open_vad, turn_handling
from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.speech.client import ask
from tests.agents import ScriptedLLM
from tests.rooms.harness import Caller, answering
from tests.rooms.speech import Voice

pytestmark = pytest.mark.timeout(150)  # three models load on a machine that may be busy
# the turn detector takes a synthetic voice for unfinished
SETTINGS = load_agent_settings(speech="local", turn_detection="vad")
LONG = "The river is long, " * 30


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speech]:
    with open_speech(SETTINGS, tmp_path_factory.mktemp("speech"), {}) as opened:
        yield opened


@asynccontextmanager
async def agent(livekit: LiveKitServer, room: str, speech: Speech, model: ScriptedLLM) -> Any:
    async def entrypoint(job: JobContext) -> None:
        session: AgentSession[Any] = AgentSession(
            stt=speech.stt(),
            tts=speech.tts(),
            vad=open_vad(),
            llm=model,
            turn_handling=turn_handling(SETTINGS),
        )
        session.on("close", lambda _: job.shutdown("the call ended"))
        await session.start(Agent(instructions="be brief"), room=job.room, record=False)

    async with (
        answering(livekit, entrypoint, agent_name=room),
        Caller(livekit, room, "alice", agent_name=room) as caller,
    ):
        await caller.wait_agent()
        yield caller


async def test_a_question_is_heard_and_answered(
    livekit: LiveKitServer, room: str, voice: Voice, speech: Speech
):
    """The model is shown what was said, and the caller hears and reads the reply."""
    model = ScriptedLLM("That sounds lovely, I will remember it.")
    async with agent(livekit, room, speech, model) as caller:
        ended = await caller.say(await voice("My dog is called Bruno, and he loves the garden."))
        heard = await caller.wait_heard(ended)
        await caller.wait_text("remember", after=ended)
        print(f"first audio after {heard - ended:.2f} s, by {speech.label}")
    assert "bruno" in model.texts()[-1].lower()


async def test_barge_in_stops_the_voice(livekit: LiveKitServer, room: str, voice: Voice, speech: Speech):
    """Somebody who interrupts is not talked over, and Piper is at rest soon after."""
    model = ScriptedLLM(LONG, "Of course.")
    async with agent(livekit, room, speech, model) as caller:
        ended = await caller.say(await voice("Tell me about the river."))
        await caller.wait_heard(ended)
        await asyncio.sleep(1)  # hears some of it
        await caller.say(await voice("Please stop, I would like to ask something else."))
        interrupted = time.monotonic()
        await caller.wait_text("Of course", after=ended)
        assert len(model.seen) == 2
        assert "something else" in model.texts()[-1].lower()
        assert time.monotonic() - interrupted < 15
    local: Any = speech.tts()
    counted, _ = await ask(local._voice, {"count": True})
    assert counted["spoken"] + counted["stopped"] == counted["asked"]
