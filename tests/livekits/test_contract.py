"""What `echoic.remember` promises on every livekit-agents that it allows (tests/livekits/run.py).

Only models are scripted. Memory is the in-memory one: stores have tests of their own, on one version.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import livekit.agents
import pytest
from livekit.agents import Agent, AgentTask, RunContext, function_tool, llm

import echoic
import echoic.testing
from tests.livekits.scripted import ScriptedLLM, ScriptedRealtime

Session: Any = getattr(livekit.agents, "LiveSession", livekit.agents.AgentSession)
IS_TWO = livekit.agents.__version__.startswith("2.")


class Assistant(Agent):
    """LiveKit's starter: knows nothing of Echoic."""

    def __init__(self, instructions: str = "You are a helpful voice AI assistant.", **options: Any) -> None:
        super().__init__(instructions=instructions, **options)


@contextlib.asynccontextmanager
async def started(
    memory: Any, model: Any, agent: Agent | None = None, user_id: str = "maya", **options: Any
) -> AsyncIterator[Any]:
    """A running session of `user_id`, as an application makes one."""
    async with Session(llm=model, vad=None, turn_handling={"turn_detection": None}) as session:
        await echoic.remember(session, user_id=user_id, memory=memory, **options)
        await session.start(agent or Assistant())
        yield session


def said(memory: Any, user_id: str = "maya") -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in echoic.testing.remembered(memory, user_id)]


async def test_one_line_remembers_an_unchanged_agent() -> None:
    """Said in one session, in the prompt of the next, and stored once."""
    memory, model = echoic.testing.memory(), ScriptedLLM("Nice name.", "It is Biscuit.")
    async with started(memory, model) as session:
        await session.run(user_input="My dog is called Biscuit.")
    async with started(memory, model) as session:
        await session.run(user_input="What is my dog called?")
        assert "Biscuit" in echoic.testing.recalled(session).block
    assert "My dog is called Biscuit." in model.prompts[1] and "<memory>" in model.prompts[1]
    assert said(memory) == [
        ("user", "My dog is called Biscuit."),
        ("assistant", "Nice name."),
        ("user", "What is my dog called?"),
        ("assistant", "It is Biscuit."),
    ]


async def test_nothing_of_the_block_stays_in_the_conversation() -> None:
    """The next prompt holds one block, and history none."""
    memory, model = echoic.testing.memory(), ScriptedLLM("One.", "Two.", "Three.")
    await memory.learn("maya", "Has a dog called Biscuit")
    async with started(memory, model) as session:
        for words in ("What is my dog called?", "How old is my dog?", "Is my dog big?"):
            await session.run(user_input=words)
        history = [item.text_content or "" for item in session.history.items if item.type == "message"]
    assert [prompt.count("<memory>") for prompt in model.prompts] == [1, 1, 1]
    assert not [text for text in history if "<memory>" in text]


async def test_remembers_as_a_base_class() -> None:
    """The explicit form gives the same, and names a scope."""

    class Sales(echoic.Remembers, Assistant):
        memory_scope = "sales"

    memory, model = echoic.testing.memory(), ScriptedLLM("Fine.", "A red one.")
    async with started(memory, model, Sales()) as session:
        await session.run(user_input="I want a red boat.")
    async with started(memory, model, Sales()) as session:
        await session.run(user_input="Which boat do I want?")
    assert "red boat" in model.prompts[1] and model.prompts[1].count("<memory>") == 1
    assert {turn.agent_id for turn in echoic.testing.remembered(memory, "maya")} == {"sales"}


async def test_an_agent_with_an_llm_node_of_its_own() -> None:
    """It is called with the block in its context, and what it changes counts."""

    class Shouting(Assistant):
        async def llm_node(self, chat_ctx: Any, tools: Any, model_settings: Any) -> AsyncIterator[str]:
            async for chunk in Agent.default.llm_node(self, chat_ctx, tools, model_settings):
                yield chunk.delta.content.upper() if chunk.delta and chunk.delta.content else ""

    memory, model = echoic.testing.memory(), ScriptedLLM("it is biscuit.")
    await memory.learn("maya", "Has a dog called Biscuit")
    async with started(memory, model, Shouting()) as session:
        await session.run(user_input="What is my dog called?")
    assert "<memory>" in model.prompts[0] and said(memory)[-1] == ("assistant", "IT IS BISCUIT.")


