"""What becomes a turn: committed messages only, once each, in order, as heard, and none is dropped."""

import asyncio
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from livekit.agents import ConversationItemAddedEvent, UserInputTranscribedEvent, llm

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call import capture as capture_module
from echoic.agent.call.capture import Capture
from echoic.agent.call.text_call import TextCall, open_text_call
from echoic.agent.config import AgentSettings
from echoic.agent.model import connect_options
from echoic.memory.errors import StoreUnavailable
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Caller, Turn
from tests.agents import FakeCallMemory, ScriptedLLM


def event(item: object) -> ConversationItemAddedEvent:
    return ConversationItemAddedEvent.model_construct(item=item)


def message(text: str, role: str = "user", **fields: object) -> llm.ChatMessage:
    return llm.ChatMessage(role=role, content=[text], **fields)


def final(text: str, at: float | None = None) -> UserInputTranscribedEvent:
    return UserInputTranscribedEvent(transcript=text, is_final=True, created_at=at or time.time())


def spoken(text: str, **fields: object) -> ConversationItemAddedEvent:
    return event(message(text, transcript_confidence=0.9, **fields))


def kept(memory: FakeCallMemory) -> list[tuple[str, bool]]:
    return [(turn.text, turn.interrupted) for turn in memory.recorded]


async def test_an_item_is_stored_once_with_its_time_and_order():
    """The same event twice is one turn; the words were said when LiveKit says they were."""
    memory, stored = FakeCallMemory(), list[Turn]()
    async with Capture(memory, on_stored=lambda turn, _ms: stored.append(turn)) as capture:
        first, second = (
            message("I am Maya.", created_at=1_763_720_000.5),
            message("Hello.", "assistant", interrupted=True),
        )
        for item in (first, second, first):
            capture.on_item(event(item))
        await capture.drained()
    assert [(turn.role, turn.text, turn.interrupted) for turn in stored] == [
        ("user", "I am Maya.", False),
        ("assistant", "Hello.", True),
    ]
    assert stored[0].said_at == datetime.fromtimestamp(1_763_720_000.5, UTC)


async def test_what_is_not_spoken_is_not_a_turn():
    """Hand-offs, tool calls, instructions and empty messages."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        for item in (llm.AgentHandoff(new_agent_id="sales"), message("Be kind.", "system"), message("")):
            capture.on_item(event(item))
    assert memory.recorded == []


async def test_turns_that_cannot_be_stored_are_tried_again_in_order():
    """Database and disk both refuse for a while: the words wait in memory, and go first afterwards."""
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
    async with open_text_call(
        memory, agent, Slow(["Once upon a time "]), sink=sink, patience=connect_options(AgentSettings())
    ) as call:
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
    async with open_text_call(
        memory, agent, ScriptedLLM("Hello."), sink=lambda _: None, patience=connect_options(AgentSettings())
    ) as call:
        answer = await call.ask("I am Maya.")
    assert [turn.text for turn in answer.turns] == ["I am Maya.", "Hello."]
    assert answer.reply == "Hello." and answer.recall.block == block


async def test_words_that_become_an_item_are_stored_once():
    """One item of two final transcripts; written differently, it is still the same words."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        capture.on_transcribed(final("My sister lives in Porto."))
        capture.on_transcribed(final("What is she called?"))
        capture.on_item(spoken("my sister lives in porto. What is she called"))
    assert kept(memory) == [("my sister lives in porto. What is she called", False)]


async def test_words_that_an_item_leaves_behind_are_kept():
    """Spoken over a reply that could not be interrupted: LiveKit drops them, memory does not.

    They come first, and are marked.
    """
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        capture.on_transcribed(final("Wait, I am allergic to nuts.", at=1_763_720_000.5))
        capture.on_transcribed(final("yes"))
        capture.on_transcribed(final("yes"))
        capture.on_item(spoken("yes"))
        await capture.drained()
        assert kept(memory) == [("Wait, I am allergic to nuts. yes", True), ("yes", False)]
    assert memory.recorded[0].role == "user" and memory.recorded[0].said_at == datetime.fromtimestamp(
        1_763_720_000.5, UTC
    )


