"""Who is heard, in a real room: the link moves, a caller comes back, or is said to be somebody.

Written words: no speech.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import jwt
import pytest
from livekit import api
from livekit.agents import AgentSession, JobContext
from livekit.agents.voice.room_io import RoomOptions

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.callers import Callers
from echoic.agent.call.capture import Capture
from echoic.agent.identity.identity import USER_TOKEN, Rules
from echoic.local.dev.livekit_server import LiveKitServer
from echoic.memory.config import MemorySettings
from echoic.memory.service import open_memory
from echoic.memory.types import Caller as MemoryCaller
from tests.agents import ScriptedLLM, text_session
from tests.rooms.harness import Caller, answering

SECRET, KEY = "s" * 32, "k" * 32


def token(user_id: str, **claims: Any) -> str:
    return jwt.encode(
        {"sub": user_id, "aud": "echoic", "exp": time.time() + 60, **claims}, SECRET, algorithm="HS256"
    )


class Desk:
    """The agent of these tests, wired as the worker wires it, and what a test wants to touch of it."""

    def __init__(self, settings: MemorySettings) -> None:
        self._settings = settings
        self.model = ScriptedLLM(*(f"Reply {number}." for number in range(1, 20)))
        self.call: Call
        self.session: AgentSession[Call]
        self._loop: asyncio.AbstractEventLoop

    async def take(self, job: JobContext) -> None:
        """One call, in a thread of its own."""
        self._loop = asyncio.get_running_loop()
        opened = AsyncExitStack()
        job.add_shutdown_callback(opened.aclose)
        memory = await opened.enter_async_context(open_memory(self._settings))
        await job.connect()
        callers = Callers(job.room, Rules(identity_secret=SECRET, phone_key=KEY), job.job.metadata)
        who = callers.identify(await job.wait_for_participant())
        call_memory = await memory.open_call(
            MemoryCaller(who.user_id, "echoic", job.job.room.sid), persistent=who.persistent
        )
        self.call = Call(call_memory, who)
        self.call.capture = await opened.enter_async_context(Capture(call_memory))
        self.session = text_session(self.model, call=self.call)
        self.call.capture.listen(self.session)
        self.session.on("close", lambda _: job.shutdown("the call ended"))
        options = RoomOptions(audio_input=False, audio_output=False)
        await self.session.start(
            MemoryAgent(instructions="Be kind.", context_tokens=2_000),
            room=job.room,
            room_options=options,
            record=False,
        )
        callers.follow(self.session, self.call)

    async def hang_up(self, _job: JobContext) -> None:
        await self.call.hang_up()

    async def link(self, identity: str) -> None:
        """As an application moves the link."""
        moved = asyncio.get_running_loop().create_future()
        here = asyncio.get_running_loop()

        def move() -> None:
            self.session.room_io.set_participant(identity)
            here.call_soon_threadsafe(moved.set_result, None)

        self._loop.call_soon_threadsafe(move)
        await moved

    async def wait_user(self, how: str) -> None:
        """Return once the caller is identified in this way."""
        async with asyncio.timeout(10):
            while self.call.identified.how != how:
                await asyncio.sleep(0.02)


@pytest.fixture
async def desk(livekit: LiveKitServer, memory_settings: MemorySettings) -> AsyncIterator[Desk]:
    desk = Desk(memory_settings)
    async with answering(livekit, desk.take, agent_name="desk", on_session_end=desk.hang_up):
        yield desk


@asynccontextmanager
async def caller(livekit: LiveKitServer, room: str, identity: str, **options: Any) -> AsyncIterator[Caller]:
    async with Caller(livekit, room, identity, microphone=False, **options) as one:
        yield one


async def ask(one: Caller, words: str, reply: str) -> None:
    await one.chat(words)
    await one.wait_text(reply)


async def agent_in(one: Caller, desk: Desk) -> None:
    """Return once the agent listens to this room and sees the caller: text sent before is lost."""
    async with asyncio.timeout(20):
        while (
            not hasattr(desk, "session")
            or desk.session._room_io is None
            or desk.session.room_io.linked_participant is None
        ):
            await asyncio.sleep(0.05)
        while one.identity not in desk.session.room_io.room.remote_participants:
            await asyncio.sleep(0.05)


async def stored(settings: MemorySettings, user_id: str) -> list[str]:
    async with open_memory(settings) as memory:
        return [turn.text for turn in await memory.turns.list(user_id)]


async def test_only_the_linked_caller_is_heard_and_the_memory_moves_with_the_link(
    livekit: LiveKitServer, memory_settings: MemorySettings, desk: Desk, room: str
):
    """The other one is neither answered nor stored; when the link moves, nothing is shown or mixed."""
    maya_options = {"attributes": {USER_TOKEN: token("maya")}, "agent_name": "desk"}
    async with caller(livekit, room, "web-1", **maya_options) as maya:
        await agent_in(maya, desk)
        async with caller(
            livekit, room, "web-2", attributes={USER_TOKEN: token("ben"), "user_id": "maya"}
        ) as ben:
            await agent_in(ben, desk)
            await ask(maya, "My dog is called Biscuit.", "Reply 1")
            await ben.chat("Nobody hears this.")
            await ask(maya, "I live in Lisbon.", "Reply 2")
            await desk.link("web-2")
            await ask(ben, "What is the dog called?", "Reply 3")
            assert "Biscuit" not in str(desk.model.seen[-1])
            await desk.link("web-1")
            await ask(maya, "I am back.", "Reply 4")
        await maya.leave()
        await desk_ended(desk)
    assert await stored(memory_settings, "maya") == [
        *("My dog is called Biscuit.", "Reply 1.", "I live in Lisbon.", "Reply 2.", "I am back.", "Reply 4.")
    ]
    assert await stored(memory_settings, "ben") == ["What is the dog called?", "Reply 3."]


async def test_a_caller_who_comes_back_and_is_confirmed_by_the_application(
    livekit: LiveKitServer, memory_settings: MemorySettings, desk: Desk, room: str
):
    """A second connection takes the call over; then a token makes all that was said theirs."""
    async with caller(livekit, room, "web-1", agent_name="desk", attributes={"user_id": "maya"}) as one:
        await agent_in(one, desk)
        await ask(one, "My dog is called Biscuit.", "Reply 1")
        assert desk.call.identified.how == "anonymous"
        async with caller(livekit, room, "web-1", attributes={"user_id": "maya"}) as again:
            async with asyncio.timeout(10):
                while (
                    linked := desk.session.room_io.linked_participant
                ) is None or linked.sid != again.room.local_participant.sid:
                    await asyncio.sleep(0.02)
            await ask(again, "Are you still there?", "Reply 2")
            async with api.LiveKitAPI(livekit.url, livekit.api_key, livekit.api_secret) as server:
                shown = api.UpdateParticipantRequest(
                    room=room, identity="web-1", attributes={USER_TOKEN: token("maya", room=room)}
                )
                await server.room.update_participant(shown)
            await desk.wait_user("token")
            await ask(again, "I live in Lisbon.", "Reply 3")
            await again.leave()
            await desk_ended(desk)
    said = [text for text in await stored(memory_settings, "maya") if not text.startswith("Reply")]
    assert said == ["My dog is called Biscuit.", "Are you still there?", "I live in Lisbon."]


async def desk_ended(desk: Desk) -> None:
    """Return once the call's last words are durable."""
    async with asyncio.timeout(20):
        while desk.call.call_memory in desk.call.call_memory.memory.calls:
            await asyncio.sleep(0.05)
