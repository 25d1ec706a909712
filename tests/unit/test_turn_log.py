"""One line a turn, whatever becomes of it: a real session speaks, scripted models answer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, RunContext, function_tool, llm

from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.registry import call_of
from echoic.agent.call.turn_log import TurnLog
from echoic.memory.errors import StoreUnavailable
from echoic.memory.observe.metrics import Stored
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import Recall, TierResult, Turn
from tests.agents import FakeCallMemory, ScriptedLLM, text_session
from tests.voices import ThinkingLLM, voice_session

RECALL = Recall(
    {"recent": TierResult("empty", (), 0.04), "facts": TierResult("late", (), 150.2)}, "", (), 150.3
)
Lines = Callable[[], list[dict[str, Any]]]


class Memory(FakeCallMemory):
    """Tells where each turn was stored, as the recorder does."""

    def __init__(self, stored: Stored = "row") -> None:
        super().__init__()
        self.stored = stored
        self.memory.recorder = SimpleNamespace(watchers=[])  # type: ignore[attr-defined]

    async def record(self, *args: Any, **kwargs: Any) -> Turn:
        turn = await super().record(*args, **kwargs)
        for watcher in self.memory.recorder.watchers:  # type: ignore[attr-defined]
            watcher(turn, self.stored)
        return turn


class Recalls(Agent):
    """Tells the log of each recall, as the agent that remembers does."""

    def __init__(self) -> None:
        super().__init__(instructions="Be kind.")

    async def llm_node(self, chat_ctx: llm.ChatContext, *args: Any) -> AsyncGenerator[Any, None]:
        asked = [item for item in chat_ctx.items if item.type == "message" and item.role == "user"]
        if asked:
            call_of(self.session).turn_log.recalled(asked[-1].id, RECALL)
        async for chunk in Agent.default.llm_node(self, chat_ctx, *args):
            yield chunk

    @function_tool
    async def look_up(self, context: RunContext) -> str:
        """Look something up."""
        return "42"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.INFO, "echoic.turn")
    return lambda: [
        vars(record) for record in caplog.records if record.name == "echoic.turn" and record.message == "turn"
    ]


class Listening(Call):
    """A call with its capture and its log."""

    def __init__(self, memory: Memory, capture: Capture) -> None:
        super().__init__(memory)
        prefetch = SimpleNamespace(outcome="hit", counts=SimpleNamespace(wasted=2))
        self.capture, self.turn_log = capture, TurnLog(self, prefetch)

    def listen(self, session: Any) -> None:
        self.capture.listen(session)
        self.turn_log.listen(session)


async def test_a_turn_is_one_line_with_all_that_matters(lines: Lines) -> None:
    """Ids, tiers, what prefetch was good for, where both sides are stored, LiveKit's times; no words."""
    memory = Memory()
    async with Capture(memory) as capture:
        call = Listening(memory, capture)
        async with voice_session(
            Recalls(), ThinkingLLM("It is Biscuit."), listeners=[call], call=call
        ) as voice:
            await voice.ask("What is my dog called?")
            await capture.drained()
            (line,) = lines()
            item = voice.items("user")[0]
        call.turn_log.finish()
    wanted = {
        "call_id": memory.caller.call_id,
        "agent_id": "echoic",
        "turn_id": str(turn_id_for(memory.caller.call_id, item.id)),
        "by": "caller",
        "recent": "empty",
        "facts": "late",
        "facts_ms": 150.2,
        "used": 0,
        "recall_ms": 150.3,
        "prefetch": "hit",
        "stored": "row",
        "replies": 1,
        "reply_stored": "row",
        "interrupted": False,
    }
    assert {name: line[name] for name in wanted} == wanted
    assert {"llm_ttft_ms", "tts_ttfb_ms", "end_of_turn_ms"} <= line.keys()
    assert "iscuit" not in str(line) and "dog" not in str(line)
    assert len(lines()) == 1


async def test_a_tool_step_is_the_same_turn(lines: Lines) -> None:
    """The agent speaks, looks something up and speaks again: two replies, one line."""
    memory = Memory("spool")
    call = llm.FunctionToolCall(name="look_up", arguments="{}", call_id="c1")
    async with Capture(memory) as capture:
        listening = Listening(memory, capture)
        async with text_session(ScriptedLLM(["Let me look. ", call], "It is 42."), call=listening) as session:
            listening.listen(session)
            await session.start(Recalls(), record=False)
            await session.run(user_input="What is it?")
            await capture.drained()
        listening.turn_log.finish()
    (line,) = lines()
    assert line["replies"] == 2 and line["stored"] == line["reply_stored"] == "spool"


