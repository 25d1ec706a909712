"""Agents that do what LiveKit allows, in their `llm_node`, their tools and their callbacks: they work as they
do without memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import (
    Agent,
    AgentTask,
    ConversationItemAddedEvent,
    ModelSettings,
    RunContext,
    function_tool,
    llm,
)

import echoic
import echoic.testing
from tests.agents import text_session
from tests.livekits.scripted import ScriptedLLM
from tests.voices import ThinkingLLM, voice_session


@contextlib.asynccontextmanager
async def talk(model: llm.LLM, agent: Agent, **options: Any) -> AsyncIterator[Any]:
    """A running session of Maya, who has a dog."""
    memory = echoic.testing.memory()
    await memory.learn("maya", "Has a dog called Biscuit")
    async with text_session(model) as session:
        await echoic.remember(session, user_id="maya", memory=memory, **options)
        await session.start(agent, record=False)
        yield session


def calling(name: str) -> llm.FunctionToolCall:
    return llm.FunctionToolCall(name=name, arguments="{}", call_id="c1")


async def test_a_tool_that_an_llm_node_adds_is_run():
    """LiveKit runs what a node puts into the list it is given: before it answers, or while it does."""

    @function_tool
    async def find_order(context: RunContext) -> str:
        """Find the caller's order."""
        return "It is a red kite."

    class AddsFirst(Agent):
        def llm_node(self, chat_ctx: llm.ChatContext, tools: list[Any], settings: ModelSettings) -> Any:
            tools.append(find_order)
            return Agent.default.llm_node(self, chat_ctx, tools, settings)

    class AddsMeanwhile(Agent):
        async def llm_node(self, chat_ctx: llm.ChatContext, tools: list[Any], settings: ModelSettings) -> Any:
            tools.append(find_order)
            async for chunk in Agent.default.llm_node(self, chat_ctx, tools, settings):
                yield chunk

    for kind in (AddsFirst, AddsMeanwhile):
        model = ScriptedLLM(calling("find_order"), "A red kite.")
        async with talk(model, kind(instructions="Be kind.")) as session:
            await session.run(user_input="Where is the order I made?")
        assert "It is a red kite." in model.prompts[-1]


async def test_a_tool_of_its_own_with_a_name_of_ours_is_the_applications():
    """LiveKit takes no two tools of one name. Its result is for the model to read."""

    class Erasing(Agent):
        @function_tool
        async def forget_everything(self, context: RunContext) -> str:
            """Empty the caller's basket."""
            return '{"emptied": 3}'

    model = ScriptedLLM(calling("forget_everything"), "Your basket is empty.", "Biscuit.")
    async with talk(model, Erasing(instructions="Sell.")) as session:
        await session.run(user_input="Take all things out of my basket.")
        await session.run(user_input="What is my dog called?")
        said = [item.text_content for item in session.history.messages() if item.role == "assistant"]
    assert said == ["Your basket is empty.", "Biscuit."]
    assert "emptied" in model.prompts[1] and "emptied" in model.prompts[2]
    assert model.tools[0].count("forget_everything") == 1 and "forget_that" in model.tools[0]


async def test_a_render_that_gives_no_text_costs_no_reply():
    """None is nothing to show; anything else is a mistake, and the block stands there."""
    for made in (None, 5, ["Biscuit"]):
        model, render = ScriptedLLM("It is Biscuit."), lambda _recall, made=made: made
        async with talk(model, Agent(instructions="Be kind."), render=render) as session:
            await session.run(user_input="What is my dog called?")
            assert session.history.items[-1].text_content == "It is Biscuit."
        assert ("<memory>" in model.prompts[0]) == (made is not None)


class Pages:
    """Something to iterate over, and no more than that."""

    def __init__(self) -> None:
        self._left = ["It is", " Biscuit."]

    def __aiter__(self) -> "Pages":
        return self

    async def __anext__(self) -> str:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


async def test_whatever_an_llm_node_gives_back_is_taken_as_livekit_takes_it():
    """Any asynchronous iterable is the answer, and what is none says nothing: neither is a fault."""
    for given, said in ((Pages, ["It is Biscuit."]), (lambda: {"text": "Biscuit"}, []), (lambda: None, [])):

        class Own(Agent):
            def llm_node(self, *_: Any, given: Any = given) -> Any:
                return given()

        async with talk(ScriptedLLM(), Own(instructions="Be kind.")) as session:
            speech = session.generate_reply(user_input="What is my dog called?")
            await speech
            assert speech.exception() is None
            assert [one.text_content for one in speech.chat_items] == said


