"""What becomes a turn: committed messages only, once each, in order, as they were heard; and nothing is dropped when storing fails."""

import asyncio
from datetime import UTC, datetime

import pytest
from livekit.agents import ConversationItemAddedEvent, llm

from agent.assistant import MemoryAgent
from agent.capture import Capture
from agent.config import AgentSettings
from agent.model import connect_options
from agent.text_call import TextCall, open_text_call
from memory.errors import StoreUnavailable
from memory.types import Turn
from tests.agents import FakeCallMemory, ScriptedLLM


def event(item: object) -> ConversationItemAddedEvent:
    return ConversationItemAddedEvent.model_construct(item=item)


def message(text: str, role: str = "user", **fields: object) -> llm.ChatMessage:
    return llm.ChatMessage(role=role, content=[text], **fields)


async def test_an_item_is_stored_once_with_its_time_and_order():
    """The same event twice is one turn; the words were said when LiveKit says they were."""
    memory, stored = FakeCallMemory(), list[Turn]()
    async with Capture(memory, on_stored=lambda turn, _ms: stored.append(turn)) as capture:
        first, second = message("I am Maya.", created_at=1_763_720_000.5), message("Hello.", "assistant", interrupted=True)
        for item in (first, second, first):
            capture.on_item(event(item))
        await capture.drained()
    assert [(turn.role, turn.text, turn.interrupted) for turn in stored] == [("user", "I am Maya.", False), ("assistant", "Hello.", True)]
    assert stored[0].said_at == datetime.fromtimestamp(1_763_720_000.5, UTC)


async def test_what_is_not_spoken_is_not_a_turn():
    """Hand-offs, tool calls, instructions and empty messages."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        for item in (llm.AgentHandoff(new_agent_id="sales"), message("Be kind.", "system"), message("")):
            capture.on_item(event(item))
    assert memory.recorded == []


async def test_turns_that_cannot_be_stored_are_tried_again_in_order():
    """Database and disk both refuse for a while: the words wait in memory, and go first when it works again."""
    memory = FakeCallMemory()
    memory.refuse = lambda: StoreUnavailable("The disk is full.")
    async with Capture(memory) as capture:
        for text in ("one", "two"):
            capture.on_item(event(message(text)))
        await capture.drained()
        assert capture.unsaved == 2 and str(capture.fault) == "The disk is full."
        memory.refuse = lambda: None
        capture.on_item(event(message("three")))
        await capture.drained()
        assert capture.unsaved == 0 and capture.fault is None
    assert [turn.text for turn in memory.recorded] == ["one", "two", "three"]


async def test_leaving_tries_once_more():
    """The last turn of a call has no next one to be stored with."""
    memory = FakeCallMemory()
    memory.refuse = lambda: StoreUnavailable("The disk is full.")
    async with Capture(memory) as capture:
        capture.on_item(event(message("one")))
        await capture.drained()
        memory.refuse = lambda: None
    assert [turn.text for turn in memory.recorded] == ["one"]


async def test_a_reply_that_was_cut_off_is_stored_as_far_as_it_was_heard():
    """The caller interrupts: the turn holds the words that came out, and is marked."""
    spoken = asyncio.Event()
    memory, heard = FakeCallMemory(), list[str]()

    class Slow(ScriptedLLM):
        def chat(self, **kwargs):  # type: ignore[no-untyped-def]
            stream = super().chat(**kwargs)
            run = stream._run

            async def then_wait() -> None:
                await run()
                await spoken.wait()

            stream._run = then_wait
            return stream

    def sink(words: str) -> None:
        heard.append(words)
        call.interrupt()

    agent = MemoryAgent(instructions="Be kind.", context_tokens=2_000)
    async with open_text_call(memory, agent, Slow(["Once upon a time "]), sink=sink, patience=connect_options(AgentSettings())) as call:
        answer = await call.ask("Tell me a story.")
    assert heard == ["Once upon a time "]
    assert [(turn.role, turn.text.strip(), turn.interrupted) for turn in answer.turns] == [
        ("user", "Tell me a story.", False),
        ("assistant", "Once upon a time", True),
    ]
    assert memory.ended == 1


@pytest.mark.parametrize("block", ["", "<memory>\n- x\n</memory>\n"])
async def test_a_recalled_block_never_becomes_a_stored_turn(block: str):
    """What is learned from is what was said, not what was put beside it."""
    memory = FakeCallMemory(block=block)
    agent = MemoryAgent(instructions="Be kind.", context_tokens=2_000)
    call: TextCall
    async with open_text_call(memory, agent, ScriptedLLM("Hello."), sink=lambda _: None, patience=connect_options(AgentSettings())) as call:
        answer = await call.ask("I am Maya.")
    assert [turn.text for turn in answer.turns] == ["I am Maya.", "Hello."]
    assert answer.reply == "Hello." and answer.recall.block == block
