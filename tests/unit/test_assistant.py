"""Where the memory block goes, and never goes; with the real AgentSession and a scripted model."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from livekit.agents import Agent, ModelSettings, RunContext, function_tool, llm

from echoic.agent.assistant import MemoryAgent, Remembers
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.call.registry import call_of
from echoic.agent.conversation import unanswered
from echoic.agent.reply import UNREACHED
from echoic.memory.types import Fact, Turn
from tests.agents import FakeCallMemory, ScriptedLLM, text_session

BLOCK = "<memory>\n- The dog is called Biscuit\n</memory>\n"


def memory_agent(**options: Any) -> MemoryAgent:
    return MemoryAgent(**{"instructions": "Be kind.", "context_tokens": 2_000} | options)


async def test_block_stands_before_the_callers_words_in_this_call_only():
    """It leads the last user message; history never has it, and the system prompt stays byte-stable."""
    model, memory = ScriptedLLM("Hello.", "Biscuit."), FakeCallMemory()
    async with text_session(model, memory) as session:
        await session.start(memory_agent(), record=False)
        await session.run(user_input="I am Maya.")
        await session.run(user_input="What is my dog called?")
        history = [item.text_content for item in session.history.items if item.type == "message"]
    assert model.texts(0) == ["Be kind.", f"{BLOCK}\nI am Maya."]
    assert model.texts(1) == ["Be kind.", "I am Maya.", "Hello.", f"{BLOCK}\nWhat is my dog called?"]
    assert history == ["I am Maya.", "Hello.", "What is my dog called?", "Biscuit."]


async def test_memory_is_told_what_the_model_sees_anyway():
    """The ids of the context's messages, this one's included, and the words before these."""
    model, memory = ScriptedLLM("Hello.", "Biscuit."), FakeCallMemory()
    async with text_session(model, memory) as session:
        await session.start(memory_agent(), record=False)
        await session.run(user_input="I am Maya.")
        await session.run(user_input="and my dog?")
        messages = {item.id for item in session.history.items if item.type == "message"}
    assert memory.asked[0]["previous"] == "" and memory.asked[1]["previous"] == "I am Maya."
    assert len(memory.asked[1]["context"] & messages) == 3


async def test_block_does_not_stack_up_on_tool_steps():
    """A tool step asks again for the same words and carries one block, not two."""

    class WithTool(MemoryAgent):
        @function_tool
        async def look_up(self, context: RunContext) -> str:
            """Look something up."""
            return "42"

    call = llm.FunctionToolCall(name="look_up", arguments="{}", call_id="c1")
    model, memory = ScriptedLLM(["Let me look. ", call], "It is 42."), FakeCallMemory()
    async with text_session(model, memory) as session:
        await session.start(WithTool(instructions="Be kind.", context_tokens=2_000), record=False)
        await session.run(user_input="What is the answer?")
    assert [sum(text.count("<memory>") for text in model.texts(call)) for call in (0, 1)] == [1, 1]
    assert [asked["text"] for asked in memory.asked] == ["What is the answer?"] * 2


async def test_nothing_is_recalled_for_words_that_were_answered():
    """`generate_reply(instructions=)` after an answer: the last user message is an old one."""
    model, memory = ScriptedLLM("Hello.", "Still there?"), FakeCallMemory()
    async with text_session(model, memory) as session:
        await session.start(memory_agent(), record=False)
        await session.run(user_input="I am Maya.")
        await session.generate_reply(instructions="Ask whether they are still there.")
    assert len(memory.asked) == 1
    assert "<memory>" not in "".join(model.texts(1))


@pytest.mark.parametrize("fault", [RuntimeError("defect"), TimeoutError(), OSError("gone")])
async def test_a_fault_in_memory_does_not_cost_the_reply(fault: Exception):
    """Whatever breaks, the model is asked, with the caller's words alone."""
    model, memory = ScriptedLLM("Hello."), FakeCallMemory(fault=fault)
    async with text_session(model, memory) as session:
        await session.start(memory_agent(), record=False)
        result = await session.run(user_input="I am Maya.")
        result.expect.next_event().is_message(role="assistant")
    assert model.texts() == ["Be kind.", "I am Maya."]
    assert call_of(session).recalls.last is UNREACHED


async def test_a_recall_is_counted_when_its_reply_has_ended(monkeypatch: pytest.MonkeyPatch):
    """Broken off, too; no caller waits for what is counted and traced."""
    counted: list[str] = []
    monkeypatch.setattr("echoic.agent.reply.record_recall", lambda *_, words, **__: counted.append(words))
    agent = memory_agent()
    async with text_session(ScriptedLLM("Hello."), FakeCallMemory()) as session:
        await session.start(agent, record=False)
        context = agent.chat_ctx.copy()
        context.add_message(role="user", content="I am Maya.")
        reply = agent.llm_node(context, [], ModelSettings())
        assert await anext(reply) and not counted
        await reply.aclose()
    assert counted == ["I am Maya."]


