"""Reading from a real Neo4j: pages of a large group, and a server that hangs, dies, is slow or too old."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import numpy as np
import pytest

from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid, StoreTimeout, StoreUnavailable
from echoic.memory.graph.backend import open_backend
from echoic.memory.graph.groups import group_of
from echoic.memory.graph.neo4j import driver as graph_neo4j_driver
from echoic.memory.graph.neo4j import queries as queries
from echoic.memory.graph.neo4j.driver import GRACE_S

LIMIT_S = 1.0
SLACK_S = 5.0
"""Of a busy machine; a server that is halted would never answer."""
EDGES = queries.EXACT_EDGES + 250
ENDLESS = (
    "UNWIND range(1, 9999) AS a UNWIND range(1, 9999) AS b UNWIND range(1, 9999) AS c "
    "RETURN [[count(*)]] AS rows"
)
ENTER = """UNWIND $edges AS edge MERGE (s:Entity {uuid: $group + 's', group_id: $group, name: 'Caller'})
    MERGE (t:Entity {uuid: $group + edge.id, group_id: $group, name: edge.fact})
    MERGE (s)-[e:RELATES_TO {uuid: edge.id}]->(t)
    SET e.group_id = $group, e.fact = edge.fact, e.created_at = datetime()
    WITH e, edge CALL db.create.setRelationshipVectorProperty(e, 'fact_embedding', edge.vector)
    RETURN collect([1]) AS rows"""
INDEX = "CREATE INDEX relation_uuid IF NOT EXISTS FOR ()-[e:RELATES_TO]-() ON (e.uuid)"
PAGES = "MATCH (p:EdgePage) WHERE p.group_id = $group RETURN collect([size(p.ids)]) AS rows"


def settings(neo4j, **fields):
    return load_settings(
        **{
            "graph": "on",
            "neo4j_url": neo4j.url,
            "neo4j_password": neo4j.password,
            "store_timeout_ms": 30_000,
        }
        | fields
    )


@pytest.fixture
async def backend(neo4j):
    backend = open_backend(settings(neo4j))
    yield backend
    await backend.close()


@pytest.fixture
async def hasty(neo4j):
    """A server that a test may halt and kill, and a backend that waits a second."""
    backend = open_backend(settings(neo4j, store_timeout_ms=int(LIMIT_S * 1000)))
    for _ in range(60):  # its first queries are planned, which takes a while on a busy machine
        try:
            await ask(backend, group_of("nobody", ""), np.ones(16, np.float32), EDGES)
            break
        except StoreTimeout:
            continue
    yield backend
    neo4j.resume_conversation()
    await backend.close()


@pytest.fixture
def group():
    return group_of(uuid4().hex, "echoic")


def vectors(count: int, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


async def enter(backend, group, vectors, ids=None) -> list[UUID]:
    ids = ids or [uuid4() for _ in vectors]
    await backend._driver.ask(INDEX, {}, 60, write=True)
    edges = [
        {"id": str(one), "fact": f"fact {at}", "vector": row.tolist()}
        for at, (one, row) in enumerate(zip(ids, vectors, strict=True))
    ]
    await backend._driver.ask(ENTER, {"group": group, "edges": edges}, 60, write=True)
    return ids


async def ask(backend, group, vector, edges) -> list[UUID]:
    found = await backend.search(
        group, vector=vector, words=[], past=False, now=datetime.now(UTC), limit=5, edges=edges
    )
    return [relation.edge_id for relation in found]


async def page_sizes(backend, group) -> list[int]:
    return sorted(size // 16 for (size,) in await backend._driver.ask(PAGES, {"group": group}, 30))


async def test_pages_find_what_comparing_all_would(backend, group):
    """The best five of 550 by their packed vectors are the best five, with the same scores."""
    rows = vectors(EDGES)
    ids = await enter(backend, group, rows)
    await backend.refresh(group)
    assert await page_sizes(backend, group) == [EDGES - 500, 500]
    for asked in vectors(5, seed=2):
        best = [ids[at] for at in np.argsort(-(rows @ asked))[:5]]
        found = await backend.search(
            group, vector=asked, words=[], past=False, now=datetime.now(UTC), limit=5, edges=EDGES
        )
        assert set(best[:4]) <= {one.edge_id for one in found}
        assert found[0].score == pytest.approx(float((rows @ asked).max()), abs=0.02)


async def test_pages_follow_the_edges(backend, group):
    """A refresh finds new edges, loses removed ones, and finds one that changed by its new vector."""
    rows = vectors(EDGES)
    ids = await enter(backend, group, rows)
    await backend.refresh(group)
    (new,) = await enter(backend, group, vectors(1, seed=3))
    assert new not in await ask(backend, group, vectors(1, seed=3)[0], EDGES)
    await backend.refresh(group)
    assert (await ask(backend, group, vectors(1, seed=3)[0], EDGES))[0] == new
    assert await page_sizes(backend, group) == [EDGES - 499, 500]
    gone = "MATCH ()-[e:RELATES_TO {uuid: $id}]->() DELETE e RETURN collect([1]) AS rows"
    await backend._driver.ask(gone, {"id": str(ids[0])}, 30, write=True)
    assert ids[0] not in await ask(backend, group, rows[0], EDGES), "before a refresh"
    await backend.refresh(group)
    assert sum(await page_sizes(backend, group)) == EDGES
    await enter(backend, group, vectors(EDGES, seed=4)[1:], ids[1:])
    await backend.refresh(group)
    assert (await ask(backend, group, vectors(EDGES, seed=4)[7], EDGES))[0] == ids[7]


async def test_pages_of_two_lengths(backend, group):
    """While another embedding model takes over: no fault, and its own vectors are found."""
    ids = await enter(backend, group, vectors(EDGES))
    longer = np.concatenate([vectors(3, seed=5), np.zeros((3, 16), np.float32)], axis=1)
    await enter(backend, group, longer, ids[:3])
    await backend.refresh(group)
    assert (await ask(backend, group, longer[0], EDGES))[0] == ids[0]


async def test_small_group_has_no_pages_and_erasing_leaves_none(backend, group):
    """A group that shrank gives its pages up; an erased one has none."""
    ids = await enter(backend, group, vectors(EDGES))
    await backend.refresh(group)
    await backend._driver.ask(
        "MATCH ()-[e:RELATES_TO]->() WHERE e.group_id = $group AND e.uuid IN $ids DELETE e "
        "RETURN collect([1]) AS rows",
        {"group": group, "ids": list(map(str, ids[10:]))},
        30,
        write=True,
    )
    await backend.refresh(group)
    assert await page_sizes(backend, group) == []
    await enter(backend, group, vectors(EDGES, seed=6))
    await backend.refresh(group)
    await backend.erase(group)
    assert await page_sizes(backend, group) == [] and await backend.count(group) == 0


async def test_large_group_without_pages(backend, group):
    """One that somebody else filled: found all the same."""
    rows = vectors(EDGES)
    ids = await enter(backend, group, rows)
    assert (await ask(backend, group, rows[9], EDGES))[0] == ids[9]


async def test_hung_server(neo4j, hasty, group):
    """Over within the limit, on a warm connection and on cold ones; as if nothing had been afterwards."""
    neo4j.halt()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await ask(hasty, group, vectors(1)[0], EDGES)
        assert time.monotonic() - began < LIMIT_S + GRACE_S + SLACK_S
    began = time.monotonic()
    await hasty.close()
    assert time.monotonic() - began < SLACK_S
    neo4j.resume_conversation()
    assert await hasty.count(group) == 0


async def test_given_up_question_leaves_nothing_behind(neo4j, hasty, group):
    """The answer to a question that was given up is not the answer to the next."""
    neo4j.halt()
    asked = asyncio.create_task(hasty.count(group))
    await asyncio.sleep(0.1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    neo4j.resume_conversation()
    assert await hasty.relations(group) == []


async def test_slow_query_is_ended_by_the_server(hasty):
    """Not just given up."""
    with pytest.raises(StoreTimeout):
        await hasty._driver.ask(ENDLESS, {}, LIMIT_S)
    running = (
        "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH 'UNWIND range(1, 9999)' "
        "RETURN collect([1]) AS rows"
    )
    deadline = time.monotonic() + 10
    while await hasty._driver.ask(running, {}, 10):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_killed_in_the_middle(neo4j, group):
    """At once; and found again when it is back."""
    backend = open_backend(settings(neo4j, store_timeout_ms=20_000))
    try:
        await backend.ping()
        slow = asyncio.create_task(backend._driver.ask(ENDLESS, {}, 20.0))
        await asyncio.sleep(0.5)
        neo4j.kill()
        try:
            with pytest.raises(StoreUnavailable):
                await slow
            with pytest.raises(StoreUnavailable, match="ECHOIC_NEO4J_URL"):
                await backend.count(group)
        finally:
            neo4j.start()
        assert await backend.count(group) == 0
    finally:
        await backend.close()


async def test_wrong_settings(neo4j, group):
    """Each a sentence that names what to set."""
    wrong = {
        "ECHOIC_NEO4J_PASSWORD": {"neo4j_password": "wrong-horse-battery"},
        "ECHOIC_NEO4J_DATABASE": {"neo4j_database": "elsewhere"},
    }
    for variable, fields in wrong.items():
        backend = open_backend(settings(neo4j, **fields))
        with pytest.raises(ConfigInvalid, match=variable):
            await backend.count(group)
        await backend.close()


async def test_too_old(neo4j, group, monkeypatch):
    """Said before anything is asked of it; of a real older one: test_neo4j_doctor.py."""
    monkeypatch.setattr(graph_neo4j_driver, "OLDEST", (99, 0))
    backend = open_backend(settings(neo4j))
    with pytest.raises(ConfigInvalid, match=r"5\.26"):
        await ask(backend, group, vectors(1)[0], 1)
    await backend.close()
