"""Wishes about memory that no sentence of the language files is like are asked about before anything is done,
where the model is shown no tools. On real stores, with the real embedding models."""

import asyncio

import pytest
from livekit.agents import llm

from echoic.agent.commands.memory_tools import note_likely
from echoic.memory.config import LOCAL_DIMENSIONS, LOCAL_EMBEDDING_MODEL
from echoic.memory.embedding.embedder import Embedder
from echoic.memory.embedding.spaces import Vector
from echoic.memory.recall.prompt import NOTHING_DELETED
from echoic.memory.service import open_memory
from echoic.memory.text.language import languages
from tests.agents import ScriptedLLM
from tests.embedders import WordEmbedder
from tests.integration.test_say import DOG, ENGLISH, QUESTION, TOWN, stored, talk

NUMBER = "My work number is 0161 496 0000."
RID = "hiya um could you get rid of my work number i don't work there anymore"
SORRY = "Oh God, I shouldn't have told you that. Can you just wipe that last bit?"


@pytest.fixture
async def memory(memory_settings, embedder):
    async with open_memory(memory_settings, embedder=embedder) as opened:
        yield opened


async def test_what_a_sentence_names_is_read_back_and_goes_at_a_yes(memory):
    """The named thing alone, of several that memory holds."""
    async with talk(memory) as say:
        await say(DOG)
        await say(NUMBER)
        await say(TOWN)
        question = await say(RID)
        assert question == ENGLISH["read_back"].format(what=f"“{NUMBER.rstrip('.')}”")
        assert NUMBER in await stored(memory)
        assert await say("Yes, please.") == ENGLISH["forgotten"]
    assert not [text for text in await stored(memory) if "number" in text]
    assert {DOG, TOWN} <= {*await stored(memory)}


async def test_a_yes_in_other_words_is_asked_about_again(memory):
    """Neither the question nor what was answered to it is kept after the plain one."""
    async with talk(memory) as say:
        await say(NUMBER)
        await say(TOWN)
        question = await say(RID)
        assert await say("that's the one yeah get rid of it") == question
        assert NUMBER in await stored(memory)
        assert await say("Yes.") == ENGLISH["forgotten"]
        assert "0161" not in await say("what is my work number?")
    assert not [text for text in await stored(memory) if "0161" in text or "rid of" in text]
    assert TOWN in await stored(memory)


@pytest.mark.parametrize(
    "answer", ["nah leave it where it is", "what did i say exactly", "yes i moved in spring"]
)
async def test_what_is_no_yes_forgets_nothing(memory, answer):
    """And neither does a yes that comes later."""
    model = ScriptedLLM("Noted.", "Noted.", "As you like.", "Yes?")
    async with talk(memory, model) as say:
        await say(NUMBER)
        await say(TOWN)
        await say(RID)
        assert await say(answer) == "As you like." and NOTHING_DELETED in model.texts()[-1]
        assert await say("Yes.") == "Yes?"
    assert NUMBER in await stored(memory)


async def test_what_an_agent_looked_up_for_a_wish_is_no_answer_to_it(memory):
    """It stands behind the words in the agent's own name."""
    async with talk(memory) as say:
        await say(NUMBER)
        wish = llm.ChatMessage(role="user", content=[RID])
        found = llm.ChatMessage(role="assistant", content=["Additional information: offices open at nine."])
        for unsaid, kind in ((set(), None), ({found.id}, "forget_named")):
            await note_likely([wish, found], say.call, 5.0, None, unsaid)
            assert say.call.likely.get(("", RID)) == kind


async def test_what_was_just_said_is_read_back(memory):
    """And stays without a yes."""
    model = ScriptedLLM("Noted.", "Noted.", "As you like.")
    async with talk(memory, model) as say:
        await say(TOWN)
        await say(DOG)
        assert await say(SORRY) == ENGLISH["read_back"].format(what=f"“{DOG}”")
        assert await say("No, keep it.") == "As you like." and NOTHING_DELETED in model.texts()[-1]
        assert DOG in await stored(memory)
    async with talk(memory, user_id="bob") as say:
        await say(TOWN)
        await say(DOG)
        await say(SORRY)
        assert await say("Yes.") == ENGLISH["forgotten"]
    kept = await stored(memory, "bob")
    assert TOWN in kept and SORRY not in kept and DOG not in kept


