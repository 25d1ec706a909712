"""Mem0 beside us: its pipeline as a setting, and its own search on the table that we write."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.errors import ModelUnavailable
from echoic.memory.service import open_memory
from echoic.memory.types import Evidence
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.fakes import ScriptedModel, facts, operation
from tests.remembered import NOW, fact, say

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)


PETS = {"Biscuit": "Dog is called Biscuit", "Miso": "Cat is called Miso", "Storm": "Horse is called Storm"}
OURS = "operations"


def pipeline(request):
    """What a model answers to Mem0's prompt, and to ours after it."""
    asked, ours = request["messages"][-1]["content"], name_of(request) == OURS
    new = asked.rpartition("Use exactly these")[2] if ours else asked.partition("## New Messages")[2]
    text = next(pet for name, pet in PETS.items() if name in new)
    if ours:
        return facts(text, topic="pets", weight=9)
    return {"memory": [{"id": "0", "text": text, "attributed_to": "user"}]}


def name_of(request):
    """Of the JSON schema of the answer; Mem0 asks for any object."""
    return request.get("response_format", {}).get("json_schema", {}).get("name", "")


@pytest.fixture
def model():
    with ScriptedModel(otherwise=pipeline) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(
        update={"llm_url": model.url, "llm_model": "scripted", "extractor": "mem0"}
    )


@pytest.fixture
async def memory(settings):
    async with open_memory(settings) as memory:
        yield memory


@pytest.fixture
async def learner(memory, settings):
    extractor, _ = make_extractor(settings)
    yield Learner(memory, extractor)
    await extractor.close()


async def test_mem0s_pipeline_learns_in_our_transaction(memory, learner, model):
    """Its texts, our topics, weights and evidence; two calls, none of them to a store of its own."""
    (turn,) = await say(memory, "My dog is called Biscuit.")
    await learner.learn("ana")
    (fact,) = await memory.facts.list("ana")
    assert (fact.text, fact.topic, fact.importance) == ("Dog is called Biscuit", "pets", 1.0)
    assert fact.turn_ids == (turn.turn_id,)
    assert fact.evidence == (Evidence(turn.turn_id, "My dog is called Biscuit."),)
    assert [name_of(request) for request in model.requests] == ["", OURS]


async def test_only_mem0s_sentences_are_filed(memory, learner, model):
    """Our call says what they rest on and what they end; it may neither change one nor add another."""
    await say(memory, "My dog is called Biscuit.")
    await learner.learn("ana")
    await say(memory, "No, my cat is called Miso, and I live in Leeds.")
    told = [
        operation("Cat is called Miso", op="replace 1"),
        operation("Cat's name is Miso"),
        operation("Lives in Leeds"),
    ]
    model.answers = [pipeline, {"operations": told}]
    await learner.learn("ana")
    wanted = model.requests[-1]["response_format"]["json_schema"]["schema"]["properties"][OURS]["items"]
    assert wanted["properties"]["fact"]["enum"] == ["Cat is called Miso", ""]
    assert [fact.text for fact in await memory.facts.list("ana")] == ["Cat is called Miso"]


async def test_what_the_turns_do_not_say_is_not_learned_from_mem0_either(memory, learner, model):
    """Its sentences are held against the caller's words like any model's."""
    rex = "Dog is called Rex"
    model.answers = [{"memory": [{"id": "0", "text": rex, "attributed_to": "user"}]}, facts(rex)]
    await say(memory, "My dog is called Biscuit.")
    await learner.learn("ana")
    assert model.answers == [] and await memory.facts.list("ana") == []


async def test_one_persons_messages_never_reach_anothers_prompt(memory, learner, model):
    """Mem0 re-sends the last messages it has seen; each batch has an instance of its own."""
    await say(memory, "My dog is called Biscuit.", user_id="ana")
    await learner.learn("ana")
    await say(memory, "My cat is called Miso.", user_id="bo")
    await learner.learn("bo")
    await say(memory, "My horse is called Storm.", user_id="ana")
    await learner.learn("ana")
    asked = [str(request["messages"]) for request in model.requests]
    assert not any("Biscuit" in text and "Miso" in text for text in asked)
    assert "My dog is called Biscuit." not in asked[-2]


