"""`echoic.remember` where several people are about: each session, and each tool, is one person's."""

import asyncio
from types import SimpleNamespace

import pytest
from livekit.agents import Agent, AgentSession, RunContext, function_tool, llm

import echoic
from echoic.agent.identity.identity import Identified, anonymous
from echoic.memory.service import open_memory
from tests.embedders import WordEmbedder
from tests.livekits.scripted import ScriptedLLM
from tests.remembered import fact, learn, said_of
from tests.voices import ThinkingLLM, voice_session


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


def session_of(*replies):
    return AgentSession(llm=ScriptedLLM(*replies), vad=None, turn_handling={"turn_detection": None})


async def test_sessions_of_one_room_that_begin_together_are_calls_of_their_own(memory):
    """LiveKit's own example of several people starts a task for each who joins."""
    await learn(memory, fact("Has a safe with the code Xylquor", "maya"), fact("Has a cat called Tom", "ben"))
    job = SimpleNamespace(metadata="", room=SimpleNamespace(sid="RM_1"))
    ctx = SimpleNamespace(job=job, room=None, is_fake_job=lambda: False)
    async with session_of() as one, session_of() as two:
        maya, ben = await asyncio.gather(
            echoic.remember(one, ctx, user_id="maya", memory=memory),
            echoic.remember(two, ctx, user_id="ben", memory=memory),
        )
        call_ids = [handle.call_memory.caller.call_id for handle in (maya, ben)]
        for call_id in call_ids:
            await memory.search.wait_held(call_id)
        own = await maya.call_memory.recall("What is the code of my safe?", budget_s=10)
        other = await ben.call_memory.recall("What is the code of my safe?", budget_s=10)
    assert "RM_1" in call_ids and len(set(call_ids)) == 2
    assert "Xylquor" in own.block and "Xylquor" not in other.block


class Desk(Agent):
    """Its application's account service takes a moment."""

    def __init__(self):
        super().__init__(instructions="Ask for the code.")
        self.asked, self.answered, self.refused = asyncio.Event(), asyncio.Event(), ""

    @function_tool
    async def confirm_account(self, context: RunContext) -> str:
        """The caller names the code that was sent to them."""
        handle = echoic.memory_of(context.session)
        self.asked.set()
        await self.answered.wait()
        try:
            await handle.confirm("maya")
        except echoic.MemoryFault as exc:
            self.refused = str(exc)
        await handle.link("maya")
        await handle.note("The code was right.")
        return "Confirmed."


async def test_a_tool_that_outlives_its_callers_turn_works_for_them_alone(memory):
    """Whoever is heard by then is not made the one whose code it was, and gets neither link nor note."""
    call = llm.FunctionToolCall(name="confirm_account", arguments="{}", call_id="c1")
    desk = Desk()
    async with session_of(call) as session:
        handle = await echoic.remember(session, user_id="phone:1", memory=memory)
        handle._call.identified = Identified("phone:1", "phone", proven=False, persistent=True)
        await session.start(desk)
        speech = session.generate_reply(user_input="My code is 4711.")
        await desk.asked.wait()
        handle._call.switch_soon(anonymous(), same_person=False)  # as where the link moves
        session.interrupt(force=True)
        desk.answered.set()
        await asyncio.wait_for(speech, 10)
        async with asyncio.timeout(10):
            while not await memory.links.read_along("phone:1"):
                await asyncio.sleep(0.01)
        assert handle.user_id.startswith("anonymous:")
    assert "heard" in desk.refused
    assert "The code was right." in str(await said_of(memory, "phone:1"))


async def test_the_last_words_of_a_session_are_a_wish(memory):
    """LiveKit puts them into the conversation as the session closes, and makes no reply."""
    async with session_of() as session:
        await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Desk())
        session.history.items.append(llm.ChatMessage(role="user", content=["Stop remembering me."]))
    assert await memory.consents.read("maya") == "off"


async def test_what_is_said_while_a_job_ends_is_stored(memory):
    """Of several sessions of a job LiveKit closes one: our part of the end closes the others, and does not
    end before their last words."""
    callbacks = []
    job = SimpleNamespace(metadata="", room=SimpleNamespace(sid="RM_1"))
    ctx = SimpleNamespace(
        job=job, room=None, is_fake_job=lambda: False, add_shutdown_callback=callbacks.append
    )
    story = "It was a dark and stormy night when the old dog walked home alone over the hills."
    async with voice_session(Agent(instructions="Be kind."), ThinkingLLM(story)) as voice:
        await echoic.remember(voice.session, ctx, user_id="maya", memory=memory)
        await voice.ears.say("Tell me a story.")
        await asyncio.wait_for(voice.speaker.sounding.wait(), 10)
        await asyncio.sleep(1)  # some words of it
        await asyncio.wait_for(asyncio.gather(*(callback() for callback in callbacks)), 20)
    (_, asked, _), (_, told, cut) = await said_of(memory, "maya")
    assert asked == "Tell me a story." and cut and told and story.startswith(told.strip())
