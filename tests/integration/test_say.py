"""The caller has a say, through the real session on real stores, whether the model calls tools or not."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from livekit.agents import Agent, AgentSession, function_tool, llm

from echoic.agent.assistant import Remembers
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.agent.commands import command_handlers as wishes
from echoic.agent.commands.memory_tools import carry_out_last_words
from echoic.agent.terminal.quote import QuoteLLM
from echoic.memory.errors import StoreUnavailable
from echoic.memory.privacy.forget import forget
from echoic.memory.recall.prompt import NOTHING_DELETED
from echoic.memory.service import Memory, open_memory
from echoic.memory.settings.personal import PersonalStore
from echoic.memory.text.language import languages
from echoic.memory.types import Caller, Fact
from echoic.workers.learn.learner import Learner, LearnReport
from tests.agents import ScriptedLLM, text_session
from tests.embedders import WordEmbedder
from tests.remembered import said_of
from tests.voices import voice_session

DOG, TOWN = "My dog is called Xylquor.", "I live in Porto."
ENGLISH, GERMAN = languages()["en"].answers, languages()["de"].answers
QUESTION = ENGLISH["question"]


class Talk:
    """One call: say something, get the reply."""

    def __init__(self, session: AgentSession[Call], call: Call, model: llm.LLM) -> None:
        self.session, self.call, self.model = session, call, model

    async def __call__(self, words: str) -> str:
        handle = self.session.generate_reply(user_input=words)
        await handle
        assert self.call.capture is not None
        await self.call.capture.drained()
        return " ".join(
            item.text_content or ""
            for item in handle.chat_items
            if item.type == "message" and item.role == "assistant"
        )


@pytest.fixture
async def memory(memory_settings):
    async with open_memory(memory_settings, embedder=WordEmbedder()) as opened:
        yield opened


class Kind(Remembers, Agent):
    """An agent of an application."""


@asynccontextmanager
async def talk(
    memory: Memory,
    model: llm.LLM | None = None,
    *,
    model_calls_tools: bool = False,
    persistent: bool = True,
    user_id: str = "ana",
    agent: Agent | None = None,
):
    async with AsyncExitStack() as opened:
        caller = Caller(user_id, "echoic", uuid4().hex)
        call = Call(await memory.open_call(caller, persistent=persistent), shows_tools=model_calls_tools)
        call.capture = await opened.enter_async_context(Capture(call.call_memory))
        session = await opened.enter_async_context(text_session(model or QuoteLLM(), call=call))
        call.capture.listen(session)
        await session.start(agent or Kind(instructions="Be kind."), record=False)
        yield Talk(session, call, model or QuoteLLM())
        await call.hang_up()


async def stored(memory: Memory, user_id: str = "ana") -> list[str]:
    return [text for _, text, _ in await said_of(memory, user_id)]


async def learned(memory: Memory, text: str, *, said: str = "", importance: float = 0.5) -> Fact:
    """A fact, as a worker would have learned it from what was said."""
    source = tuple(turn.turn_id for turn in await memory.turns.list("ana") if turn.text == said)
    at = (await memory.turns.list("ana"))[0].said_at
    fact = Fact(uuid4(), "ana", text, "t", importance, "user", "echoic", at, turn_ids=source)
    vectors = await memory.embedder.embed_batch([text])
    await memory.db.transaction(lambda connection: memory.facts.add(connection, [fact], vectors))
    return fact


def tool(name: str, arguments: str = "{}") -> llm.FunctionToolCall:
    return llm.FunctionToolCall(name=name, arguments=arguments, call_id=uuid4().hex)


async def test_forget_that(memory):
    """The last exchange and the wish are gone; what was said before, and later, stays."""
    async with talk(memory) as say:
        await say(TOWN)
        await say(DOG)
        assert await say("Please forget that.") == ENGLISH["forgotten"]
        assert "Xylquor" not in await say("What is my dog called?")
        assert "Porto" in await say("Where do I live?")
    assert not [
        text for text in await stored(memory) if "Xylquor" in text or "forget that" in text
    ] and TOWN in await stored(memory)


async def test_what_the_agent_says_of_its_memory_is_not_recalled(memory):
    """It is kept, as it was said, and stands in no block: it came in the place of what was forgotten."""
    model = ScriptedLLM("Noted.", "Noted.", "I do not know.")
    async with talk(memory, model) as say:
        await say(TOWN)
        await say(DOG)
        assert await say("Forget about my dog.") == ENGLISH["forgotten"]
    async with talk(memory, model) as say:
        await say("What have you forgotten, my dog or my town?")
    told = str(model.texts())
    assert "Porto" in told and ENGLISH["forgotten"] not in told
    assert ENGLISH["forgotten"] in await stored(memory)


async def test_forget_that_takes_what_memory_told_along(memory):
    """Told from an earlier call, and then not wanted any more: the turn of the earlier call goes."""
    async with talk(memory) as say:
        await say(DOG)
        await say(TOWN)
    async with talk(memory) as say:
        assert "Xylquor" in await say("What is my dog called?")
        assert await say("Forget that.") == ENGLISH["forgotten"]
    assert "Xylquor" not in str(await stored(memory)) and TOWN in await stored(memory)


async def test_one_thing_that_is_named_goes_at_once(memory):
    """Also what was said in an earlier call; the wish, which names it, is not kept either."""
    async with talk(memory) as say:
        await say(DOG)
        await say(TOWN)
    await learned(memory, "Has a dog called Xylquor", said=DOG)
    async with talk(memory) as say:
        assert await say("Forget about my dog.") == ENGLISH["forgotten"]
        assert await say("Forget about my cat.") == ENGLISH["not_found"]
    assert not [text for text in await stored(memory) if "dog" in text or "cat" in text]
    assert TOWN in await stored(memory) and await memory.facts.list("ana", include_closed=True) == []


async def test_more_than_one_thing_is_read_back_and_goes_at_a_yes(memory):
    """The question names the most important of it and counts the rest; it stands nowhere afterwards."""
    async with talk(memory) as say:
        await say(DOG)
        await say("The dog is four, and I live in Faro.")
        await say(TOWN)
    await learned(memory, "Has a dog called Xylquor", said=DOG, importance=0.9)
    await learned(memory, "Lives in Faro", said="The dog is four, and I live in Faro.")
    async with talk(memory) as say:
        question = await say("Forget about my dog.")
        assert question == "Shall I forget this: “Has a dog called Xylquor” and one sentence about it?"
        assert await stored(memory, "ana") and DOG in await stored(memory)
        assert await say("Yes, please.") == ENGLISH["forgotten"]
        assert "Xylquor" not in await say("What is my dog called?")
        assert await say("Yes.") != ENGLISH["forgotten"]
    assert "Xylquor" not in str(await stored(memory)) and TOWN in await stored(memory)
    # a sentence about the dog and the town is gone, and what was learned of the town is not
    assert [fact.text for fact in await memory.facts.list("ana")] == ["Lives in Faro"]


@pytest.mark.parametrize(
    "answer",
    [
        "No.",
        "What time is it?",
        "Yes, but not that he is four.",
        "Remember it, please.",
        "Yes, keep it.",
        "Yes? Hello?",
        "Yes, can you repeat that?",
    ],
)
async def test_what_was_read_back_stays_without_a_yes(memory, answer):
    """And a yes to something else, later, is none to this."""
    model = ScriptedLLM("Noted.", "Noted.", "As you like.", "Yes?")
    async with talk(memory, model) as say:
        await say(DOG)
        await say("The dog is four.")
        assert "Xylquor" in await say("Forget about my dog.")
        assert await say(answer) == "As you like."
        assert NOTHING_DELETED in model.texts()[-1]
        assert await say("Yes.") == "Yes?"
    assert {DOG, "The dog is four."} <= {*await stored(memory)}


async def test_what_else_is_said_with_the_yes_is_answered(memory):
    """It is forgotten first, and the model is shown none of it."""
    model = ScriptedLLM("Noted.", "Noted.", "It rains.")
    async with talk(memory, model) as say:
        await say(DOG)
        await say("The dog is four.")
        await say("Forget about my dog.")
        assert await say("Yes please, and tell me about the weather.") == f"{ENGLISH['forgotten']} It rains."
    assert "dog" not in str(model.texts()) and "dog" not in str(await stored(memory))


async def test_a_question_whose_answer_was_forgotten_is_not_answered_again(memory):
    """It stands last in what the model may see: "Done. Your dog is called …" told what was forgotten."""
    model = ScriptedLLM("Noted.", "Noted.", "Your dog is Xylquor.", "It is Xylquor.")
    async with talk(memory, model) as say:
        await say(DOG)
        await say("The dog is four.")
        await say("What pet do I have?")
        await say("Forget about my dog.")
        assert await say("Yes.") == ENGLISH["forgotten"]


async def test_a_fact_that_was_learned_after_it_was_read_back_goes_too(memory):
    """A worker reads the turn while the caller is being asked."""
    async with talk(memory) as say:
        await say(DOG)
        await say("The dog is four.")
        await say("Forget about my dog.")
        await learned(memory, "Has a dog called Xylquor", said=DOG)
        assert await say("Yes.") == ENGLISH["forgotten"]
    assert await memory.facts.list("ana", include_closed=True) == []


async def test_words_that_may_be_no_matter_of_memory(memory):
    """Memory holds nothing of it: the model answers, and is told that nothing was deleted."""
    model = ScriptedLLM("Noted.", "Your order is cancelled.", "Anything else?")
    async with talk(memory, model, model_calls_tools=True) as say:
        await say(DOG)
        assert await say("Delete my order number 5.") == "Your order is cancelled."
        assert NOTHING_DELETED in model.texts()[-1]
        await say("Thanks.")
    assert model.texts()[-1] == "Thanks." and "Your order is cancelled." in model.texts()
    assert {DOG, "Delete my order number 5."} <= {*await stored(memory)}


@pytest.mark.parametrize("words", ["Forget I called.", "Forget it.", "Ach, vergiss es einfach."])
async def test_idioms_erase_nothing(memory, words):
    """Whatever memory holds of the words in them, and however keen the model is on its tools."""
    model = ScriptedLLM("Noted.", "As you like.")
    async with talk(memory, model, model_calls_tools=True) as say:
        await say(DOG)
        assert await say(words) == "As you like."
        assert NOTHING_DELETED in model.texts()[-1]
    assert {DOG, words} <= {*await stored(memory)}


async def test_a_wish_is_answered_in_its_language(memory):
    """Recognised in German, told in German; also what is asked, and the yes to it."""
    async with talk(memory) as say:
        await say(TOWN)
        await say("Mein Hund heißt Xylquor.")
        assert await say("Vergiss das.") == GERMAN["forgotten"]
        assert "Xylquor" not in str(await stored(memory)) and TOWN in await stored(memory)
        await say("Mein Hund heißt Xylquor.")
        await say("Mein Hund ist vier.")
        assert (await say("Vergiss alles über meinen Hund.")).startswith("Soll ich das vergessen: “Mein Hund")
        assert await say("Ja, bitte.") == GERMAN["forgotten"]
    assert "Hund" not in str(await stored(memory)) and TOWN in await stored(memory)


async def test_another_persons_words_stay(memory):
    """Both have a dog; one of them wants theirs forgotten."""
    async with talk(memory, user_id="bob") as say:
        await say(DOG)
    async with talk(memory) as say:
        await say(DOG)
        assert await say("Forget about my dog.") == ENGLISH["forgotten"]
    assert DOG not in await stored(memory) and DOG in await stored(memory, "bob")


async def test_a_model_is_not_believed_that_there_was_a_question(memory):
    """It calls the tool that confirms, and nothing was read back."""
    model = ScriptedLLM("Noted.", tool("confirm_forgetting"), "As you like.")
    async with talk(memory, model, model_calls_tools=True) as say:
        await say(DOG)
        assert await say("Go on then.") == "As you like." and NOTHING_DELETED in model.texts()[-1]
    assert DOG in await stored(memory)


async def test_nothing_to_forget(memory):
    """A wish with nothing before it is answered honestly; for "everything" they are told whom to ask."""
    async with talk(memory) as say:
        assert await say("Forget that.") == ENGLISH["nothing_before"]
        assert await say("Forget everything about me.") == ENGLISH["not_all"]


async def test_dont_remember_this(memory):
    """Said after, or in the same breath: then the words before it stay."""
    async with talk(memory) as say:
        await say(TOWN)
        assert await say("Don't remember this, but my PIN is 4321.") == ENGLISH["not_kept"]
        assert TOWN in await stored(memory)
        await say(DOG)
        assert await say("Don't remember that.") == ENGLISH["not_kept"]
    assert TOWN in await stored(memory) and not [
        text for text in await stored(memory) if "4321" in text or "Xylquor" in text
    ]


async def test_stop_and_again(memory):
    """From the wish on nothing is kept, not even the confirmation; and in the next call too."""
    async with talk(memory) as say:
        await say(TOWN)
        assert await say("Stop remembering.") == ENGLISH["stopped"]
        await say(DOG)
    async with talk(memory) as say:
        await say("My cat is called Tom.")
        assert await say("You can remember me again.") == ENGLISH["agreed"]
        await say("I like tea.")
    text = str(await stored(memory))
    assert (
        "Porto" in text
        and "tea" in text
        and "Xylquor" not in text
        and "Tom" not in text
        and ENGLISH["stopped"] not in text
    )


class Desk(Kind):
    """An agent whose tool takes until the caller's words are known to be kept nowhere."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(instructions="Be kind.")
        self._void = asyncio.Event()
        memory.recorder.watchers.append(lambda turn, stored: stored == "void" and self._void.set())

    @function_tool
    async def free_tables(self) -> str:
        """Which tables are free."""
        await self._void.wait()
        return "Table 7."