async def test_what_was_told_before_a_question_is_read_back(memory):
    """Nobody takes a question back; also the first wish of a process in that language, whose pattern takes
    longer to make than an embedding may take."""
    async with talk(memory) as say:
        await say("मेरी बेटी पुणे में पढ़ती है।")
        await say("मेरी बेटी कहाँ पढ़ती है?")
        question = await say("अच्छा सुनो वो पुणे वाली बात जो बताई थी ना उसको अपने पास से हटा देना")
        assert "पुणे में पढ़ती" in question and "कहाँ" not in question
        assert await say("हाँ") == languages()["hi"].answers["forgotten"]
    assert not [text for text in await stored(memory) if "पुणे में" in text]


async def test_whether_they_are_remembered_at_all_is_asked(memory):
    """The question that consent needs, whose answer counts."""
    async with talk(memory) as say:
        await say(DOG)
        assert await say("from today on i'd really rather you didn't keep a thing about me") == QUESTION
        await say("No.")
        await say(TOWN)
    assert TOWN not in await stored(memory)


async def test_a_yes_in_other_words_to_being_remembered_is_asked_again(memory_settings, embedder):
    """Until a plain one nothing is stored."""
    settings = memory_settings.model_copy(update={"consent": "ask"})
    async with open_memory(settings, embedder=embedder) as memory, talk(memory) as say:
        assert (await say(DOG)).endswith(QUESTION)
        assert await say("that would save me telling you twice so go for it") == QUESTION
        assert await stored(memory) == []
        assert await say("Yes.") == ENGLISH["agreed"]
        await say(TOWN)
        assert TOWN in await stored(memory)


async def test_a_wish_in_another_language_is_asked_about_in_it(memory):
    """Also one that names what was said in another script."""
    async with talk(memory) as say:
        await say("我老公叫大伟，他在医院工作。")
        await say("我住在上海，喜欢喝茶。")
        question = await say("我跟你讲过的我老公的事，能不能帮我删掉？")
        assert "大伟" in question and "上海" not in question
        assert await say("好的。") == languages()["zh"].answers["forgotten"]
    assert "大伟" not in str(await stored(memory)) and "上海" in str(await stored(memory))


async def test_what_names_nothing_is_left_to_the_model(memory):
    """Which is told that nothing was deleted."""
    model = ScriptedLLM("Noted.", "As you like.")
    async with talk(memory, model) as say:
        await say(TOWN)
        assert (
            await say("ah could you take my sister's old address out, she moved ages ago") == "As you like."
        )
        assert NOTHING_DELETED in model.texts()[-1]
    assert TOWN in await stored(memory)


@pytest.mark.parametrize(
    "words",
    [
        "i always forget where i put my keys, it drives my wife mad",
        "can you delete the onions from my order please",
        "my husband said i should just forget about him",
    ],
)
async def test_what_only_sounds_like_a_wish_is_none(memory, words):
    """The model answers, and nothing is asked."""
    async with talk(memory, ScriptedLLM("Noted.", "Of course.")) as say:
        await say(DOG)
        assert await say(words) == "Of course."


class Hung:
    """An embedder of the local models' name that never answers for the second key."""

    name, dimensions = LOCAL_EMBEDDING_MODEL, LOCAL_DIMENSIONS

    def __init__(self, real: Embedder) -> None:
        self._real = real
        self.embed_batch = real.embed_batch

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        await asyncio.sleep(60)
        raise AssertionError

    async def close(self) -> None:
        """Its real one is its fixture's."""


async def test_a_reply_waits_for_an_embedding_that_hangs_within_its_budget(
    memory_settings, embedder, monkeypatch
):
    """What the second key took is no recall's any more; the words stay with the model."""
    settings, given = memory_settings.model_copy(update={"recall_budget_ms": 600}), []
    opened = open_memory(settings, embedder=Hung(embedder))
    async with opened as memory, talk(memory, ScriptedLLM("Noted.", "Of course.")) as say:
        real = memory.recaller.recall

        def recall(*args, budget_s, **options):
            given.append(budget_s)
            return real(*args, budget_s=budget_s, **options)

        await say(NUMBER)
        monkeypatch.setattr(memory.recaller, "recall", recall)
        assert await say(RID) == "Of course." and given[0] <= 0.3


async def test_an_embedding_of_another_model_tells_no_wish(memory_settings):
    """Its numbers mean something else."""
    opened = open_memory(memory_settings, embedder=WordEmbedder("other", LOCAL_DIMENSIONS))
    async with opened as memory, talk(memory, ScriptedLLM("Noted.", "Of course.")) as say:
        await say(NUMBER)
        assert await say(RID) == "Of course."


async def test_a_model_with_tools_decides_itself(memory):
    """It understands more than a second key."""
    async with talk(memory, ScriptedLLM("Noted.", "Shall I?"), model_calls_tools=True) as say:
        await say(NUMBER)
        assert await say(RID) == "Shall I?"
