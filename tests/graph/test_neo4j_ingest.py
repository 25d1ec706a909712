"""Feeding the graph, on Neo4j: the same tests as on FalkorDB."""

import pytest
from pydantic import SecretStr

from tests.integration.test_graph_ingest import *  # noqa: F403


@pytest.fixture
def settings(memory_settings, neo4j, model):
    named = {"graph": "on", "neo4j_url": neo4j.url, "neo4j_user": neo4j.user, "neo4j_password": SecretStr(neo4j.password)}
    model_settings = {"llm_url": model.url, "llm_model": "scripted", "learn_turns": 4, "model_timeout_s": 2}
    return memory_settings.model_copy(update=named | model_settings)