async def test_hand_off_between_agents_with_different_scopes() -> None:
    """Each sees what the person said to it, and both see what is known of the person."""

    class Billing(Assistant):
        memory_scope = "billing"

    class Front(Assistant):
        memory_scope = "front"

        @function_tool
        async def to_billing(self, context: RunContext) -> Agent:
            """Hand over to billing."""
            return Billing("You are billing.")

    memory = echoic.testing.memory()
    await memory.learn("maya", "Lives in Porto")
    model = ScriptedLLM("Fine.", llm.FunctionToolCall(name="to_billing", arguments="{}", call_id="c1"))
    async with started(memory, model, Front("You are the front desk.")) as session:
        await session.run(user_input="My parrot is called Kiwi.")
        await session.run(user_input="I have a question about my bill.")
        assert isinstance(session.current_agent, Billing)
        await session.run(user_input="What is my parrot called, and where do I live?")
    assert "Lives in Porto" in model.prompts[-1]
    block = model.prompts[-1].partition("<memory>")[2].partition("</memory>")[0]
    assert "Kiwi" not in block
    scopes = {turn.text: turn.agent_id for turn in echoic.testing.remembered(memory, "maya")}
    assert scopes["My parrot is called Kiwi."] == "front"
    assert scopes["What is my parrot called, and where do I live?"] == "billing"


async def test_an_agent_task_remembers() -> None:
    """A task that an agent awaits speaks with the same memory, and so does the agent afterwards."""

    class AskName(AgentTask[str]):
        def __init__(self) -> None:
            super().__init__(instructions="Ask for the name.")

        @function_tool
        async def got_name(self, context: RunContext, name: str) -> None:
            """The caller said their name."""
            self.complete(name)

    class Desk(Assistant):
        @function_tool
        async def ask(self, context: RunContext) -> str:
            """Ask for the caller's name."""
            return f"Their name is {await AskName()}."

    memory = echoic.testing.memory()
    await memory.learn("maya", "Lives in Porto")
    model = ScriptedLLM(
        llm.FunctionToolCall(name="ask", arguments="{}", call_id="c1"),
        llm.FunctionToolCall(name="got_name", arguments='{"name": "Maya"}', call_id="c2"),
        "Hello Maya.",
        "In Porto.",
    )
    async with started(memory, model, Desk()) as session:
        await session.run(user_input="Please register me.")
        await session.run(user_input="My name is Maya.")
        await session.run(user_input="Where do I live?")
    assert "Lives in Porto" in model.prompts[1] and "Lives in Porto" in model.prompts[-1]
    assert ("user", "My name is Maya.") in said(memory)


async def test_tool_steps_ask_once_for_the_same_words() -> None:
    """Both steps of a turn carry one block, and the user's own tool runs."""

    class WithTool(Assistant):
        @function_tool
        async def look_up(self, context: RunContext) -> str:
            """Look something up."""
            return "42"

    memory, model = (
        echoic.testing.memory(),
        ScriptedLLM(llm.FunctionToolCall(name="look_up", arguments="{}", call_id="c1"), "It is 42."),
    )
    await memory.learn("maya", "Likes numbers")
    async with started(memory, model, WithTool()) as session:
        await session.run(user_input="What is my favourite of all numbers?")
    assert [prompt.count("<memory>") for prompt in model.prompts] == [1, 1]
    assert "42" in model.prompts[1]


async def test_the_model_may_call_memory_tools() -> None:
    """The tools are offered without a change to the agent; what they did is spoken as it is."""
    memory = echoic.testing.memory()
    model = ScriptedLLM(
        "Nice.",
        llm.FunctionToolCall(name="forget_that", arguments='{"about": "my dog"}', call_id="c1"),
    )
    async with started(memory, model) as session:
        await session.run(user_input="My dog is called Biscuit.")
        await session.run(user_input="Please drop whatever concerns the animal.")
    assert "forget_that" in model.tools[0]
    assert not [text for _, text in said(memory) if "Biscuit" in text]
    async with started(memory, ScriptedLLM("Hello."), tools=False) as session:
        await session.run(user_input="Hello there, how are you?")
    assert said(memory)[-1] == ("assistant", "Hello.")


async def test_tools_can_be_turned_off() -> None:
    """`tools=False`: the model is shown the agent's own tools only."""
    memory, model = echoic.testing.memory(), ScriptedLLM("Hello.")
    async with started(memory, model, tools=False) as session:
        await session.run(user_input="Hello there, how are you?")
    assert model.tools == [[]]


async def test_plain_wishes_reach_no_model() -> None:
    """“Forget about my dog” is carried out whichever model answers, and gone from what the model is shown."""
    memory, model = echoic.testing.memory(), ScriptedLLM("Nice.", "I do not know.")
    async with started(memory, model) as session:
        await session.run(user_input="My dog is called Biscuit.")
        await session.run(user_input="Forget about my dog.")
        await session.run(user_input="What is my dog called?")
    assert len(model.prompts) == 2 and "Biscuit" not in model.prompts[1]


