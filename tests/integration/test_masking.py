"""A card number, a PIN or a password that is said in a call is stored nowhere, and no model learns from it.

Only the models are scripted.
"""

from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from echoic.agent.assistant import MemoryAgent
from echoic.agent.call.call import Call
from echoic.agent.call.capture import Capture
from echoic.memory.service import open_memory
from echoic.memory.text.secrets import MASK
from echoic.workers.flush import flush_user
from tests.agents import ScriptedLLM, text_session
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel, facts
from tests.integration.test_account import dump, settled
from tests.remembered import caller, said_of

CARD, PIN = "4111 1111 1111 1111", "831597"


@pytest.fixture
def model():
    with ScriptedModel(otherwise=facts()) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(update={"llm_url": model.url, "llm_model": "scripted"})


@pytest.fixture
async def memory(settings):
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def told(memory, *lines):
    """Recorded in one call, each by the other speaker where it begins with "agent: "."""
    call = await memory.open_call(caller())
    for line in lines:
        speaker, _, text = line.partition(": ")
        await call.record(uuid4().hex, "user" if speaker == "caller" else "assistant", text)
    await settled(memory)
    return call


async def stored(memory):
    return [text for _, text, _ in await said_of(memory, "ana")]


@pytest.mark.parametrize(
    ("lines", "secret"),
    [
        ([f"caller: My card number is {CARD}, thanks."], CARD[5:]),
        ([f"caller: Take {CARD.replace(' ', '')} for it."], CARD.replace(" ", "")),
        (["caller: My PIN is 831597."], PIN),
        (["caller: The wifi password is Marmalade."], "Marmalade"),
        (["agent: What is your PIN?", "caller: It's 831597."], PIN),
        (["agent: What is your PIN?", "caller: Hm, one moment.", "caller: It's 831597."], PIN),
        (["caller: Read me my PIN, please.", "agent: It is 831597."], PIN),
    ],
)
async def test_no_store_holds_a_secret(memory, settings, model, lines, secret):
    """Neither rows, words of the index, spool nor queue; and the learning model is not shown it."""
    model.otherwise = facts(f"Has {secret}", turn=len(lines))
    call = await told(memory, *lines)
    await flush_user(memory, "ana")
    assert MASK in " ".join(await stored(memory)) and secret not in dump(settings)
    assert model.requests and secret not in model.asked() and await memory.facts.list("ana") == []
    assert secret not in (await call.recall("What is my PIN, password or card?", budget_s=5)).block


async def test_what_stands_beside_it_is_kept(memory):
    """The rest of the sentence, and other numbers."""
    await told(memory, f"caller: I have 2 dogs and my card is {CARD}.", "caller: I was born in 1984.")
    assert await stored(memory) == [f"I have 2 dogs and my card is {MASK}.", "I was born in 1984."]


async def test_while_postgres_is_away_the_spool_holds_none_either(memory, settings):
    """The line that waits on disk was masked before."""
    down = settings.model_copy(
        update={"database_url": type(settings.database_url)("postgresql://echoic@127.0.0.1:1/x")}
    )
    async with open_memory(down, embedder=WordEmbedder(), need_stores=False) as cut_off:
        call = await cut_off.open_call(caller())
        await call.record(uuid4().hex, "user", f"My PIN is {PIN}.")
        (waiting,) = await cut_off.spool.of_user("ana")
    assert MASK in waiting.text and PIN not in dump(settings)


@asynccontextmanager
async def talk(memory, *replies):
    """A session in text, as a chat line or `echoic talk` has it."""
    call = Call(await memory.open_call(caller()))
    async with (
        Capture(call.call_memory) as call.capture,
        text_session(ScriptedLLM(*replies), call=call) as session,
    ):
        call.capture.listen(session)
        await session.start(MemoryAgent(instructions="Be kind.", context_tokens=2_000), record=False)
        yield session
        await call.capture.drained()
        await call.hang_up()


async def test_chat_lines_and_what_the_agent_says(memory, settings):
    """A line that is typed, the model's reply to it, and words that the application has the agent say."""
    async with talk(memory, f"Your card {CARD} is noted.") as session:
        await session.run(user_input=f"My card number is {CARD}.")
        await session.say(f"Your PIN is {PIN}.").wait_for_playout()
    assert await stored(memory) == [
        f"My card number is {MASK}.",
        f"Your card {MASK} is noted.",
        f"Your PIN is {MASK}.",
    ]
    assert CARD[5:] not in dump(settings) and PIN not in dump(settings)


async def test_whoever_wants_it_keeps_all(settings):
    """`ECHOIC_MASK_SECRETS=false`: an agent whose task is to know them."""
    told_so = settings.model_copy(update={"mask_secrets": False})
    async with open_memory(told_so, embedder=WordEmbedder()) as memory:
        await told(memory, f"caller: My PIN is {PIN}.")
        assert await stored(memory) == [f"My PIN is {PIN}."]


@pytest.mark.parametrize(
    "text", ["My flat is number ❽ ፱.", "wie viel ist 10² und ⑤", "zwei Äpfel ❶❷ oder so"]
)
async def test_a_turn_with_signs_that_are_nearly_digits_is_kept(memory, text):
    """They count for no number, and cost no turn."""
    call = await told(memory, f"caller: {text}")
    assert await stored(memory) == [text]
    found = await call.recall(text, budget_s=5)
    assert {tier.status for tier in found.tiers.values()} <= {"ok", "empty"}
