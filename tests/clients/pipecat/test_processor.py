"""The processor alone, in Pipecat's own `run_test`: which frames it changes, and what a fault costs."""

import inspect
import random
import re

import pytest
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    LLMContextAssistantTurnFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    TextFrame,
    TranscriptionFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMSpecificMessage
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import SleepFrame, run_test

import echoic
import echoic.testing
from echoic.agent.pipecat.context import bare, put_block, unanswered, words_of
from echoic.memory.config import MemorySettings
from echoic.memory.recall.prompt import CLOSE, LABEL, OPEN
from echoic.pipecat import EchoicMemory

BLOCK = f"{OPEN}\n{LABEL}\nKnown about the caller:\n- Has a dog. (said today)\n{CLOSE}\n"
QUESTION = "What is my dog called?"


@pytest.fixture
async def memory():
    """In this process, with a fact: what is tested here is where things stand, not how they are stored."""
    memory = echoic.testing.memory(MemorySettings(recall_budget_ms=5_000))
    await memory.learn("maya", "Has a dog called Biscuit")
    return memory


def user(content):
    return {"role": "user", "content": content}


async def shown(memory, *messages, speculation=False, user_id="maya"):
    """The context after one run, and the memory that saw it."""
    context, processor = LLMContext(list(messages)), EchoicMemory(user_id, memory=memory)
    down, _ = await run_test(
        processor,
        frames_to_send=[LLMContextFrame(context, speculation=speculation)],
        expected_down_frames=[LLMContextFrame],
        expected_up_frames=[],
        send_end_frame=True,
    )
    assert down[0].context is context and down[0].speculation is speculation
    return processor, down[0]


class Shown:
    """A context frame that tells what it held when it went on: at the end the block is taken out again."""

    def __init__(self, monkeypatch):
        self.contents = []
        push = EchoicMemory.push_frame

        async def note(processor, frame, direction=FrameDirection.DOWNSTREAM):
            if isinstance(frame, LLMContextFrame):
                self.contents.append([words(one) for one in frame.context.get_messages()])
            await push(processor, frame, direction)

        monkeypatch.setattr(EchoicMemory, "push_frame", note)


def words(message):
    return message if isinstance(message, LLMSpecificMessage) else message.get("content")


@pytest.fixture
def seen(monkeypatch):
    return Shown(monkeypatch)


async def test_a_block_stands_before_the_words(memory, seen):
    """One message, so that roles still take turns; nobody who holds the caller's message finds it changed."""
    question = user(QUESTION)
    await shown(memory, question)
    ((content,),) = seen.contents
    assert content.startswith(OPEN) and content.endswith(QUESTION) and "Biscuit" in content
    assert question == user(QUESTION)


async def test_words_in_parts_and_messages_of_one_service(memory, seen):
    """A picture with words is asked for by its words; what only one service understands is left alone."""
    own = LLMSpecificMessage("google", {"thought": "x"})
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    await shown(memory, user([{"type": "text", "text": QUESTION}, picture]), own)
    content, other = seen.contents[0]
    assert other is own and content[1:] == [{"type": "text", "text": QUESTION}, picture]
    assert "Biscuit" in content[0]["text"]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "developer", "content": "Greet the caller."}],
        [user(QUESTION), {"role": "assistant", "content": "Biscuit."}],
        [user([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}])],
        [user("")],
        [user(None)],
        [{"role": "user"}],
        [LLMSpecificMessage("google", {"role": "user"})],
    ],
)
async def test_nothing_to_ask_changes_nothing(memory, seen, messages):
    """Nobody said anything that waits for an answer, or nothing in words."""
    before = [dict(one) if isinstance(one, dict) else one for one in messages]
    _, frame = await shown(memory, *messages)
    assert frame.context.get_messages() == before and OPEN not in str(seen.contents)


async def test_a_guess_at_an_unfinished_turn_is_enriched_and_not_stored(memory, seen):
    """It has a context of its own, and what is in it was perhaps never said."""
    processor, _ = await shown(memory, user(QUESTION), speculation=True)
    assert "Biscuit" in seen.contents[0][0] and "Biscuit" in processor.last_recall.block
    assert echoic.testing.remembered(memory, "maya") == []


async def test_turns_are_stored_once_with_their_dates(memory):
    """Without aggregators beside it the broadcast frames are taken; a copy each way is one turn."""
    down, up = (LLMContextUserTurnFrame(QUESTION, "2026-11-01T10:00:00+00:00") for _ in range(2))
    down.broadcast_sibling_id, up.broadcast_sibling_id = up.id, down.id
    answer = LLMContextAssistantTurnFrame("Biscuit.", "no date")
    await run_test(
        EchoicMemory("maya", memory=memory, scope="desk"),
        frames_to_send=[down, up, answer, LLMContextUserTurnFrame("  ", "")],
        expected_down_frames=[LLMContextUserTurnFrame] * 2
        + [LLMContextAssistantTurnFrame, LLMContextUserTurnFrame],
    )
    first, second = echoic.testing.remembered(memory, "maya")
    assert (first.text, first.role, first.agent_id) == (QUESTION, "user", "desk")
    assert (first.position, second.position) == (0, 1)
    assert first.said_at.isoformat() == "2026-11-01T10:00:00+00:00" and second.text == "Biscuit."


