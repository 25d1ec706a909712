"""What every test of feeding a graph needs: people with facts, a model, and an open ingester.

Its fixtures come with `import *`, everything else by name.
On another graph server: the same with another `graph_server`.
"""

from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.service import open_memory
from echoic.workers.graph.ingest import open_ingester
from tests.fakes import ScriptedModel
from tests.remembered import NOW, fact

__all__ = ["graph_server", "model", "settings", "user"]


@pytest.fixture
def model():
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def user():
    """The graph server is the session's: each test has people of its own."""
    return f"user-{uuid4().hex[:12]}"


@pytest.fixture
def graph_server(falkordb_url):
    """The settings that name it."""
    return {"falkordb_url": SecretStr(falkordb_url)}


@pytest.fixture
def settings(memory_settings, graph_server, model):
    named = {"graph": "on", "llm_url": model.url, "llm_model": "scripted", "learn_turns": 4}
    return memory_settings.model_copy(update=named | graph_server)


@asynccontextmanager
async def feeding(settings, embedder):
    async with open_memory(settings, embedder=embedder) as memory:
        ingester = open_ingester(memory)
        try:
            yield memory, ingester
        finally:
            await ingester.close()


async def learn(memory, user, *texts, days=9, agent="echoic", **fields):
    """Facts as a learner leaves them: in Postgres, and their graph due."""
    learned = [
        fact(text, user, agent_id=agent, said_at=NOW - timedelta(days=days), **fields) for text in texts
    ]
    vectors = await memory.embedder.embed_batch(list(texts))

    async def put(connection):
        await memory.facts.add(connection, learned, vectors)
        await graph_ledger.mark_due(connection, user, agent)

    await memory.db.transaction(put)
    return learned


async def forget(memory, user, sql, *args):
    """What `sql` removes, as whoever forgets it removes it: the graph has to follow."""

    async def drop(connection):
        await connection.execute(sql, *args)
        await graph_ledger.mark_behind(connection, user)

    await memory.db.transaction(drop)


async def fetch(memory, sql, *args):
    return [tuple(row) for row in await memory.db.run(lambda connection: connection.fetch(sql, *args))]
