"""The caller breaks in: only what was heard is stored, and no word of theirs is lost.

Real stores; nothing of the reply that was cut off is left behind.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
from livekit.agents import Agent, RunContext, function_tool, llm

from echoic.agent.assistant import MemoryAgent, Remembers
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.prefetch import Prefetch
from echoic.memory.call import CallMemory
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import LocalEmbedder, Vector
from echoic.memory.service import Memory, open_memory
from echoic.memory.types import Caller, Turn
from tests.fake_llm import Reply
from tests.voices import ThinkingLLM, Voice, voice_session

LONG = (
    "It was a dark and stormy night when the old dog Biscuit walked home alone "
    "over the hills and far away from the sea."
)
TURNS = 200


class GatedEmbedder(LocalEmbedder):
    """Answers only while it is open: retrieval is under way for as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.waiting = asyncio.Event(), asyncio.Event()
        self.open.set()

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        if not self.open.is_set():
            self.waiting.set()
        await self.open.wait()
        return await super().embed(text, across=across)


@pytest.fixture
async def memory(memory_settings: MemorySettings) -> AsyncIterator[Memory]:
    async with open_memory(memory_settings, embedder=GatedEmbedder()) as memory:
        yield memory


@pytest.fixture
async def call_memory(memory: Memory) -> AsyncIterator[CallMemory]:
    call_memory = await memory.open_call(Caller("maya", "echoic", uuid4().hex))
    yield call_memory
    await call_memory.end()


def sofa() -> MemoryAgent:
    """An agent on Echoic's sofa."""
    return MemoryAgent(instructions="Be kind.", context_tokens=2_000)


async def stored(call_memory: CallMemory) -> list[Turn]:
    return await call_memory.memory.turns.of_call(call_memory.caller, 1_000)


def said(turns: list[Turn]) -> list[tuple[str, str, bool]]:
    return [(turn.role, turn.text, turn.interrupted) for turn in turns]


async def break_in(voice: Voice, text: str) -> None:
    """Speak as soon as something is heard."""
    await asyncio.wait_for(voice.speaker.sounding.wait(), 10)
    await asyncio.sleep(0.3)
    await voice.ears.say(text)


async def test_a_reply_is_stored_as_far_as_it_was_heard(call_memory: CallMemory):
    """Broken off in the middle: the words that came out, marked; and the next question is answered."""
    model = ThinkingLLM(LONG, "You are welcome.")
    async with (
        Capture(call_memory) as capture,
        voice_session(sofa(), model, call=call_memory, listeners=[capture]) as voice,
    ):
        await voice.ears.say("Tell me a story.")
        await break_in(voice, "Thank you, stop.")
        while len(voice.items("assistant")) < 2:
            await asyncio.sleep(0.01)
    story, cut, stop, welcome = await stored(call_memory)
    assert said([story, stop, welcome]) == [
        ("user", "Tell me a story.", False),
        ("user", "Thank you, stop.", False),
        ("assistant", "You are welcome.", False),
    ]
    assert cut.interrupted and 0 < len(cut.text) < len(LONG) and LONG.startswith(cut.text.strip())


async def test_broken_in_before_the_first_word_was_heard(call_memory: CallMemory):
    """The model is still thinking: what it would have said was never said, and is not stored."""
    model = ThinkingLLM("Never heard.", "Both, then.")
    async with (
        Capture(call_memory) as capture,
        voice_session(sofa(), model, call=call_memory, listeners=[capture]) as voice,
    ):
        model.free.clear()
        await voice.ears.say("Tell me a story.")
        while not model.seen:
            await asyncio.sleep(0.01)
        await voice.ears.say("And a joke.")
        while len(model.seen) < 2:
            await asyncio.sleep(0.01)
        model.free.set()
        while not voice.items("assistant"):
            await asyncio.sleep(0.01)
        await voice.wait_answered()
    assert said(await stored(call_memory)) == [
        ("user", "Tell me a story.", False),
        ("user", "And a joke.", False),
        ("assistant", "Both, then.", False),
    ]


async def test_broken_in_during_retrieval(memory: Memory, call_memory: CallMemory):
    """The model was not asked yet: the words are stored, and the lookup nobody waits for ends by itself."""
    model, embedder = ThinkingLLM("Both, then."), memory.embedder
    assert isinstance(embedder, GatedEmbedder)
    async with (
        Capture(call_memory) as capture,
        voice_session(sofa(), model, call=call_memory, listeners=[capture]) as voice,
    ):
        embedder.open.clear()
        await voice.ears.say("What is my dog called?")
        await asyncio.wait_for(embedder.waiting.wait(), 10)
        await voice.ears.say("And my cat, what is she called?")
        await asyncio.sleep(0.1)
        assert model.seen == []
        embedder.open.set()
        while not voice.items("assistant"):
            await asyncio.sleep(0.01)
    assert len(model.seen) == 1
    assert [turn.text for turn in await stored(call_memory)] == [
        "What is my dog called?",
        "And my cat, what is she called?",
        "Both, then.",
    ]