@pytest.mark.parametrize("where", ["page", "call"])
async def test_turned_off_elsewhere_the_call_itself_goes_on(memory, where):
    """What is said from then on is kept nowhere, and the model is shown it all the same: to answer it, in the
    next step of a tool, and later."""
    model = ScriptedLLM("Hello.", tool("free_tables"), "Table 7. Which town?", "Booked.")
    async with talk(memory, model, agent=Desk(memory)) as say:
        await say("Good day to you.")
        if where == "page":
            store = PersonalStore(memory.db)
            await store.change("ana", {"memory": False}, version=(await store.read("ana")).version)
        else:
            await memory.consents.write("ana", "off")
        await say("Which table is free for four?")
        answered = model.texts()
        await say("In Porto, please.")
        later, known = model.texts(), say.call.call_memory.recent.now
    assert "Which table is free for four?" in "\n".join(answered)
    for words in ("Which table is free for four?", "Which town?", "In Porto, please."):
        assert words in "\n".join(later)
    assert "four" not in str((known, await stored(memory))) and "Good day" in str(known)


async def test_what_do_you_know(memory):
    """Facts, most important first; before any is learned, the caller's own words; and nothing of nobody."""
    async with talk(memory) as say:
        assert await say("What do you know about me?") == "I do not remember anything about you yet."
        await say(DOG)
        assert DOG.rstrip(".") in await say("What do you know about me?")
        at = (await memory.turns.list("ana"))[0]
        texts = [f"Fact {number}" for number in range(6)]
        facts = [
            Fact(uuid4(), "ana", text, "t", 1 - number / 10, "user", "echoic", at.said_at)
            for number, text in enumerate(texts)
        ]
        vectors = await memory.embedder.embed_batch(texts)
        await memory.db.transaction(lambda connection: memory.facts.add(connection, facts, vectors))
        assert (
            await say("What do you know about me?")
            == "This is what I know about you: Fact 0; Fact 1; Fact 2; Fact 3, and 2 more."
        )


