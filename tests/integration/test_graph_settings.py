"""A graph whose settings are wrong costs a sentence, never a call, a turn or a fact."""

import logging
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from echoic.memory.graph.groups import group_of
from echoic.memory.privacy.erase import erase_user
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from echoic.workers.flush import flush_user
from echoic.workers.main import run_worker
from tests.fakes import ScriptedModel, facts

USER = "ana"
WRONG = {
    "two addresses": {"falkordb_url": SecretStr("redis://localhost:1"), "neo4j_url": "bolt://localhost:1"},
    "no address": {},
    "not an address": {"falkordb_url": SecretStr("over there")},
}


@pytest.fixture
def model():
    with ScriptedModel(otherwise=facts("Has a boat called Petrel")) as model:
        yield model


@pytest.fixture
def settings(memory_settings, model):
    return memory_settings.model_copy(update={"llm_url": model.url, "llm_model": "scripted", "graph": "on"})


async def say(memory, text):
    call = await memory.open_call(Caller(USER, "echoic", f"call-{text}"))
    await call.record("item", "user", text, datetime.now(UTC))
    return call


@pytest.mark.parametrize("wrong", WRONG)
async def test_the_call_goes_on_and_the_log_says_why(settings, wrong, caplog):
    """The reply has the fact, the graph is no tier of this process, and one line names the setting."""
    with caplog.at_level(logging.ERROR, "echoic.memory"):
        async with open_memory(settings.model_copy(update=WRONG[wrong])) as memory:
            call = await say(memory, "My boat is called Petrel.")
            recall = await call.recall("what is my boat called?")
            assert "Petrel" in recall.block and "graph" not in recall.tiers
            assert "ECHOIC_FALKORDB_URL" in memory.graph_fault
    (said,) = [record for record in caplog.records if record.getMessage() == "graph.not_usable"]
    assert "ECHOIC_FALKORDB_URL" in said.reason


async def test_a_worker_learns_all_the_same(settings, caplog):
    """Two addresses, or one where nobody is."""
    nobody = {"falkordb_url": SecretStr("redis://localhost:1")}
    for number, wrong in enumerate((WRONG["two addresses"], nobody)):
        told = settings.model_copy(update=wrong)
        async with open_memory(told) as memory:
            await say(memory, f"My boat is called Petrel, said {number}.")
            await run_worker(told, burst=True)
            assert [fact.text for fact in await memory.facts.list(USER)] == ["Has a boat called Petrel"]
    assert {"graph.not_usable", "sweep.graphs_not_fed"} <= {record.getMessage() for record in caplog.records}


async def test_flush_feeds_the_graph(settings, falkordb_url):
    """Facts learned, and relations entered, when the command returns."""
    async with open_memory(settings.model_copy(update={"falkordb_url": SecretStr(falkordb_url)})) as memory:
        await say(memory, "My boat is called Petrel.")
        assert (
            await flush_user(memory, USER)
            == "Learned 1 facts from 1 turns. Entered 1 relations in the graph."
        )
        assert await memory.graph.count(group_of(USER, "echoic")) == 1
        await erase_user(memory, USER)


async def test_flush_says_what_stands_in_the_graphs_way(settings):
    """What was learned is told first; then that the graph is behind, and why."""
    async with open_memory(
        settings.model_copy(update={"falkordb_url": SecretStr("redis://localhost:1")})
    ) as memory:
        await say(memory, "My boat is called Petrel.")
        said = await flush_user(memory, USER)
        assert said.startswith(
            "Learned 1 facts from 1 turns. The graph is not up to date (FalkorDB cannot be reached"
        )
