"""Whole conversations: Pipecat's aggregators and OpenAI service, a real Postgres, a scripted model."""

import asyncio

import pytest
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import LLMMessagesAppendFrame, LLMMessagesUpdateFrame, LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame

from echoic.agent import process_memory
from echoic.memory.recall.prompt import CLOSE, OPEN
from echoic.memory.service import open_memory
from echoic.pipecat import EchoicMemory
from tests.clients.pipecat.pipeline import talking
from tests.embedders import WordEmbedder
from tests.inference_gateway import UNKNOWN, ToolCall, block_of, honest, question_of, text_of
from tests.remembered import fact, learn


async def said(memory, user_id="maya"):
    """What is stored of one person: role, words, whether cut off."""
    return [(turn.role, turn.text, turn.interrupted) for turn in await memory.turns.list(user_id)]


async def test_said_in_one_call_known_in_the_next(stored, gateway):
    """The block stands in front of the caller's own words; what was said is stored once, in order."""
    async with talking(EchoicMemory("maya", memory=stored), gateway) as first:
        assert await first.say("My dog is called Biscuit.") == UNKNOWN
    async with talking(EchoicMemory("maya", memory=stored), gateway) as second:
        assert "Biscuit" in await second.say("What is my dog called?")
    asked = gateway.requests[1]
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert question_of(asked).strip() == "What is my dog called?" and "Biscuit" in block_of(asked)
    assert [one[:2] for one in await said(stored)][:3] == [
        ("user", "My dog is called Biscuit."),
        ("assistant", UNKNOWN),
        ("user", "What is my dog called?"),
    ]
    assert len(await said(stored)) == 4 and not any(OPEN in words for _, words, _ in await said(stored))


async def test_one_block_a_turn_and_none_left_behind(stored, gateway):
    """It is replaced with each turn, also when nothing is found, and the conversation ends without one."""
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        for words in ("What is my dog called?", "How old is my dog?", "Is my dog big?", "Yes, thank you."):
            await talk.say(words)
        context = talk.context
    shown = [[str(one["content"]).count(OPEN) for one in asked["messages"]] for asked in gateway.requests]
    assert [counts[-1] for counts in shown] == [1, 1, 1, 0]
    assert [sum(counts) for counts in shown] == [1, 1, 1, 0]
    assert OPEN not in str(context.get_messages())


@pytest.mark.parametrize("cancel", [True, False])
async def test_the_conversation_ends_without_a_block(stored, gateway, cancel):
    """Whichever way it ends: an application may keep it."""
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))
    async with talking(EchoicMemory("maya", memory=stored), gateway, cancel=cancel) as talk:
        await talk.say("What is my dog called?")
        assert OPEN in str(talk.context.get_messages())
    assert OPEN not in str(talk.context.get_messages())


async def test_a_tool_step_is_shown_the_same_block(stored, gateway):
    """The model's second request of a turn goes past the processor, straight from the tool's result."""
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))

    def answer(request):
        asked = any(message["role"] == "tool" for message in request["messages"])
        return honest(request) if asked else ToolCall("look_up", {"what": "dog"})

    async def look_up(call):
        await call.result_callback({"found": "nothing"})

    gateway.reply = answer
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        talk.llm.register_function("look_up", look_up)
        what = {"what": {"type": "string"}}
        talk.context.set_tools([FunctionSchema("look_up", "Looks something up.", what, ["what"])])
        await talk.hear("What is my dog called?")
        while "Biscuit" not in await talk.answer():
            pass
    assert [text_of(request).count(OPEN) for request in gateway.requests] == [1, 1]
    assert [one[0] for one in await said(stored)] == ["user", "assistant"]


async def test_an_interrupted_reply_is_stored_as_far_as_it_was_spoken(stored, gateway):
    """And marked as cut off; the words that cut it are the next turn."""
    gateway.reply = lambda request: (
        "One two three four five six." if "count" in text_of(request)[-40:] else "Fine."
    )
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        talk.mouth.falls_silent_after = 3
        await talk.hear("Please count to four.")
        await talk.mouth.silent.wait()
        await talk.hear("Stop, that is enough of this.")
        assert await talk.answer() == "One two three"
        await talk.answer()
    assert await said(stored) == [
        ("user", "Please count to four.", False),
        ("assistant", "One two three", True),
        ("user", "Stop, that is enough of this.", False),
        ("assistant", "Fine.", False),
    ]