async def test_an_agent_without_memory_still_replies():
    """Nobody gave the session a memory: a mistake of the application's, which its callers do not pay for."""
    model = ScriptedLLM("Hello.")
    async with text_session(model) as session:
        await session.start(memory_agent(), record=False)
        (await session.run(user_input="I am Maya.")).expect.next_event().is_message(role="assistant")


async def test_every_agent_of_a_hand_off_chain_remembers():
    """An application's own agents find the session's memory, with the context before them or without."""

    class Sales(Remembers, Agent):
        pass

    class Desk(Remembers, Agent):
        @function_tool
        async def to_sales(self, context: RunContext) -> Agent:
            """Hand over to sales."""
            return Sales(instructions="Sell.")

    call = llm.FunctionToolCall(name="to_sales", arguments="{}", call_id="c1")
    model, memory = ScriptedLLM(call, "Hello from sales.", "Biscuit."), FakeCallMemory()
    async with Capture(memory) as capture, text_session(model, call=Call(memory)) as session:
        capture.listen(session)
        await session.start(Desk(instructions="Direct."), record=False)
        await session.run(user_input="I want to buy.")
        await session.run(user_input="What is my dog called?")
        assert isinstance(session.current_agent, Sales)
        await capture.drained()
    assert model.texts()[0] == "Sell." and model.texts()[-1] == f"{BLOCK}\nWhat is my dog called?"
    assert memory.recorded[0].text == "I want to buy."
    assert all("<memory>" not in turn.text for turn in memory.recorded)


async def test_a_known_caller_is_greeted_if_the_setting_says_so():
    """The greeting is asked for with what is known, and nothing of it becomes history."""
    model, memory = ScriptedLLM("Welcome back, Maya."), FakeCallMemory()
    memory.recent.load(
        [Turn(uuid4(), "maya", "echoic", "old", 0, "user", "My dog is called Biscuit.", datetime.now(UTC))],
        [],
    )
    async with text_session(model, memory) as session:
        agent = memory_agent(greet_on_return=True)
        await session.start(agent, record=False)
        assert await agent.wait_greeted() is not None
        history = [item.text_content for item in session.history.items if item.type == "message"]
    assert "Biscuit" in model.texts()[-1] and history == ["Welcome back, Maya."]


async def test_any_agents_greeting_is_told_what_is_due():
    """Once, in the first prompt of the call: an agent of one's own, and Echoic's, which shows all."""

    class Desk(Remembers, Agent):
        async def on_enter(self) -> None:
            await self.session.generate_reply(instructions="Greet the caller.")

    for agent in (Desk(instructions="Be kind."), memory_agent(greet_on_return=True)):
        model, memory = ScriptedLLM("About the boiler.", "Biscuit."), FakeCallMemory()
        now = datetime.now(UTC)
        dated = {"kind": "promise", "due": now - timedelta(days=1)}
        whose = ("maya", "Call back about the boiler", "promises", 0.5, "agent", "echoic", now)
        memory.recent.load([], [Fact(uuid4(), *whose, **dated)])
        async with text_session(model, memory) as session:
            await session.start(agent, record=False)
            await agent.wait_greeted() if isinstance(agent, MemoryAgent) else None
            await session.run(user_input="What is my dog called?")
        assert "\n".join(model.texts(0)).count("boiler") == 1
        assert "boiler" not in "\n".join(model.texts(1)[:1])


async def test_a_stranger_is_not_greeted():
    """There is nothing to greet with: the caller speaks first."""
    model, memory = ScriptedLLM("Hello."), FakeCallMemory()
    async with text_session(model, memory) as session:
        agent = memory_agent(greet_on_return=True)
        await session.start(agent, record=False)
        assert await agent.wait_greeted() is None
    assert model.seen == []


def test_unanswered_words():
    """A tool's result is no answer, and neither is what was said before the tool was called."""
    context = llm.ChatContext.empty()
    assert unanswered(context.items) is None
    context.add_message(role="system", content="Be kind.")
    context.add_message(role="user", content="Look it up.")
    assert unanswered(context.items) == 1
    context.add_message(role="assistant", content="One moment.")
    assert unanswered(context.items) is None
    context.items.append(llm.FunctionCall(call_id="1", name="look", arguments="{}"))
    context.items.append(llm.FunctionCallOutput(call_id="1", name="look", output="42", is_error=False))
    assert unanswered(context.items) == 1
    context.add_message(role="assistant", content="42.")
    assert unanswered(context.items) is None