async def test_a_model_that_calls_tools(memory):
    """Words that no rule knows: the model calls the tool, whose words are spoken without asking again."""
    model = ScriptedLLM("Noted.", tool("forget_that"), "Yes?")
    async with talk(memory, model, model_calls_tools=True) as say:
        await say(DOG)
        assert await say("I wish I had never told you, strike it from your mind.") == ENGLISH["forgotten"]
        assert len(model.seen) == 2
        assert await say("Hello again.") == "Yes?"
    assert [message["role"] for message in model.seen[-1]] == ["system", "user"]
    assert "Xylquor" not in str(model.seen[-1]) and "Xylquor" not in str(await stored(memory))


async def test_a_plain_wish_never_reaches_the_model(memory):
    """With or without tools; and the model is shown none of what came of it."""
    for calls_tools in (True, False):
        model = ScriptedLLM("Noted.", "Yes?")
        async with talk(memory, model, model_calls_tools=calls_tools) as say:
            await say(DOG)
            assert await say("Forget that.") == ENGLISH["forgotten"] and len(model.seen) == 1
            await say("Hello again.")
        assert model.texts() == ["Be kind.", "Hello again."]


async def test_what_was_forgotten_stands_nowhere_in_the_session(memory):
    """Neither the session's history nor the agent's context holds the words on for the model."""
    async with talk(memory) as say:
        await say(DOG)
        await say("Forget that.")
        held = [*say.session.history.items, *say.session.current_agent.chat_ctx.items]
    assert "Xylquor" not in str([item.text_content for item in held if isinstance(item, llm.ChatMessage)])