async def test_a_turn_without_a_reply_has_its_line(lines: Lines) -> None:
    """The model fails: the line says that nothing was said."""
    memory = Memory()
    async with Capture(memory) as capture:
        listening = Listening(memory, capture)
        async with text_session(ScriptedLLM(ValueError("broken")), call=listening) as session:
            listening.listen(session)
            await session.start(Recalls(), record=False)
            await session.generate_reply(user_input="What is it?")
            await capture.drained()
        listening.turn_log.finish()
    (line,) = lines()
    assert (
        line["stored"] == "row"
        and line["replies"] == 0
        and line["reply_stored"] == "none"
        and line["facts"] == "late"
    )


async def test_what_the_agent_says_by_itself_is_a_line_too(lines: Lines) -> None:
    """A greeting answers nobody: no recall stands in it."""
    memory = Memory()
    async with Capture(memory) as capture:
        listening = Listening(memory, capture)
        async with text_session(ScriptedLLM("Welcome back.", "Fine."), call=listening) as session:
            listening.listen(session)
            await session.start(Recalls(), record=False)
            await session.generate_reply(instructions="Greet them.")
            await session.run(user_input="How are you?")
            await capture.drained()
        listening.turn_log.finish()
    greeting, turn = lines()
    assert (
        greeting["by"] == "agent"
        and "facts" not in greeting
        and "stored" not in greeting
        and greeting["reply_stored"] == "row"
    )
    assert turn["by"] == "caller" and turn["facts"] == "late"


async def test_barge_in_gives_each_turn_its_own_reply(lines: Lines) -> None:
    """The first reply is cut off, the second is not: two lines, in order, and the cut is in the first."""
    memory = Memory()
    async with Capture(memory) as capture:
        call = Listening(memory, capture)
        model = ThinkingLLM("One two three four five six seven eight nine ten eleven twelve.", "Yes.")
        async with voice_session(Recalls(), model, listeners=[call], call=call) as voice:
            await voice.ears.say("Count for me please.")
            await voice.speaker.sounding.wait()
            await asyncio.sleep(0.3)
            await voice.ears.say("Stop counting now.")
            while len(voice.items("assistant")) < 2:
                await asyncio.sleep(0.01)
            await voice.wait_answered()
            await capture.drained()
            first, second = voice.items("user")
        call.turn_log.finish()
    ids = [str(turn_id_for(memory.caller.call_id, item.id)) for item in (first, second)]
    assert [(line["turn_id"], line["replies"], line["interrupted"]) for line in lines()] == [
        (ids[0], 1, True),
        (ids[1], 1, False),
    ]


async def test_attempts_that_were_thrown_away_get_no_line(lines: Lines) -> None:
    """A reply begun too early is begun again: one turn, one line."""
    memory = Memory()
    async with Capture(memory) as capture:
        call = Listening(memory, capture)
        model = ThinkingLLM("A.", "B.", "C.", thinks_s=0.2)
        async with voice_session(Recalls(), model, listeners=[call], call=call) as voice:
            voice.ears.starts()
            voice.ears.preflight("What is my")
            await asyncio.sleep(0.05)
            voice.ears.preflight("What is my dog called?")
            await asyncio.sleep(0.05)
            voice.ears.final("What is my dog called?")
            voice.ears.ends()
            while not voice.items("assistant"):
                await asyncio.sleep(0.01)
            await voice.wait_answered()
            await capture.drained()
            assert not call.turn_log._turns
        call.turn_log.finish()
    (line,) = lines()
    assert line["replies"] == 1 and len(model.seen) > 1


async def test_a_line_does_not_wait_for_ever(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be stored says so, after a moment; the end of the call writes what still waits."""
    monkeypatch.setattr("echoic.agent.call.turn_log.PATIENCE_S", 0.05)
    memory = Memory()
    memory.refuse = lambda: StoreUnavailable("The disk is full.")
    async with Capture(memory) as capture:
        listening = Listening(memory, capture)
        async with text_session(ScriptedLLM("A.", "B."), call=listening) as session:
            listening.listen(session)
            await session.start(Recalls(), record=False)
            await session.run(user_input="One?")
            async with asyncio.timeout(5):
                while not lines():
                    await asyncio.sleep(0.01)
            monkeypatch.setattr("echoic.agent.call.turn_log.PATIENCE_S", 60)
            await session.run(user_input="Two?")
        listening.turn_log.finish()
        assert not memory.memory.recorder.watchers  # type: ignore[attr-defined]
    assert [(line["stored"], line["reply_stored"]) for line in lines()] == [("none", "none")] * 2
