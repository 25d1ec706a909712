"""Feeding the graph, on Neo4j: the same tests as on FalkorDB."""

import pytest

from tests.integration.test_graph_ingest_facts import *  # noqa: F403


@pytest.fixture
def graph_server(neo4j):
    return neo4j.settings
