"""A memory and a learner whose model is scripted: a perfect one, of boats."""

import pytest

from echoic.memory.service import open_memory
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.boats import boats
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel


@pytest.fixture
def model():
    with ScriptedModel(otherwise=boats) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(update={"llm_url": model.url, "llm_model": "scripted"})


@pytest.fixture
async def memory(settings):
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


@pytest.fixture
async def learner(memory, settings):
    extractor, _ = make_extractor(settings)
    yield Learner(memory, extractor)
    await extractor.close()