async def test_a_caller_who_hangs_up_loses_no_word(stored, gateway):
    """The reply that was being spoken is kept as far as it was heard."""
    gateway.reply = lambda _: "One two three four."
    async with talking(EchoicMemory("maya", memory=stored), gateway, cancel=True) as talk:
        talk.mouth.falls_silent_after = 2
        await talk.hear("Please count to four.")
        await talk.mouth.silent.wait()
    assert await said(stored) == [
        ("user", "Please count to four.", False),
        ("assistant", "One two", True),
    ]


async def test_words_that_no_turn_has_taken_are_kept_when_the_call_is_cut(stored, gateway):
    """Heard, but the turn had not ended: Pipecat writes it when nobody takes frames any more."""
    async with talking(EchoicMemory("maya", memory=stored), gateway, cancel=True) as talk:
        await talk.begin("My new")
        await talk.finally_("My new number is four")
        await talk.partly("and then")
        await talk.worker.flush_pipeline()
    assert await said(stored) == [("user", "My new number is four", False)]


async def test_last_words_before_a_normal_end_are_kept(stored, gateway):
    """The turn ends with the pipeline: its frame comes after the one that ends it."""
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.begin("And my")
        await talk.finally_("And my cat is called Miso")
        await talk.partly("and then")
        await talk.worker.flush_pipeline()
    assert ("user", "And my cat is called Miso", False) in await said(stored)


async def test_two_callers_at_once_are_two_people(stored, gateway):
    """Neither is shown, nor stored with, anything of the other."""
    for name, told in (("maya", "My dog is called Biscuit."), ("ben", "My cat is called Miso.")):
        async with talking(EchoicMemory(name, memory=stored), gateway) as talk:
            await talk.say(told)
    gateway.requests.clear()
    async with (
        talking(EchoicMemory("maya", memory=stored), gateway) as maya,
        talking(EchoicMemory("ben", memory=stored), gateway) as ben,
    ):
        answers = await asyncio.gather(
            maya.say("What is my animal called? Mine has four legs."),
            ben.say("What is my animal called? Mine has whiskers."),
        )
    assert "Biscuit" in answers[0] and "Miso" in answers[1]
    for request in gateway.requests:
        whose = "Biscuit" if "four legs" in question_of(request) else "Miso"
        other = {"Biscuit": "Miso", "Miso": "Biscuit"}[whose]
        assert whose in text_of(request) and other not in text_of(request)
    assert "Miso" not in str(await said(stored)) and "Biscuit" not in str(await said(stored, "ben"))


async def test_looked_up_while_it_was_spoken(stored, gateway, caplog):
    """Partial words come to the aggregator and no further; what they started is there for the reply."""
    caplog.set_level("INFO", "echoic.pipecat")
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.begin("What is my dog")
        await talk.partly("What is my dog called")
        await talk.worker.flush_pipeline()
        while stored.recaller._tasks:
            await asyncio.wait(stored.recaller._tasks)
        await talk.finally_("What is my dog called?")
        await talk.end()
        await talk.answer()
    (line,) = [record for record in caplog.records if record.message == "turn.recalled"]
    assert line.prefetch == "hit" and line.facts == "ok"


async def test_what_the_conversation_shows_is_not_told_twice(stored, gateway):
    """Said two turns ago in this call: it stands there already."""
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.say("My dog is called Biscuit.")
        await talk.say("I moved to Porto last week.")
        await talk.say("What is my dog called?")
    assert "Biscuit" in text_of(gateway.requests[-1]) and "Biscuit" not in block_of(gateway.requests[-1])