async def test_frames_go_on_in_their_direction(memory, seen):
    """Upstream a context asks no model: it is left as it is."""
    context = LLMContext([user(QUESTION)])
    sent = [TextFrame("x"), LLMContextFrame(context), LLMContextAssistantTurnFrame("Biscuit.", "")]
    _, up = await run_test(
        EchoicMemory("maya", memory=memory),
        frames_to_send=[*sent, SleepFrame(0.05)],
        frames_to_send_direction=FrameDirection.UPSTREAM,
        expected_down_frames=[],
        expected_up_frames=[type(frame) for frame in sent],
    )
    assert up == sent and seen.contents == [[QUESTION]]
    assert [turn.text for turn in echoic.testing.remembered(memory, "maya")] == ["Biscuit."]


async def test_faults_of_memory_cost_no_frame_and_say_no_word(memory, monkeypatch, caplog):
    """A recall, a lookup ahead and a store that raise: every frame goes on; the log names the kind only."""

    def broken(*_, **__):
        raise ValueError(QUESTION)

    for name in ("recall", "prefetch"):
        monkeypatch.setattr(memory.recaller, name, broken)
    monkeypatch.setattr(memory.recorder, "record", broken)
    heard = [cls("My dog", "caller", "") for cls in (InterimTranscriptionFrame, TranscriptionFrame)]
    asked = LLMContextFrame(LLMContext([user(f"{BLOCK}What was asked before?"), user(QUESTION)]))
    sent = [*heard, LLMContextUserTurnFrame(QUESTION, ""), asked, TextFrame("x")]
    await run_test(
        EchoicMemory("maya", memory=memory),
        frames_to_send=sent,
        expected_down_frames=[type(frame) for frame in sent],
        expected_up_frames=[],
    )
    assert OPEN not in str(asked.context.get_messages())
    assert "memory_broke" in caplog.text and "turn.lost" in caplog.text
    assert all(QUESTION not in str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("user_id", ["", " ", "x" * 300])
def test_an_impossible_user_is_refused_before_the_pipeline(user_id, memory):
    """Where the application can still do something about it."""
    with pytest.raises(echoic.ConfigInvalid):
        EchoicMemory(user_id, memory=memory)


def test_a_wrong_setting_is_a_sentence(monkeypatch):
    """Also where no settings are passed."""
    monkeypatch.setenv("ECHOIC_RECALL_BUDGET_MS", "soon")
    with pytest.raises(echoic.ConfigInvalid, match="ECHOIC_RECALL_BUDGET_MS"):
        EchoicMemory("maya")


def test_no_name_of_pipecats_is_ours_too():
    """A newer Pipecat may take one: what it keeps there would be overwritten."""
    theirs = {*dir(FrameProcessor), *vars(FrameProcessor())}
    ours = {*vars(EchoicMemory), *re.findall(r"self\.(\w+)", inspect.getsource(EchoicMemory))}
    shared = {name for name in ours & theirs if not name.startswith(("__", "_abc"))}
    assert shared == {"process_frame", "push_frame", "setup", "cleanup"}


def test_blocks_come_and_go_and_nothing_else_changes():
    """Whatever a conversation is made of: with a block taken out again, it is what it was."""
    rng = random.Random(7)
    kinds = [
        lambda: user(QUESTION),
        lambda: user([{"type": "text", "text": QUESTION}]),
        lambda: user([{"type": "image_url"}, {"type": "text", "text": "and this?"}]),
        lambda: {"role": "assistant", "content": "Yes."},
        lambda: {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        lambda: {"role": "tool", "tool_call_id": "1", "content": "{}"},
        lambda: {"role": "developer", "content": "Be brief."},
        lambda: LLMSpecificMessage("google", {"role": "user"}),
    ]
    blocks = 0
    for _ in range(500):
        messages = [rng.choice(kinds)() for _ in range(rng.randrange(8))]
        context = LLMContext(list(messages))
        for _ in range(3):
            at = unanswered(context.get_messages())
            put_block(context, BLOCK, at)
            held = str([words(one) for one in context.get_messages()]).count(LABEL)
            assert held == (at is not None) and len(context.get_messages()) == len(messages)
            blocks += held
        assert [words_of(one) for one in context.get_messages()] == [words_of(one) for one in messages]
        assert [bare(one) for one in context.get_messages()] == messages
        put_block(context, "")
        assert context.get_messages() == messages
    assert blocks > 500
