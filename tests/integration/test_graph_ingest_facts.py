"""Facts enter a real graph server through real Graphiti as they are, once each, and no model is asked."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from echoic.memory.errors import StoreUnavailable
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.service import open_memory
from echoic.memory.types import About
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from echoic.workers.main import run_worker
from echoic.workers.sweep import sweep_graphs
from tests.fakes import facts
from tests.graph_servers import graph
from tests.integration.graph_ingestion import *  # noqa: F403
from tests.integration.graph_ingestion import feeding, fetch, forget, learn
from tests.remembered import NOW, caller, say

EVERYTHING = (
    "MATCH (n {group_id: $group}) OPTIONAL MATCH (n)-[e]->(m) "
    "RETURN n.uuid, e.uuid, m.uuid ORDER BY n.uuid, e.uuid"
)
ANA, BISCUIT = About("sister", "Ana"), About("dog", "Biscuit")
NAMES = "MATCH (n {group_id: $group}) RETURN n.name"


async def close(memory, fact, at=NOW):
    async def put(connection):
        await memory.facts.end(connection, fact.user_id, fact.fact_id, at)
        await graph_ledger.mark_due(connection, fact.user_id, "other agent", [fact.fact_id])

    await memory.db.transaction(put)


async def test_facts_become_relations_without_a_model_call(settings, embedder, model, user):
    """Who they are about, whom they name, when they were said and what they came from."""
    async with feeding(settings, embedder) as (memory, ingester):
        turn_id = uuid4()
        await learn(memory, user, "Lives in Leeds", names=("Leeds",), turn_ids=(turn_id,))
        await learn(memory, user, "Sister Ana works at Nokia", about=ANA, names=("Ana", "Nokia"))
        report = await ingester.ingest(user)
        rows = graph(settings, user)
        kept = "e.turn_ids[0], toString(e.importance), left(toString(e.reference_time), 10)"
        (kept,) = graph(
            settings, user, f"MATCH ()-[e {{fact: 'Lives in Leeds', group_id: $group}}]->() RETURN {kept}"
        )
    assert rows == [
        ("Caller", "Lives in Leeds", "Leeds", None),
        ("sister Ana", "Sister Ana works at Nokia", "Nokia", None),
    ]
    assert (
        kept[0] == str(turn_id) and float(kept[1]) == 0.5 and kept[2] == f"{NOW - timedelta(days=9):%Y-%m-%d}"
    )
    assert (report.batches, report.relations, model.requests) == (1, 2, [])


async def test_a_replay_of_facts_changes_nothing(settings, embedder, user):
    """Also after the ledger lost what it knew: ids come from the facts."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", names=("Leeds",))
        await learn(memory, user, "Dog is called Biscuit", about=BISCUIT)
        await ingester.ingest(user)
        before = graph(settings, user, EVERYTHING)
        for ledger in ("select 1", "delete from graph_entered"):
            await fetch(memory, ledger)
            await memory.db.transaction(lambda connection: graph_ledger.mark_due(connection, user, "echoic"))
            await ingester.ingest(user)
        after = graph(settings, user, EVERYTHING)
    assert before == after and len(before) == 4


async def test_a_fact_that_ended_ends_its_relation(settings, embedder, user):
    """It stays for questions about the past, in the graph of the agent that was told it."""
    async with feeding(settings, embedder) as (memory, ingester):
        (leeds,) = await learn(memory, user, "Lives in Leeds")
        await ingester.ingest(user)
        await close(memory, leeds)
        await learn(memory, user, "Moved to Lisbon", days=0)
        await ingester.ingest(user)
        rows = graph(settings, user)
    assert [(fact, until and until[:19]) for _, fact, _, until in rows] == [
        ("Lives in Leeds", f"{NOW:%Y-%m-%d}"),
        ("Moved to Lisbon", None),
    ]


async def test_a_name_learned_later_moves_what_was_known_by_the_role(settings, embedder, user):
    """ "Sister" and "Ana" are one node as soon as a fact says so, and none is left behind."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Sister moved to Faro", about=About("sister"), names=("Faro",))
        await ingester.ingest(user)
        assert [source for source, *_ in graph(settings, user)] == ["sister"]
        await learn(memory, user, "Sister is called Ana", about=ANA, names=("Ana",), days=1)
        await ingester.ingest(user)
        assert {source for source, *_ in graph(settings, user)} == {"sister Ana"}
        assert sorted(graph(settings, user, NAMES)) == [("Faro",), ("sister Ana",), ("t",)]


async def test_a_forgotten_fact_leaves_the_graph(settings, embedder, user):
    """With the nodes that nothing joins any more."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", names=("Leeds",))
        (dog,) = await learn(memory, user, "Dog is called Biscuit", about=BISCUIT)
        await ingester.ingest(user)
        await forget(memory, user, "delete from facts where id = $1", dog.fact_id)
        report = await ingester.ingest(user)
        assert (report.removed, [fact for _, fact, *_ in graph(settings, user)]) == (1, ["Lives in Leeds"])
        assert sorted(graph(settings, user, NAMES)) == [("Caller",), ("Leeds",)]


