"""A memory and a learner whose model is scripted: it writes down each boat."""

import pytest

from echoic.memory.service import open_memory
from tests.boats import learning, noting_boats
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel


@pytest.fixture
def model():
    with ScriptedModel(otherwise=noting_boats) as model:
        yield model


@pytest.fixture
async def memory(memory_settings, model):
    named = {"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic"}
    settings = memory_settings.model_copy(update=named)
    async with open_memory(settings, embedder=WordEmbedder(dimensions=256)) as memory:
        yield memory


@pytest.fixture
async def learner(memory):
    async with learning(memory) as learner:
        yield learner
