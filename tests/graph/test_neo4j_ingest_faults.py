"""Feeding the graph while things die, on Neo4j: the same tests as on FalkorDB."""

import pytest

from tests.integration.test_graph_ingest_faults import *  # noqa: F403


@pytest.fixture
def graph_server(neo4j):
    return neo4j.settings


@pytest.fixture
def own_server(neo4j):
    """All tests' own: whoever kills it starts it again."""
    return neo4j
