"""The harness itself: a real server carries sound and text both ways, and an agent takes the call."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator

import numpy as np
from livekit import rtc
from livekit.agents import Agent, JobContext, ModelSettings

from echoic.local.dev.livekit_server import LiveKitServer
from tests.agents import ScriptedLLM, text_session
from tests.rooms.harness import Caller, answering
from tests.rooms.speech import Voice

TONE_RATE = 24_000


class Humming(Agent):
    """Says everything as half a second of one note."""

    async def tts_node(
        self, text: AsyncIterable[str], model_settings: ModelSettings
    ) -> AsyncIterator[rtc.AudioFrame]:
        async for _ in text:
            continue
        note = (3000 * np.sin(2 * np.pi * 440 / TONE_RATE * np.arange(TONE_RATE // 2))).astype(np.int16)
        yield rtc.AudioFrame(note.tobytes(), TONE_RATE, 1, len(note))


async def test_two_clients_hear_each_other(livekit: LiveKitServer, room: str, voice: Voice):
    """What one says the other hears at once, and as long as it was said."""
    hello = await voice("Hello, can you hear me?")
    async with Caller(livekit, room, "alice") as alice, Caller(livekit, room, "bob") as bob:
        for speaker, listener in ((alice, bob), (bob, alice)):
            begun = time.monotonic()
            ended = await speaker.say(hello)
            first, last = await listener.wait_heard(begun), await listener.wait_quiet(begun)
            assert begun < first < begun + 1.0
            assert abs(last - ended) < 1.0


async def test_an_agent_takes_the_call(livekit: LiveKitServer, room: str):
    """A worker is dispatched by the caller's token, its reply heard and read; the call ends with them."""
    model, ended = ScriptedLLM("Biscuit is a lovely name."), asyncio.Event()
    here = asyncio.get_running_loop()

    async def entrypoint(job: JobContext) -> None:
        session = text_session(model)
        session.on("close", lambda _: job.shutdown("the call ended"))
        await session.start(Humming(instructions="be brief"), room=job.room, record=False)

    async def on_end(_job: JobContext) -> None:
        here.call_soon_threadsafe(ended.set)

    async with answering(livekit, entrypoint, agent_name=room, on_session_end=on_end):
        async with Caller(livekit, room, "alice", agent_name=room) as caller:
            await caller.wait_agent()
            sent = time.monotonic()
            await caller.chat("My dog is called Biscuit.")
            await caller.wait_text("lovely", after=sent)
            assert await caller.wait_heard(sent) - sent < 3.0
            assert len(caller.agents) == 1
        async with asyncio.timeout(10):
            await ended.wait()
    assert any("Biscuit" in text for text in model.texts())
