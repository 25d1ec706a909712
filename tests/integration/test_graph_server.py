"""The embedded graph server: private, apart, kept across a kill, in backups, rewritten by a shred."""

import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from echoic.local.admin.backup import backup, restore
from echoic.local.admin.shred import shred
from echoic.local.command_resources import opened_stores
from echoic.local.servers.graph_server import GraphServer, holds_graph, open_graph
from echoic.local.servers.stores import open_stores
from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.hosting.state import read_state
from tests.processes import is_alive, wait_gone, wait_until

SECRET = "xylquorvane"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path, as a home folder has."""
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        yield Path(name)


def pid_of(folder: Path) -> int:
    state = read_state(folder / "run", "graph")
    assert state is not None
    return state.pids["graph"]


def asked(url: str, graph: str, query: str) -> list[list[object]]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        answer = client.execute_command("GRAPH.QUERY", graph, query)
    return answer[1] if len(answer) > 1 else []


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def test_what_was_acknowledged_outlives_a_kill(home):
    """The daemon starts it again at the same address, with what it had written."""
    with open_graph(home / "data") as url:
        asked(url, "e1", f"create (:Entity {{name: '{SECRET}'}})")
        wait_until(lambda: bool(files_with(home / "data" / "graph", SECRET)))  # written once a second
        killed = pid_of(home / "data")
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: pid_of(home / "data") != killed)
        assert asked(url, "e1", "match (n) return n.name") == [[SECRET]]


def test_only_its_owner_reaches_it_and_it_ends_with_its_last_user(home):
    """A socket in a private folder, no port; processes of one folder share one server."""
    with open_graph(home / "data") as url, open_graph(home / "data") as again:
        assert url == again
        path = Path(url.removeprefix("unix://").partition("?")[0])
        assert (
            stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and stat.S_IMODE(path.stat().st_mode) == 0o700
        )
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.config_get("port") == {"port": "0"}
        pid = pid_of(home / "data")
        assert is_alive(pid)
    wait_gone([pid])


def test_a_folder_with_a_long_path_works(home):
    """Its socket lies in the temporary folder, and leaves nothing there."""
    folder = home / ("long " * 30).strip() / "data"
    with open_graph(folder) as url:
        sockets = Path(url.removeprefix("unix://").partition("?")[0]).parent
        assert asked(url, "e1", "return 1") == [[1]] and not sockets.is_relative_to(home)
    assert not sockets.exists()


def test_no_words_are_kept_beside_the_graph(home):
    """Neither in its slow log nor in the stream of queries that FalkorDB keeps by default."""
    with open_graph(home / "data") as url:
        asked(
            url,
            "e1",
            f"create (:Entity {{name: '{SECRET}'}}) with 1 as one unwind range(1, 200000) as n return max(n)",
        )
        with redis.Redis.from_url(url, decode_responses=True) as client:
            assert client.keys("*") == ["e1"]
            assert client.slowlog_get() == []


def test_it_runs_only_while_the_graph_is_on(home, clean_environment, monkeypatch):
    """Off by default; a graph that was written before is there for whoever must leave nothing out."""
    folder = home / "data"
    with opened_stores(folder, "test") as settings:
        assert settings.graph == "off" and not settings.falkordb_url.get_secret_value()
    with opened_stores(folder, "test", every_graph=True) as settings:
        assert settings.graph == "off" and not (folder / "graph").exists()
    monkeypatch.setenv("ECHOIC_GRAPH", "on")
    with opened_stores(folder, "test") as settings:
        url = settings.falkordb_url.get_secret_value()
        assert url.startswith("unix://") and asked(url, "e1", "return 1") == [[1]]
    monkeypatch.setenv("ECHOIC_GRAPH", "off")
    assert holds_graph(folder)
    with opened_stores(folder, "test", every_graph=True) as settings:
        assert settings.graph == "on" and settings.falkordb_url.get_secret_value() == url


def test_one_that_is_named_is_used_and_none_is_started(home, clean_environment, monkeypatch):
    """An address in the environment is enough: the data folder gets no graph of its own."""
    monkeypatch.setenv("ECHOIC_GRAPH", "on")
    monkeypatch.setenv("ECHOIC_NEO4J_URL", "bolt://127.0.0.1:1")
    with opened_stores(home / "data", "test") as settings:
        assert settings.neo4j_url and not settings.falkordb_url.get_secret_value()
    assert not (home / "data" / "graph").exists()


def test_backup_and_restore_bring_the_graph_back(home):
    """While it is used; and an older graph in the folder that is restored into is moved away."""
    with open_stores(home / "a"), open_graph(home / "a") as url:
        asked(
            url,
            "e1",
            f"create (:Entity {{name: '{SECRET}'}})-[:RELATES_TO "
            f"{{fact: 'a\"b', v: vecf32([1, 2])}}]->(:Entity {{name: 'é'}})",
        )
        saved = backup(home / "a", home / "saved.tar.gz")
    with open_stores(home / "b"), open_graph(home / "b") as url:
        asked(url, "e2", "create (:Entity {name: 'old'})")
    restore(saved, home / "b", force=True)
    with (
        open_stores(home / "b") as stores,
        open_graph(home / "b") as url,
        redis.Redis.from_url(url, decode_responses=True) as client,
    ):
        assert client.execute_command("GRAPH.LIST") == ["e1"]
        assert asked(url, "e1", "match (a)-[e]->(b) return a.name, e.fact, b.name") == [[SECRET, 'a"b', "é"]]
        asked(url, "e1", "create (:Entity {name: 'new'})")
        with psycopg.connect(stores.database_url) as connection:
            assert connection.execute("select count(*) from turns").fetchone() == (0,)
    with open_graph(home / "b") as url:
        assert asked(url, "e1", "match (n {name: 'new'}) return n.name") == [["new"]]


def test_a_graph_in_use_is_not_restored_over(home):
    """Not even with `force`: a running server would write its old data over the new."""
    with open_stores(home / "a"):
        saved = backup(home / "a", home / "saved.tar.gz")
    with open_graph(home / "b"), pytest.raises(ConfigInvalid, match="in use"):
        restore(saved, home / "b", force=True)


async def test_after_a_shred_no_file_holds_the_words(database_url, redis_url, home):
    """What was deleted is gone from the graph's files too, and the other person's graph still answers."""
    with open_graph(home / "data") as url:
        asked(url, "e1", f"create (:Entity {{name: '{SECRET}'}})")
        asked(url, "e2", "create (:Entity {name: 'otherpersonsword'})")
        wait_until(lambda: bool(files_with(home / "data", SECRET)))
        with redis.Redis.from_url(url) as client:
            client.execute_command("GRAPH.DELETE", "e1")
        await shred(load_settings(database_url=database_url, redis_url=redis_url, falkordb_url=url))
        assert files_with(home / "data", SECRET) == []
        assert asked(url, "e2", "match (n) return n.name") == [["otherpersonsword"]]


def test_a_library_that_is_missing_is_named(tmp_path):
    """What the module needs of the system (OpenMP, OpenSSL) is not in the wheel."""
    server = GraphServer(tmp_path, tmp_path)
    why = "libgomp.so.1: cannot open shared object file: No such file or directory"
    said = (
        f"# Module /x/falkordb.so failed to load: {why}\n"
        "# Can't load module from /x/falkordb.so: server aborting\n"
    )
    assert "libgomp.so.1" in str(server.explain(said)) and isinstance(server.explain(said), ConfigInvalid)