async def test_garbage_is_a_failure_and_an_outage_is_not(memory, learner, model):
    """Mem0 logs the one and would learn nothing; both are raised here."""
    await say(memory, "My dog is called Biscuit.")
    model.answers = ["I cannot do that.", 503]
    assert (await learner.learn("ana")).failed
    with pytest.raises(ModelUnavailable):
        await learner.learn("ana", hurry=True)
    assert (await learner.learn("ana", hurry=True)).facts == 1


async def test_mem0_writes_nothing_into_the_home_folder(memory, learner, monkeypatch):
    """And sends nothing to anybody."""
    await say(memory, "My dog is called Biscuit.")
    await learner.learn("ana")
    assert sys.modules["mem0.memory.telemetry"].MEM0_TELEMETRY is False


class OurEmbedder:
    """Behind Mem0's factory: the same vectors that the facts have."""

    shared = None

    def __init__(self, config):
        self.config = config

    def embed(self, text, memory_action=None):
        return OurEmbedder.shared.embed_now([text])[0].tolist()

    def embed_batch(self, texts, memory_action=None):
        return OurEmbedder.shared.embed_now(list(texts)).tolist()


class NoModel:
    """Search asks no model."""

    def __init__(self, config):
        self.config = config


def mem0_reader(memory):
    """A plain `AsyncMemory` on our table, as anybody would set it up."""
    from echoic.workers.mem0.parts import load_mem0

    load_mem0()
    from mem0 import AsyncMemory
    from mem0.configs.llms.base import BaseLlmConfig
    from mem0.utils.factory import EmbedderFactory, LlmFactory

    OurEmbedder.shared = memory.embedder
    EmbedderFactory.provider_to_class["huggingface"] = f"{__name__}.OurEmbedder"
    LlmFactory.provider_to_class["lmstudio"] = (f"{__name__}.NoModel", BaseLlmConfig)
    store = {
        "connection_string": memory.settings.database_url.get_secret_value(),
        "collection_name": "facts",
        "embedding_model_dims": LOCAL_DIMENSIONS,
        "hnsw": False,
    }
    config = {
        "history_db_path": ":memory:",
        "llm": {"provider": "lmstudio", "config": {"model": "none"}},
        "embedder": {"provider": "huggingface", "config": {"embedding_dims": LOCAL_DIMENSIONS}},
        "vector_store": {"provider": "pgvector", "config": store},
    }
    return AsyncMemory.from_config(config)


async def test_mem0_reads_and_searches_what_we_wrote(memory, learner):
    """Unchanged `AsyncMemory`: live facts are found with their keys, closed ones and other people's never."""
    await say(memory, "My dog is called Biscuit.")
    await learner.learn("ana")
    closed = fact("Dog is called Rex", said_at=NOW - timedelta(days=3))
    others = fact("Dog is called Bruno", "bo")
    vectors = await memory.embedder.embed_batch([closed.text, others.text])

    async def plant(connection):
        await memory.facts.add(connection, [closed, others], vectors)
        await memory.facts.end(connection, "ana", closed.fact_id, datetime.now(UTC))

    await memory.db.transaction(plant)
    reader = mem0_reader(memory)
    try:
        found = (await reader.search("what is my dog called?", filters={"user_id": "ana"}))["results"]
        listed = (await reader.get_all(filters={"user_id": "ana"}))["results"]
    finally:
        await asyncio.to_thread(reader.vector_store.connection_pool.close)
        reader.close()
    assert [row["memory"] for row in found] == [row["memory"] for row in listed] == ["Dog is called Biscuit"]
    assert found[0]["metadata"]["topic"] == "pets" and found[0]["score"] > 0.3


async def test_the_default_extractors_facts_are_read_by_mem0_too(memory, memory_settings, model):
    """The same table, whoever extracted."""
    model.otherwise = facts("Dog is called Biscuit")
    settings = memory_settings.model_copy(
        update={"llm_url": model.url, "llm_model": "scripted", "extractor": "echoic"}
    )
    extractor, _ = make_extractor(settings)
    await say(memory, "My dog is called Biscuit.")
    await Learner(memory, extractor).learn("ana")
    await extractor.close()
    reader = mem0_reader(memory)
    try:
        (row,) = (await reader.get_all(filters={"user_id": "ana"}))["results"]
    finally:
        await asyncio.to_thread(reader.vector_store.connection_pool.close)
        reader.close()
    assert row["memory"] == "Dog is called Biscuit"
