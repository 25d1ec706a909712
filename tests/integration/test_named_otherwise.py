"""A worker learns a name in other words than the caller's, as far as the model is trusted."""

import pytest

from echoic.memory.service import open_memory
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.fakes import ScriptedModel, operation
from tests.remembered import say


@pytest.mark.parametrize(("grade", "learned"), [("full", ["Is Polish"]), ("adds", [])])
async def test_a_name_in_other_words_is_learned_of_a_capable_model(memory_settings, embedder, grade, learned):
    """The learner gives the embedder in use to whoever holds names against what was said."""
    with ScriptedModel(otherwise={"operations": [operation("Is Polish")]}) as model:
        named = {"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic"}
        settings = memory_settings.model_copy(update=named)
        async with open_memory(settings, embedder=embedder) as memory:
            await say(memory, "i'm from poland originally")
            extractor, _ = make_extractor(settings, grade)
            await Learner(memory, extractor).learn("ana")
            await extractor.close()
            assert [fact.text for fact in await memory.facts.list("ana")] == learned