async def test_words_that_no_item_follows_are_kept_at_the_end():
    """The caller hangs up during a hand-off."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        capture.on_transcribed(final("I am allergic to nuts."))
    assert kept(memory) == [("I am allergic to nuts.", True)]


async def test_words_that_no_item_follows_end_the_conversation():
    """Under the id by which they are stored; what the caller before them said is not theirs."""
    ana, bob = FakeCallMemory(), FakeCallMemory(caller=Caller("bob", "echoic", "1"))
    async with Capture(ana) as capture:
        capture._session = SimpleNamespace(history=llm.ChatContext([message("Hello.")]))
        capture.on_transcribed(final("Stop remembering me."))
        capture.switch_memory(bob)
        assert [item.text_content for item in capture.conversation()] == ["Hello."]
        capture.on_transcribed(final("I am Bob."))
        capture.keep_unanswered()
        await capture.drained()
        last = capture.conversation()[-1]
    assert (last.text_content, turn_id_for("1", last.id)) == ("I am Bob.", bob.recorded[0].turn_id)


async def test_words_are_kept_after_a_silence_and_not_again_with_a_late_item(monkeypatch: pytest.MonkeyPatch):
    """A process that dies must not take them along; an item that comes after all adds what is new in it."""
    monkeypatch.setattr(capture_module, "UNANSWERED_AFTER_S", 0.01)
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        capture._session = SimpleNamespace(user_state="speaking")
        capture.on_transcribed(final("I am allergic to nuts."))
        await asyncio.sleep(0.03)
        assert memory.recorded == []  # still speaking, with an ear that has no partial words
        capture._session.user_state = "listening"
        await asyncio.sleep(0.03)
        capture.on_transcribed(final("And to fish."))
        capture.on_item(spoken("I am allergic to nuts. And to fish."))
        capture.on_item(spoken("Thanks."))
    assert kept(memory) == [("I am allergic to nuts.", True), ("And to fish.", False), ("Thanks.", False)]


async def test_words_that_the_application_changed_are_stored_as_it_changed_them():
    """A hook that blackens a card number: the number must not come in by the back door."""
    memory, now = FakeCallMemory(), time.time()
    async with Capture(memory) as capture:
        capture.on_transcribed(final("Hello?", at=now - 30))
        capture.on_transcribed(final("My card is 4111.", at=now - 2))
        capture.on_item(spoken("My card is ****.", metrics={"started_speaking_at": now - 4}))
    assert kept(memory) == [("Hello?", True), ("My card is ****.", False)]


async def test_an_item_that_names_no_confidence_is_what_was_heard():
    """Until livekit-agents 1.7 a speech-to-speech model's transcripts have none, as typed words."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        for words in ("I am Maya.", "I have a dog."):
            capture.on_transcribed(final(words))
            capture.on_item(event(message(words)))
    assert kept(memory) == [("I am Maya.", False), ("I have a dog.", False)]


async def test_typed_words_leave_spoken_ones_alone():
    """Somebody writes while they speak: both are kept."""
    memory = FakeCallMemory()
    async with Capture(memory) as capture:
        capture.on_transcribed(final("I am Maya."))
        capture.on_item(event(message("what is the time")))
        capture.on_item(spoken("I am Maya."))
    assert kept(memory) == [("what is the time", False), ("I am Maya.", False)]


async def test_another_person_speaks():
    """What was heard before the change is stored for the one before, and nothing of it for the next.

    Not even where LiveKit makes its item only after the change, or after two: words that were heard, and a
    reply that was cut off by it.
    """
    ana, bob, eve = FakeCallMemory(), FakeCallMemory(), FakeCallMemory()
    async with Capture(ana) as capture:
        capture.on_item(spoken("I am Ana."))
        reply = message("Hello Ana, your", "assistant", interrupted=True)
        capture.on_transcribed(final("My code is 42."))
        await capture.switch_memory_and_flush(eve)
        await capture.switch_memory_and_flush(bob)
        assert kept(ana) == [("I am Ana.", False), ("My code is 42.", True)]
        capture.on_item(event(reply))
        capture.on_item(spoken("My code is 42."))
        capture.on_item(spoken("I am Bob."))
    assert kept(bob) == [("I am Bob.", False)] and kept(ana)[2:] == [("Hello Ana, your", True)]
    assert kept(eve) == []


async def test_a_monologue_is_one_turn():
    """Ten minutes in six hundred segments: found at once, stored once."""
    memory = FakeCallMemory()
    segments = [f"And then number {number} happened to me." for number in range(600)]
    async with Capture(memory) as capture:
        for segment in segments:
            capture.on_transcribed(final(segment))
        began = time.thread_time()
        capture.on_item(spoken(" ".join(segments)))
        assert time.thread_time() - began < 0.1
    assert kept(memory) == [(" ".join(segments), False)]