async def test_a_wish_is_carried_out_though_the_caller_speaks_over_it(memory, monkeypatch):
    """Interrupted in the middle of forgetting: it is forgotten."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any) -> Any:
        begun.set()
        await go.wait()
        return await forget(*args)

    monkeypatch.setattr(wishes, "forget", slow)
    async with talk(memory) as say:
        await say(DOG)
        handle = say.session.generate_reply(user_input="Forget that.")
        await begun.wait()
        handle.interrupt(force=True)
        await asyncio.sleep(0)
        go.set()
        await handle
    assert "Xylquor" not in str(await stored(memory))


async def test_without_postgres_it_is_said_so(memory, monkeypatch):
    """The reply does not claim what was not done, and the words come up in this call no more."""
    async with talk(memory) as say:
        await say(DOG)

        async def down(*_args: Any, **_options: Any) -> None:
            raise StoreUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(memory.db, "transaction", down)
            assert await say("Forget that.") == ENGLISH["out_of_reach"]
        # by then the agent's own sentence may be found: it has a vector after a second
        assert "Xylquor" not in await say("What is my dog called?")


async def test_without_postgres_what_is_named_is_dropped_from_the_call(memory, monkeypatch):
    """And it is said so; what is no matter of memory reaches the model all the same."""
    model = ScriptedLLM("Noted.", "Cancelled.", "No idea.")
    async with talk(memory, model) as say:
        await say(DOG)

        async def down(*_args: Any, **_options: Any) -> None:
            raise StoreUnavailable

        with monkeypatch.context() as patch:
            patch.setattr(memory.db, "run", down)
            patch.setattr(memory.db, "transaction", down)
            assert await say("Delete my order number 5.") == "Cancelled."
            assert await say("Forget about my dog.") == ENGLISH["out_of_reach"]
            await say("What is my dog called?")
    assert "Xylquor" not in str(model.seen[-1])


async def test_consent_is_asked_once_and_a_yes_keeps_the_call_so_far(memory):
    """The question ends the first reply; what else was said with the yes is answered."""
    object.__setattr__(memory.settings, "__dict__", memory.settings.__dict__ | {"consent": "ask"})
    model = ScriptedLLM("Hello.", "Lovely.", "A fine dog.", "Good.")
    async with talk(memory, model) as say:
        assert await say("Hi, I live in Porto.") == f"Hello. {QUESTION}"
        assert await say("I work as a nurse.") == "Lovely."
        assert await stored(memory) == []
    async with talk(memory, ScriptedLLM("Hello.", "A fine dog.", "Good.")) as say:
        assert await say(TOWN) == f"Hello. {QUESTION}"
        assert await stored(memory) == []
        assert await say(f"Yes please, {DOG}") == f"{ENGLISH['agreed']} A fine dog."
        assert await say("I like tea.") == "Good."
    assert (await stored(memory))[0] == TOWN and "I like tea." in await stored(memory)
    async with talk(memory, ScriptedLLM("Hello.")) as say:
        assert await say("Hi, it is me again.") == "Hello."


async def test_a_no_is_kept_and_nothing_else(memory):
    """Who said no is not asked in the next call, and neither call left a turn."""
    object.__setattr__(memory.settings, "__dict__", memory.settings.__dict__ | {"consent": "ask"})
    async with talk(memory, ScriptedLLM("Hello.", "Good.")) as say:
        await say(TOWN)
        assert await say("No thanks.") == ENGLISH["stopped"]
        assert await say(DOG) == "Good."
    async with talk(memory, ScriptedLLM("Hello.")) as say:
        assert await say("Hi.") == "Hello."
    assert await stored(memory) == []


async def test_nobody_and_nowhere(memory, memory_settings):
    """No wish makes an anonymous caller remembered, nor anyone where the setting is off; forgetting works."""
    async with talk(memory, persistent=False) as say:
        await say(DOG)
        assert DOG.rstrip(".") in await say("What do you know about me?")
        assert await say("You can remember me.") == ENGLISH["nobody"]
        assert await say("Forget about my dog.") == ENGLISH["forgotten"]
        assert "Xylquor" not in await say("What is my dog called?")
    async with open_memory(
        memory_settings.model_copy(update={"consent": "off"}), embedder=WordEmbedder()
    ) as forgetful:
        async with talk(forgetful) as say:
            assert await say("Start remembering again.") == ENGLISH["never_here"]
        assert await stored(forgetful) == []


async def test_a_forgotten_turn_is_not_learned(memory):
    """It waits to be learned when it is forgotten."""

    class Never:
        name = "never"

        async def extract(self, turns: Any, known: Any, profile: Any, embedder: Any) -> Any:
            raise AssertionError([turn.text for turn in turns])

    async with talk(memory) as say:
        await say(DOG)
        await say("Forget that.")
    (await memory.db.run(lambda connection: connection.execute("delete from turns where role = 'assistant'")))
    # an extractor that raises would only count as failed
    assert await Learner(memory, Never()).learn("ana") == LearnReport()


async def test_spoken_it_is_carried_out_once_and_only_when_the_turn_has_ended_so(memory, monkeypatch):
    """A reply is begun for words that the caller goes on from: nothing is forgotten.

    For the wish itself: once.
    """
    carried_out: list[str] = []

    async def counted(*args: Any) -> Any:
        carried_out.append("forget")
        return await forget(*args)

    monkeypatch.setattr(wishes, "forget", counted)
    call = Call(await memory.open_call(Caller("ana", "echoic", uuid4().hex)))
    async with (
        Capture(call.call_memory) as call.capture,
        voice_session(
            Kind(instructions="Be kind."), QuoteLLM(), listeners=[call.capture], call=call
        ) as voice,
    ):
        await voice.ask(DOG)
        voice.ears.starts()
        voice.ears.preflight("Forget that.")
        await asyncio.sleep(0.2)
        voice.ears.final("Forget that silly song, what is my dog called?")
        voice.ears.ends()
        while "Xylquor" not in voice.texts("assistant")[-1]:
            await asyncio.sleep(0.01)
        await voice.wait_answered()
        assert carried_out == []
        await voice.ears.say("Forget about my dog.", sure_s=0.2)
        while not voice.texts("assistant")[-1].startswith("Shall I forget this"):
            await asyncio.sleep(0.01)
        await voice.wait_answered()
        assert carried_out == []
        await voice.ears.say("Yes, please.", sure_s=0.2)
        while voice.texts("assistant")[-1:] != [ENGLISH["forgotten"]]:
            await asyncio.sleep(0.01)
        await voice.wait_answered()
    await call.hang_up()
    assert carried_out == ["forget"] and "Xylquor" not in str(await stored(memory))


@pytest.mark.parametrize(
    ("wish", "left"),
    [("Stop remembering me.", True), ("Forget about my dog.", False), ("Forget about my dog, maybe?", True)],
)
async def test_a_plain_wish_with_which_the_caller_hangs_up_is_carried_out(memory, wish, left):
    """The line is cut before the turn has ended, so that no reply is made."""
    call = Call(await memory.open_call(Caller("ana", "echoic", uuid4().hex)))
    call.at_end = carry_out_last_words
    async with (
        Capture(call.call_memory) as call.capture,
        voice_session(
            Kind(instructions="Be kind."), QuoteLLM(), listeners=[call.capture], call=call
        ) as voice,
    ):
        await voice.ask(DOG)
        voice.ears.starts()
        voice.ears.final(wish)
        await asyncio.sleep(0.05)
    await call.hang_up()
    assert ("Xylquor" in str(await stored(memory))) == left
    assert await memory.consents.read("ana") == ("off" if "Stop" in wish else "unknown")
