"""What `echoic dev` tells its children and the person at the terminal, of stores and graph."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from echoic.local.dev.command import Stack
from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.llm.models import ModelChoice
from echoic.memory.config import load_settings

SOCKET = "unix:///data/run/graph/graph.sock?db=0"


def stack(**settings: object) -> Stack:
    stores = {
        "database_url": "postgresql://e:secret@db:5432/echoic",
        "redis_url": "redis://r",
        "data_dir": Path("/data"),
    }
    choice = ModelChoice("quote", "Language model: none", why_not="it quotes")
    return Stack(
        load_settings(**stores | settings),
        choice,
        LiveKitServer("ws://x", "key", "secret"),
        Path("/data/logs"),
        8090,
    )


def test_children_find_the_embedded_graph():
    """They start no server of their own: agent and worker meet in the same graph."""
    told = stack(graph="on", falkordb_url=SecretStr(SOCKET)).environment("identity", {})
    assert told["ECHOIC_FALKORDB_URL"] == SOCKET
    assert stack().environment("identity", {})["ECHOIC_FALKORDB_URL"] == ""


@pytest.mark.parametrize(
    ("settings", "env", "line"),
    [
        ({"falkordb_url": SecretStr(SOCKET)}, {}, "Graph    FalkorDB of /data"),
        (
            {"falkordb_url": SecretStr("redis://:secret@graph:6379")},
            {"ECHOIC_FALKORDB_URL": "redis://:secret@graph:6379"},
            "Graph    FalkorDB at graph:6379",
        ),
        ({"neo4j_url": "bolt://neo4j:7687"}, {}, "Graph    Neo4j at neo4j:7687"),
    ],
)
def test_where_the_graph_is_stands_among_the_rest(settings, env, line):
    """Which server and where, never its password; no line at all where there is no graph."""
    lines = stack(graph="on", **settings).lines(env)
    assert line in lines and "secret" not in "".join(lines)
    assert not [one for one in stack().lines({}) if one.startswith("Graph")]
