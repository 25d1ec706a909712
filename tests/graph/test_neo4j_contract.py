"""What every graph server must do, on a real Neo4j."""

import pytest

from echoic.memory.config import load_settings
from echoic.memory.graph.backend import open_backend
from tests.embedders import WordEmbedder
from tests.graph_contract import *  # noqa: F403
from tests.graph_contract import GraphitiStore


@pytest.fixture
async def store(neo4j):
    settings = load_settings(
        graph="on", neo4j_url=neo4j.url, neo4j_password=neo4j.password, store_timeout_ms=20_000
    )
    backend = open_backend(settings)
    opened = GraphitiStore(backend, settings, WordEmbedder())
    yield opened
    await opened.close()
    await backend.close()
