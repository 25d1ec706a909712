"""The scores of a search, with the models of this machine."""

import pytest

from echoic.api.mem0.nearest import near, vector_of
from echoic.memory.service import open_memory
from tests.remembered import fact, learn


@pytest.fixture
async def memory(memory_settings, embedder):
    async with open_memory(memory_settings, embedder=embedder) as memory:
        yield memory


@pytest.mark.parametrize("asked", ["Who builds houses?", "Wer baut Häuser?"])
async def test_each_language_is_found_from_any_and_scored_alike(memory, asked):
    """A memory in two languages: each cosine is of one model, and none is the sum of two."""
    await learn(memory, fact("Is an architect"), fact("Ist Architektin"), fact("Likes rain"))
    found = await near(memory, "ana", asked, await vector_of(memory, asked))
    likeness = {one.text: one.likeness for _, one in found}
    assert all(one < 1 for one in likeness.values())
    english, german, rain = (likeness[text] for text in ("Is an architect", "Ist Architektin", "Likes rain"))
    assert min(english, german) > rain > 0, likeness
