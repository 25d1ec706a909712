"""Learning for clients' suites: the model is scripted, and everything else is as it is."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.fakes import ScriptedModel, facts

DOG = facts("Has a dog called Biscuit", topic="pets", sub_topic="dog")


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel(otherwise=DOG) as model:
        yield model


@pytest.fixture
def memory_settings(memory_settings, model):
    return memory_settings.model_copy(update=scripted_by(model))


def scripted_by(model: ScriptedModel) -> dict[str, Any]:
    """Settings that have it learn."""
    return {"llm_url": model.url, "llm_model": "scripted", "model_timeout_s": 2, "extractor": "echoic"}


@pytest.fixture
async def learn_now(memory) -> AsyncIterator[Callable[[str], Awaitable[Any]]]:
    """Learn what one person's turns say, as a worker does."""
    extractor, _ = make_extractor(memory.settings)
    yield Learner(memory, extractor).learn
    await extractor.close()
