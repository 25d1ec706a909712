"""From the words of a call to the graph and back, on the real stores: recalled, forgotten, exported, erased.

No model is asked.
"""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import redis

from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.graph.groups import group_of
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.forget import forget
from echoic.memory.service import open_memory
from echoic.memory.types import Caller, ForgetRequest
from echoic.workers.graph.ingest import open_ingester
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.integration.test_account import Learns, settled

SISTER, TOWN = "My sister Xylquor lives in Braga.", "I work at the harbour in Porto."


@pytest.fixture
def user_id() -> str:
    """All tests share one graph server: nobody meets another test's people there."""
    return f"ana-{uuid4().hex}"


@pytest.fixture
async def memory(memory_settings, falkordb_url):
    settings = memory_settings.model_copy(
        update={
            "graph": "on",
            "falkordb_url": type(memory_settings.falkordb_url)(falkordb_url),
        }
    )
    async with open_memory(settings, embedder=WordEmbedder()) as opened:
        yield opened


@pytest.fixture
async def ingester(memory):
    opened = open_ingester(memory)
    yield opened
    await opened.close()


async def a_call(memory, user_id):
    return await memory.open_call(Caller(user_id, "echoic", uuid4().hex))


async def told(memory, ingester, user_id, *texts):
    """Said in a call, learned and entered."""
    call = await a_call(memory, user_id)
    turns = [await call.record(uuid4().hex, "user", text) for text in texts]
    await settled(memory)
    extractor = Learns()
    extractor.go.set()
    await Learner(memory, extractor).learn(user_id)
    await ingester.ingest(user_id)
    return call, turns


def graphs_of(falkordb_url) -> set[str]:
    with redis.Redis.from_url(falkordb_url) as client:
        return {name.decode() for name in client.execute_command("GRAPH.LIST")}


async def test_what_was_learned_is_found_in_both_and_said_once(memory, ingester, user_id):
    """Facts and graph both answer, and the block has one line that names both."""
    await told(memory, ingester, user_id, SISTER, TOWN)
    later = await a_call(memory, user_id)
    found = await later.recall("where does Xylquor live")
    assert found.tiers["graph"].status == "ok" and found.tiers["facts"].status == "ok"
    assert [item.tier for item in found.used if "Said: My sister" in item.text] == ["facts+graph"]
    assert found.block.count("Said: My sister") == 1


async def test_asking_about_a_stranger_makes_no_graph(memory, user_id, falkordb_url):
    """FalkorDB makes a graph for any query that names one; ours leave the server as it was."""
    before = graphs_of(falkordb_url)
    call = await a_call(memory, user_id)
    assert (await call.recall("where does my sister live")).tiers["graph"].status == "empty"
    await memory.graph.search(
        group_of(user_id, "echoic"),
        vector=None,
        words=["sister"],
        past=False,
        now=datetime.now(UTC),
        limit=5,
        edges=9,
    )
    assert graphs_of(falkordb_url) == before


async def test_what_is_forgotten_leaves_the_graph(memory, ingester, user_id):
    """At once for every call, and from the server when the worker has been; the rest stands there again."""
    call, (sister, _) = await told(memory, ingester, user_id, SISTER, TOWN)
    group = group_of(user_id, "echoic")
    assert "Xylquor" in json.dumps(await memory.graph.export(group))
    await forget(call, ForgetRequest(frozenset({sister.turn_id})))
    assert "Xylquor" not in str(await (await a_call(memory, user_id)).recall("where does Xylquor live"))
    await ingester.ingest(user_id)
    assert "Xylquor" not in json.dumps(await memory.graph.export(group))
    found = await (await a_call(memory, user_id)).recall("where do I work")
    assert found.tiers["graph"].status == "ok" and "harbour" in found.block


async def test_a_fact_that_ended_is_told_only_to_who_asks_about_the_past(memory, ingester, user_id):
    """In the present it is not found; asked what was before, it comes with its end."""
    await told(memory, ingester, user_id, TOWN)
    (fact,) = await memory.facts.list(user_id)

    async def end(connection):
        await memory.facts.end(connection, user_id, fact.fact_id, fact.said_at)
        await graph_ledger.mark_due(connection, user_id, "echoic", [fact.fact_id])

    await memory.db.transaction(end)
    await ingester.ingest(user_id)
    call = await a_call(memory, user_id)
    now, then = (
        await call.recall("tell me about the harbour in Porto please"),
        await call.recall("where did I work before, at the harbour"),
    )
    assert now.tiers["graph"].status == "empty" and then.tiers["graph"].status == "ok"
    assert [item.tier for item in then.used if item.kind == "fact"] == [
        "facts+graph"
    ] and "true until" in then.block


async def test_export_and_erase_reach_the_server_and_nobody_else(memory, ingester, user_id, falkordb_url):
    """The other person's graph still answers, and who comes back begins anew."""
    bob = f"bob-{uuid4().hex}"
    await told(memory, ingester, user_id, SISTER)
    await told(memory, ingester, bob, TOWN)
    (graph,) = (await export_user(memory, user_id))["graphs"]
    assert "Xylquor" in json.dumps(graph) and "harbour" not in json.dumps(graph)
    report = await erase_user(memory, user_id)
    assert (report.graphs, report.unfinished) == (1, ())
    mine, his = group_of(user_id, "echoic"), group_of(bob, "echoic")
    assert mine not in graphs_of(falkordb_url) and his in graphs_of(falkordb_url)
    assert "harbour" in (await (await a_call(memory, bob)).recall("where do I work")).block
    await told(memory, ingester, user_id, "I have a new goldfish.")
    assert "Xylquor" not in json.dumps(await memory.graph.export(mine)) and "goldfish" in json.dumps(
        await memory.graph.export(mine)
    )