async def test_a_greeting_knows_the_caller(stored, gateway):
    """What is known, for the bot to greet with; a reply to nobody's words has no block."""
    await learn(stored, fact("Is called Maya.", "maya", importance=0.9), fact("Lives in Porto.", "maya"))
    memory = EchoicMemory("maya", memory=stored)
    async with talking(memory, gateway) as talk:
        known = await memory.get_memories()
        talk.context.add_message({"role": "developer", "content": f"Greet the caller. {' '.join(known)}"})
        await talk.send(LLMRunFrame())
        await talk.answer()
    assert known == ["Is called Maya.", "Lives in Porto."]
    assert OPEN not in text_of(gateway.requests[0]) and "Maya" in text_of(gateway.requests[0])
    assert await EchoicMemory("nobody-known", memory=stored).get_memories() == []


async def test_typed_words_count_and_instructions_of_the_application_do_not(stored, gateway):
    """RTVI's `send-text` is the caller's; a user message that the application appends need not be."""
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        note = {"role": "user", "content": "Please introduce yourself."}
        await talk.send(LLMMessagesAppendFrame([note], run_llm=True))
        await talk.answer()
        typed = {"role": "user", "content": "My dog is called Biscuit."}
        await talk.send(LLMMessagesAppendFrame([typed], run_llm=True))
        await talk.send(RTVISendTextFrame("1", "My dog is called Biscuit."))
        await talk.answer()
        talk.memory.keep("Sent a picture of the dog.")
    words = [text for role, text, _ in await said(stored) if role == "user"]
    assert words == ["My dog is called Biscuit.", "Sent a picture of the dog."]


async def test_a_conversation_that_was_kept_with_a_block_comes_back_without(stored, gateway):
    """An application saves the context in the middle of a turn, and restores it in the next call."""
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.say("What is my dog called?")
        kept = [dict(message) for message in talk.context.get_messages()]
    assert OPEN in str(kept)
    async with talking(EchoicMemory("maya", memory=stored), gateway) as talk:
        await talk.send(LLMMessagesUpdateFrame(kept, run_llm=False))
        await talk.say("How old is my dog?")
    assert text_of(gateway.requests[-1]).count(CLOSE) == 1


async def test_who_is_asked_first_is_stored_after_a_yes(memory_settings, gateway):
    """With ECHOIC_CONSENT=ask the bot asks; what was said before the answer is kept with it."""
    settings = memory_settings.model_copy(update={"consent": "ask"})
    async with open_memory(settings, embedder=WordEmbedder()) as stored:
        memory = EchoicMemory("maya", memory=stored)
        async with talking(memory, gateway) as talk:
            await talk.say("My dog is called Biscuit.")
            await memory.flush()
            assert await said(stored) == []
            await memory.call_memory.decide(True)
            await talk.say("Yes, you may remember that.")
        assert [words for role, words, _ in await said(stored) if role == "user"] == [
            "My dog is called Biscuit.",
            "Yes, you may remember that.",
        ]


@pytest.mark.parametrize("told", [True, False])
async def test_in_a_pipeline_within_a_pipeline(stored, gateway, caplog, told):
    """Its frames pass through, so turns are stored and blocks given; lookups ahead need the aggregators."""
    caplog.set_level("INFO", "echoic.pipecat")
    await learn(stored, fact("Has a dog called Biscuit.", "maya"))

    def nested(pair, llm, mouth):
        options = {"aggregators": pair} if told else {}
        memory = EchoicMemory("maya", memory=stored, **options)
        return [pair.user(), Pipeline([memory, llm]), mouth, pair.assistant()]

    async with talking(nested, gateway) as talk:
        assert "Biscuit" in await talk.say("What is my dog called?", "What is my dog called")
    assert [one[0] for one in await said(stored)] == ["user", "assistant"]
    (line,) = [record for record in caplog.records if record.message == "turn.recalled"]
    assert (line.prefetch in ("hit", "late")) is told


async def test_opened_by_its_settings(memory_settings, gateway, monkeypatch):
    """Without an open memory it opens the process's own, and closes it with the last pipeline."""
    monkeypatch.setattr(process_memory, "open_shared_embedder", lambda _: WordEmbedder())
    for words in ("My dog is called Biscuit.", "What is my dog called?"):
        memory = EchoicMemory("maya", settings=memory_settings)
        async with talking(memory, gateway) as talk:
            answer = await talk.say(words)
            assert memory.fault == "" and process_memory._open
        assert not process_memory._open
    assert "Biscuit" in answer
