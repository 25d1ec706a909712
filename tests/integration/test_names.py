"""Names: told to the ears as Postgres holds them, and found when they were misheard."""

from datetime import timedelta

import pytest

from echoic.memory.recall import call_corpus
from echoic.memory.service import open_memory
from echoic.memory.text.sounds import Sounds
from echoic.memory.types import About
from tests.embedders import WordEmbedder
from tests.integration.test_held import ask, open_held, say
from tests.remembered import NOW, caller, fact, learn


@pytest.fixture
async def memory(memory_settings):
    settings = memory_settings.model_copy(update={"embedding_model": "words", "embedding_dimensions": 64})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def test_the_names_of_a_caller(memory):
    """Each once, of live facts that this agent may see, the most important first; none of another caller."""
    await learn(
        memory,
        fact("Xochitl lives in Tartu", names=("Xochitl", "Tartu"), importance=0.4),
        fact("Is married to Tadhg", about=About("husband", "Tadhg"), names=("Tadhg",), importance=0.9),
        fact("A whole sentence", names=("w" * 61,)),
        fact("Lived with Ngozi", names=("Ngozi",), valid_until=NOW - timedelta(days=1)),
        fact("Of another agent", names=("Kaveh",), scope="agent", agent_id="other"),
        fact("Of another caller", "ben", names=("Miso",)),
    )
    call = await memory.open_call(caller())
    await call.wait_loaded()
    assert call.names[0] == "Tadhg" and sorted(call.names) == ["Tadhg", "Tartu", "Xochitl"]
    assert await memory.facts.names(caller(), 1) == ("Tadhg",)


async def test_the_names_of_a_linked_id_are_the_callers_too(memory):
    """From the next call on, and until the link is taken back."""
    await learn(memory, fact("Has a brother", names=("Ngozi",)), fact("Knows", "tel", names=("Kaveh",)))
    await memory.links.add("ana", "tel", made_by="a test")
    call = await memory.open_call(caller())
    await call.wait_loaded()
    assert sorted(call.names) == ["Kaveh", "Ngozi"]
    await memory.links.remove("ana", "tel")
    later = await memory.open_call(caller())
    await later.wait_loaded()
    assert later.names == ("Ngozi",)


async def test_a_misheard_name_is_found(memory):
    """Told before this call and during it, though the question's words are nowhere; what is stored stays as
    it is."""
    who = caller()
    earlier = await open_held(memory, who)
    await say(memory, earlier, "Zbigniew repairs violins", "The garden is behind the bridge")
    now = caller()
    call = await open_held(memory, now)
    assert (await ask(memory, now, "Zbignou"))[0].text == "Zbigniew repairs violins"
    await say(memory, call, "Ottoline keeps bees")
    assert (await ask(memory, now, "Ottiline"))[0].text == "Ottoline keeps bees"
    assert "Zbignou" not in str(await memory.turns.list(now.user_id))


async def test_a_known_word_is_not_taken_for_another(memory):
    """Somebody of that very name is there."""
    who = caller()
    call = await open_held(memory, who)
    await say(memory, call, "Isidora met Ottoline", "Isidore met Ottoline")
    assert (await ask(memory, who, "Isidore"))[0].text == "Isidore met Ottoline"


async def test_known_words_cost_nothing(memory, monkeypatch):
    """No word is taken by its sound as long as memory knows them all."""

    def asked(self, heard):
        raise AssertionError("looked up by sound")

    who = caller()
    call = await open_held(memory, who)
    await say(memory, call, "Zbigniew repairs violins")
    monkeypatch.setattr(Sounds, "like", asked)
    monkeypatch.setattr(call_corpus, "Sounds", asked)
    assert await ask(memory, who, "What does Zbigniew repair?")