async def test_words_over_a_reply_that_cannot_be_interrupted_are_kept(call_memory: CallMemory):
    """LiveKit drops them.

    They are stored, marked, before the next turn's; and they are remembered in the next call.
    """
    model = ThinkingLLM("Fine.")
    async with (
        Capture(call_memory) as capture,
        voice_session(sofa(), model, call=call_memory, listeners=[capture]) as voice,
    ):
        warning = voice.session.say(
            "Please listen to this warning to its very end.", allow_interruptions=False
        )
        await asyncio.wait_for(voice.speaker.sounding.wait(), 10)
        await voice.ears.say("I am allergic to peanuts.")
        await warning
        await voice.ask("Good morning.")
    assert said(await stored(call_memory)) == [
        ("assistant", "Please listen to this warning to its very end.", False),
        ("user", "I am allergic to peanuts.", True),
        ("user", "Good morning.", False),
        ("assistant", "Fine.", False),
    ]
    again = await call_memory.memory.open_call(replace(call_memory.caller, call_id=uuid4().hex))
    assert "peanuts" in (await again.recall("What am I allergic to?")).block


async def test_words_during_a_hand_off_are_kept(call_memory: CallMemory):
    """One agent is leaving, the next not there yet: what the caller says is not answered, and not lost."""
    leaving, may_leave = asyncio.Event(), asyncio.Event()

    class Sales(Remembers, Agent):
        async def on_enter(self) -> None:
            self.session.say("Sales.")

    class Desk(Remembers, Agent):
        async def on_exit(self) -> None:
            leaving.set()
            await may_leave.wait()

        @function_tool
        async def to_sales(self, context: RunContext) -> Agent:
            """Hand over to sales."""
            return Sales(instructions="Sell.")

    handing_over: Reply = llm.FunctionToolCall(name="to_sales", arguments="{}", call_id="c1")
    model = ThinkingLLM([handing_over])
    desk = Desk(instructions="Direct.")
    async with (
        Capture(call_memory) as capture,
        voice_session(desk, model, call=call_memory, listeners=[capture]) as voice,
    ):
        await voice.ears.say("I want to buy a boat.")
        await asyncio.wait_for(leaving.wait(), 10)
        await voice.ears.say("A red one, by the way.")
        await asyncio.sleep(0.2)
        may_leave.set()
        while "Sales." not in voice.texts("assistant"):
            await asyncio.sleep(0.01)
    turns = said(await stored(call_memory))
    assert ("user", "I want to buy a boat.", False) in turns and (
        "user",
        "A red one, by the way.",
        True,
    ) in turns


@pytest.mark.timeout(300)  # 200 turns in real time: 25 s on a machine with nothing else to do
async def test_two_hundred_interrupted_turns_leave_nothing_behind(memory: Memory, call_memory: CallMemory):
    """No task, lookup, timer or connection is left, and every word of the caller is stored, once."""
    model = ThinkingLLM(*[LONG] * (TURNS + 1))
    call = Call(call_memory)
    before = set(asyncio.all_tasks())
    async with Capture(call_memory) as capture:
        ahead = Prefetch(call)
        async with voice_session(sofa(), model, call=call, listeners=[capture, ahead]) as voice:
            for number in range(TURNS):
                await voice.ears.say(f"Tell me of the town number {number}", word_s=0.001)
                await asyncio.wait_for(voice.speaker.sounding.wait(), 10)
                # mostly at the first sound, at times some words later
                await asyncio.sleep(0.2 if number % 10 == 0 else 0.0)
            await capture.drained()
    await call_memory.end()
    while memory.recorder._tasks:  # the vectors of the last turns
        await asyncio.wait(memory.recorder._tasks)
    turns = await stored(call_memory)
    assert [turn.text for turn in turns if turn.role == "user"] == [
        f"Tell me of the town number {number}" for number in range(TURNS)
    ]
    replies = [turn for turn in turns if turn.role == "assistant"]
    assert len(replies) >= TURNS // 10 and all(
        turn.interrupted and LONG.startswith(turn.text.strip()) for turn in replies
    )
    assert ahead.counts.hit + ahead.counts.late == TURNS
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()
    assert not memory.recaller._asked and not memory.recaller._tasks
    pool = memory.db._pool
    assert not memory.db._running and pool is not None and pool.get_idle_size() == pool.get_size()
