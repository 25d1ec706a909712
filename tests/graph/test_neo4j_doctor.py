"""`echoic doctor` on a real Neo4j: what is wrong with it stands in a sentence that says what to do."""

from pathlib import Path

import pytest

from echoic.local.admin.doctor import examine
from echoic.local.admin.finding import Finding
from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid
from tests.graph.neo4j_server import Neo4jServer, class_path

OLDER = "5.25.1"


async def graph_finding(url: str, password: str) -> Finding:
    settings = load_settings(graph="on", neo4j_url=url, neo4j_password=password, llm_api_key="a-key")
    async for finding in examine(settings, "none", ""):
        if finding.part == "Graph":
            return finding
    raise AssertionError("doctor says nothing of the graph")


async def test_one_that_answers_is_well(neo4j: Neo4jServer):
    """The finding names the version and how long the answer took."""
    found = await graph_finding(neo4j.url, neo4j.password)
    assert found.state == "ok" and "5.26" in found.says and "answers in" in found.says


async def test_wrong_password(neo4j: Neo4jServer):
    """It names the setting that holds the password."""
    found = await graph_finding(neo4j.url, "wrong-horse-battery")
    assert found.state == "broken" and "ECHOIC_NEO4J_PASSWORD" in found.says


async def test_nobody_there():
    """An address where nothing listens is a broken Neo4j, not a traceback."""
    found = await graph_finding("bolt://127.0.0.1:1", "any")
    assert found.state == "broken" and "Neo4j" in found.says


async def test_one_that_hangs(neo4j: Neo4jServer):
    """Said within seconds, and the other parts are still to come."""
    neo4j.halt()
    try:
        found = await graph_finding(neo4j.url, neo4j.password)
    finally:
        neo4j.resume_conversation()
    assert found.state == "broken"


@pytest.mark.timeout(600)  # fetches that version first, 116 MB
async def test_one_that_is_too_old(tmp_path: Path):
    """It answers the same protocol, and would fail later, at a query it does not know."""
    older = Neo4jServer(tmp_path / "older", class_path(OLDER))
    older.start()
    try:
        found = await graph_finding(older.url, older.password)
    finally:
        older.stop()
    assert found.state == "broken" and OLDER in found.says and "5.26" in found.says


@pytest.mark.parametrize("url", ["http://127.0.0.1:7474", "nonsense"])
async def test_an_address_that_is_none(url: str):
    """Another scheme, or no address at all, is refused as it is read, with the setting to mend."""
    with pytest.raises(ConfigInvalid, match="ECHOIC_NEO4J_URL"):
        await graph_finding(url, "any")
