"""Feeding the graph while things die: FalkorDB's tests on Neo4j, and a save cut off between transactions."""

import pytest

from tests.graph_servers import kinds, relations, saves_held
from tests.integration.graph_ingestion import feeding, say
from tests.integration.test_graph_ingest_faults import *  # noqa: F403
from tests.integration.test_graph_ingest_faults import wait_up_to_date, working
from tests.worker_process import wait_until


@pytest.fixture
def graph_server(neo4j):
    return neo4j.settings


@pytest.fixture
def own_server(neo4j):
    """All tests' own: whoever kills it starts it again."""
    return neo4j


async def test_killed_between_an_episode_and_its_call(episodes, embedder, user):
    """kill -9 after the words were saved and before the ledger knows: they are entered once all the same."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", days=9)
        await ingester.ingest(user)
        await say(memory, user, "My sister Ana lives in Porto.", days=8)
        with working(episodes) as process:
            async with saves_held(episodes, user, "Saga") as waiting:
                await memory.jobs.enqueue_graph(user)
                await wait_until(waiting)
                assert len(relations(episodes, user)) == 2, "half of it stands there"
                process.kill()
                process.wait()
        await wait_up_to_date(ingester, memory, user)
        assert relations(episodes, user) == [("Ana lives in Porto", None), ("Caller lives in Berlin", None)]
        assert kinds(episodes, user) == {
            "Entity": 4,
            "Episodic": 2,
            "Saga": 1,
            "MENTIONS": 5,
            "RELATES_TO": 2,
            "HAS_EPISODE": 2,
            "NEXT_EPISODE": 1,
        }
