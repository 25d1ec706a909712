"""What every graph server must do, on the fake and on FalkorDB; for Neo4j see tests/graph."""

import pytest
from pydantic import SecretStr

from echoic.memory.config import load_settings
from echoic.memory.graph.falkordb.backend import FalkorBackend
from tests.embedders import WordEmbedder
from tests.fake_graph import FakeGraph
from tests.graph_contract import *  # noqa: F403
from tests.graph_contract import FakeStore, GraphitiStore

pytestmark = pytest.mark.timeout(120)  # the first one imports Graphiti


@pytest.fixture(params=["fake", "falkordb"])
async def store(request):
    if request.param == "fake":
        yield FakeStore(FakeGraph())
        return
    url, settings = request.getfixturevalue("falkordb_url"), load_settings(graph="on")
    backend = FalkorBackend(url)
    opened = GraphitiStore(
        backend, settings.model_copy(update={"falkordb_url": SecretStr(url)}), WordEmbedder()
    )
    yield opened
    await opened.close()
    await backend.close()