async def test_a_session_that_is_given_memory_twice_at_once_has_it_once():
    """Whoever asks while it is being opened gets the same handle; no turn is stored twice."""
    memory = echoic.testing.memory()
    async with text_session(ScriptedLLM("Hello.")) as session:
        given = [echoic.remember(session, user_id="maya", memory=memory) for _ in range(2)]
        one, other = await asyncio.gather(*given)
        assert one is other
        await session.start(Agent(instructions="Be kind."), record=False)
        await session.run(user_input="My dog is called Biscuit.")
    said = echoic.testing.remembered(memory, "maya")
    assert [turn.text for turn in said] == ["My dog is called Biscuit.", "Hello."]


async def test_what_is_told_to_a_task_is_told_to_the_agent_that_awaits_it():
    """LiveKit's own tasks, which ask for a name or an address, have no scope; other agents do not see it."""

    class AskName(AgentTask[str]):
        @function_tool
        async def got_name(self, context: RunContext) -> None:
            """The caller said their name."""
            self.complete("Maya")

    class Pharmacy(Agent):
        memory_scope = "pharmacy"

        @function_tool
        async def register(self, context: RunContext) -> str:
            """Register the caller."""
            return await AskName(instructions="Ask for the name.")

    model = ScriptedLLM(calling("register"), calling("got_name"), "Thank you.", "Goodbye.")
    async with talk(model, Pharmacy(instructions="Sell.")) as session:
        for words in ("I need my insulin.", "My name is Maya Miller.", "That is all for today."):
            await session.run(user_input=words)
        memory = echoic.memory_of(session).call_memory.memory
    said = echoic.testing.remembered(memory, "maya")
    assert len(said) == 5 and {turn.agent_id for turn in said} == {"pharmacy"}


async def test_what_is_said_while_memory_is_closed_does_not_hold_it_open():
    """Its end waits for nothing that nobody stores any more."""
    memory = echoic.testing.memory()
    async with text_session(ScriptedLLM()) as session:
        handle = await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Agent(instructions="Be kind."), record=False)
        closing = asyncio.create_task(handle.close())
        for _ in range(30):
            item = llm.ChatMessage(role="user", content=["One more thing."])
            session.emit("conversation_item_added", ConversationItemAddedEvent(item=item))
            await asyncio.sleep(0)
        await asyncio.wait_for(closing, 20)
    assert echoic.testing.remembered(memory, "maya")


async def test_what_an_agent_looked_up_for_the_words_does_not_answer_them():
    """LiveKit's example of retrieval adds it to the turn in the agent's own name."""

    class LooksUp(Agent):
        async def on_user_turn_completed(
            self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
        ) -> None:
            turn_ctx.add_message(role="assistant", content="Additional information: dogs eat meat.")

    model, memory = ThinkingLLM("Meat.", "Now and then."), echoic.testing.memory()
    await memory.learn("maya", "Has a dog called Biscuit")
    async with voice_session(LooksUp(instructions="Be kind."), model) as voice:
        await echoic.remember(voice.session, user_id="maya", memory=memory)
        await voice.ask("What does my dog eat?")
        await voice.session.generate_reply(instructions="Say how often.")
    assert [text.count("Biscuit") for text in model.texts(-2)] == [0, 1, 0]
    assert "dogs eat meat" in model.texts(-2)[-1] and "Biscuit" not in "".join(model.texts(-1))


async def test_a_wish_is_carried_out_though_instructions_follow_it():
    """They are for the reply: LiveKit puts them behind the caller's words."""
    model = ScriptedLLM("Not asked.")
    async with talk(model, Agent(instructions="Be kind.")) as session:
        await session.generate_reply(user_input="Forget about my dog.", instructions="Be brief.")
        assert session.history.items[-1].text_content == "Done, I have forgotten that."
    assert model.prompts == []


async def test_a_wish_is_answered_by_the_model_where_no_tool_may_run():
    """LiveKit ignores every call in such a reply: nobody was answered."""
    model = ScriptedLLM("Not now.")
    async with talk(model, Agent(instructions="Be kind.")) as session:
        await session.generate_reply(user_input="Forget about my dog.", tool_choice="none")
        assert session.history.items[-1].text_content == "Not now."
    assert "Nothing was deleted" in model.prompts[0]


async def test_a_scope_that_is_none_hides_nobody_who_comes(monkeypatch: pytest.MonkeyPatch):
    """LiveKit says in its log that it is wrong; who is heard is followed all the same."""

    class Wrong(Agent):
        memory_scope = "x" * 300

    followed: list[Any] = []
    monkeypatch.setattr("echoic.agent.remember.room_io_of", lambda _session: "a room's")
    async with text_session(ScriptedLLM("Hello.")) as session:
        handle = await echoic.remember(session, user_id="maya", memory=echoic.testing.memory())
        handle._callers = SimpleNamespace(follow=lambda *given: followed.append(given))
        await session.start(Wrong(instructions="Be kind."), record=False)
        await session.run(user_input="My dog is called Biscuit.")
    assert len(followed) == 1