async def test_one_agent_object_serves_two_people() -> None:
    """Nothing of a call is on the agent: side by side where LiveKit allows it (2.0), else one after the
    other."""
    memory, agent = echoic.testing.memory(), Assistant()
    await memory.learn("maya", "Has a dog called Biscuit")
    await memory.learn("ben", "Has a cat called Miso")
    if IS_TWO:
        first, second = ScriptedLLM("Biscuit."), ScriptedLLM("Miso.")
        async with started(memory, first, agent) as maya, started(memory, second, agent, "ben") as ben:
            await asyncio.gather(
                maya.run(user_input="What is my animal called?"),
                ben.run(user_input="What is my animal called?"),
            )
    else:
        first, second = ScriptedLLM("Biscuit."), ScriptedLLM("Miso.")
        async with started(memory, first, agent) as maya:
            await maya.run(user_input="What is my animal called?")
            other = Session(llm=second, vad=None, turn_handling={"turn_detection": None})
            async with other as ben:
                await echoic.remember(ben, user_id="ben", memory=memory)
                with contextlib.suppress(RuntimeError):
                    await ben.start(agent)  # LiveKit refuses one agent in two sessions at once
        async with started(memory, second, agent, "ben") as ben:
            await ben.run(user_input="What is my animal called?")
    assert "Biscuit" in first.prompts[0] and "Miso" not in first.prompts[0]
    assert "Miso" in second.prompts[0] and "Biscuit" not in second.prompts[0]
    assert ("assistant", "Biscuit.") in said(memory) and ("assistant", "Miso.") in said(memory, "ben")


async def test_remember_after_start_and_twice() -> None:
    """After `start` it works from the next reply on; a second call gives the same handle."""
    memory, model = echoic.testing.memory(), ScriptedLLM("Fine.")
    await memory.learn("maya", "Has a dog called Biscuit")
    async with Session(llm=model, vad=None, turn_handling={"turn_detection": None}) as session:
        await session.start(Assistant())
        handle = await echoic.remember(session, user_id="maya", memory=memory)
        assert await echoic.remember(session, memory=memory) is handle
        await session.run(user_input="What is my dog called?")
    assert model.prompts[0].count("<memory>") == 1 and len(said(memory)) == 2


async def test_a_caller_becomes_known_during_the_call() -> None:
    """What an anonymous caller said becomes theirs once a tool confirms who they are."""

    class Desk(Assistant):
        @function_tool
        async def say_code(self, context: RunContext, code: str) -> str:
            """The caller says their code."""
            handle = echoic.memory_of(context.session)
            assert handle is not None
            await handle.confirm("maya")
            return "Thank you."

    memory = echoic.testing.memory()
    await memory.learn("maya", "Has a dog called Biscuit")
    model = ScriptedLLM(
        "Who are you?",
        llm.FunctionToolCall(name="say_code", arguments='{"code": "1"}', call_id="c1"),
        "Hello Maya.",
        "Biscuit.",
    )
    async with Session(llm=model, vad=None, turn_handling={"turn_detection": None}) as session:
        handle = await echoic.remember(session, memory=memory)
        await session.start(Desk())
        assert handle.user_id.startswith("anonymous:")
        await session.run(user_input="I moved to Lisbon.")
        await session.run(user_input="My code is one.")
        await session.run(user_input="What is my dog called?")
        assert handle.user_id == "maya"
    assert "Biscuit" not in model.prompts[0] and "Biscuit" in model.prompts[-1]
    assert ("user", "I moved to Lisbon.") in said(memory)


async def test_a_speech_to_speech_model_is_told_by_its_instructions() -> None:
    """What is known stands in its instructions from the start, and is renewed after the words."""
    memory, model = echoic.testing.memory(), ScriptedRealtime("It is Biscuit.")
    await memory.learn("maya", "Has a dog called Biscuit")
    async with started(memory, model) as session:
        await model.wait_told("Biscuit")
        await session.run(user_input="What is my dog called?")
        await session.drain() if hasattr(session, "drain") else None
    assert model.told[0].startswith("You are a helpful voice AI assistant.") and "<memory>" in model.told[0]
    assert ("user", "What is my dog called?") in said(memory)


async def test_a_session_without_a_model() -> None:
    """Nothing answers, nothing breaks."""
    memory = echoic.testing.memory()
    async with Session(vad=None, turn_handling={"turn_detection": None}) as session:
        await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Assistant())
    assert said(memory) == []


async def test_the_version_is_checked() -> None:
    """Too old or too new is a sentence that says what to install."""
    from echoic.agent.livekit_api import check_version

    check_version()
    for wrong in ("1.4.6", "3.0.0"):
        with pytest.raises(echoic.ConfigInvalid, match="pip install"):
            check_version(wrong)