async def test_agents_have_graphs_of_their_own(settings, embedder, user):
    """What one agent was told only its own graph holds; who was told nothing has none."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        await learn(memory, user, "Is a dentist", agent="vera")
        await ingester.ingest(user)
    assert [fact for _, fact, *_ in graph(settings, user)] == ["Lives in Leeds"]
    assert [fact for _, fact, *_ in graph(settings, user, agent="vera")] == ["Is a dentist"]
    assert graph(settings, user, agent="third") == []


async def test_hostile_names_are_only_names(settings, embedder, user):
    """Quotes, Cypher, backslashes, ten thousand letters: kept as text."""
    said = [
        "Friend O'Hara\"}) DETACH DELETE n // likes tea",
        "Boss Émile \\u0000 `Zoë` $ids works at {name: 'X'}",
        "Friend " + "Aa" * 5_000,
    ]
    async with feeding(settings, embedder) as (memory, ingester):
        for text in said:
            await learn(memory, user, text, about=About(*text.split(" ", 1)), names=(text, text[::-1]))
        report = await ingester.ingest(user)
        found = {fact for _, fact, *_ in graph(settings, user)}
    assert not report.dead and found == set(said)


async def test_the_digest_and_the_size_are_noted_and_told(settings, embedder, user):
    """What a call begins with stands in Postgres, and every process hears of it."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", "Dog is called Biscuit")
        await memory.versions.wait_heard()
        before = memory.versions.of(who := caller(user))
        await ingester.ingest(user)
        async with asyncio.timeout(5):
            while memory.versions.of(who) == before:
                await asyncio.sleep(0.01)
        ((edges, digest, due),) = await fetch(
            memory,
            "select edges, digest, (select count(*) from graph_due where user_id = $1) from graph_groups "
            "where user_id = $1",
            user,
        )
        assert (edges, due) == (2, 0)
        assert {one["text"] for one in json.loads(digest)} == {"Lives in Leeds", "Dog is called Biscuit"}


async def test_a_learned_batch_feeds_the_graph(settings, embedder, model, user):
    """The learner's own transaction says that the graph is due."""
    model.otherwise = facts("Sister Ana works at Nokia", about="sister, Ana")
    async with feeding(settings, embedder) as (memory, ingester):
        extractor, _ = make_extractor(settings)
        await say(memory, "My sister Ana works at Nokia.", user_id=user)
        await Learner(memory, extractor).learn(user)
        await extractor.close()
        assert await sweep_graphs(memory, ingester) == 1
        ((source, fact, *_),) = graph(settings, user)
        assert (source, fact) == ("sister Ana", "Sister Ana works at Nokia")
        assert await sweep_graphs(memory, ingester) == 0


async def test_who_wants_nothing_kept_gets_no_graph(settings, embedder, user):
    """Facts learned before a "no" wait, and enter after a "yes"."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        await memory.consents.write(user, "off")
        await ingester.ingest(user)
        assert graph(settings, user) == [] and await sweep_graphs(memory, ingester) == 0
        await memory.consents.write(user, "on")
        assert await sweep_graphs(memory, ingester) == 1 and len(graph(settings, user)) == 1


async def test_the_worker_feeds_the_graph(settings, embedder, model, user):
    """`echoic worker --burst`: facts and graph, and nothing left due."""
    model.otherwise = facts("Sister Ana works at Nokia", about="sister, Ana")
    async with open_memory(settings, embedder=embedder) as memory:
        await say(memory, "My sister Ana works at Nokia.", user_id=user)
        await run_worker(settings, burst=True)
        assert [fact for _, fact, *_ in graph(settings, user)] == ["Sister Ana works at Nokia"]
        assert await fetch(memory, "select from graph_due") == []


async def test_without_its_server_the_graph_waits(settings, embedder, user):
    """Nobody is stopped and nothing counted."""
    wrong = settings.model_copy(update={"falkordb_url": SecretStr("redis://127.0.0.1:1"), "neo4j_url": ""})
    async with feeding(wrong, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        with pytest.raises(StoreUnavailable):
            await ingester.ingest(user)
        assert await sweep_graphs(memory, ingester) == 0
        assert await fetch(memory, "select from batches") == []
