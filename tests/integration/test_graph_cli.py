"""`echoic graph` as a person or a script starts it, on an embedded FalkorDB."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis

from echoic.local.admin.doctor import examine
from echoic.local.admin.finding import Finding
from echoic.local.servers.graph_server import open_graph
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import load_settings
from echoic.memory.graph.falkordb.queries import header
from echoic.memory.graph.groups import group_of
from tests.processes import environment

pytestmark = pytest.mark.timeout(180)
ON = {"ECHOIC_GRAPH": "on", "ECHOIC_LLM_MODEL": "quote"}
GROUPS = "insert into graph_groups (group_id, user_id, agent_id) values (%s, %s, %s)"
NASTY = 'R&D "Lab" \\N\n\x1b[31m'


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder in which Ana told of two homes and Eve of nothing, with its servers running."""
    with tempfile.TemporaryDirectory(prefix="echoic-") as name:
        folder = Path(name) / "data"
        with open_stores(folder) as stores, open_graph(folder) as url:
            ana = new_group(stores, "ana")
            new_group(stores, "eve")
            entity(url, ana, "Ana", "Person")
            for place in ("Porto", "Lisbon", NASTY):
                entity(url, ana, place, "Place")
            relation(url, ana, "Lives in Porto", "Porto", valid_from="2024-01-10", valid_until="2026-02-01")
            relation(url, ana, "Lives in Lisbon", "Lisbon", valid_from="2026-02-01")
            relation(url, ana, f"Works at {NASTY}", NASTY, valid_from="2026-03-01")
            yield folder


def new_group(stores: Stores, user: str) -> str:
    group = group_of(user, "echoic")
    with psycopg.connect(stores.database_url) as connection:
        connection.execute(GROUPS, [group, user, "echoic"])
    return group


def run(url: str, graph: str, query: str, **values: object) -> None:
    with redis.Redis.from_url(url) as client:
        client.execute_command("GRAPH.QUERY", graph, f"{header(values)} {query}")


def entity(url: str, group: str, name: str, label: str) -> None:
    query = (
        f"create (:Entity:{label} "
        f"{{uuid: $uuid, name: $name, group_id: $group, labels: $labels, summary: '', created_at: $at}})"
    )
    run(url, group, query, uuid=str(uuid4()), name=name, group=group, labels=["Entity", label], at=at())


def relation(
    url: str, group: str, text: str, target: str, *, valid_from: str, valid_until: str | None = None
) -> None:
    ended = ", invalid_at: $ended" if valid_until else ""
    edge = (
        "{uuid: $uuid, name: 'LIVES_IN', fact: $text, group_id: $group, "
        f"created_at: $begun, valid_at: $begun{ended}}}"
    )
    query = (
        f"match (a:Entity {{name: 'Ana'}}), (b:Entity {{name: $target}}) create (a)-[:RELATES_TO {edge}]->(b)"
    )
    times = {"begun": at(valid_from)} | ({"ended": at(valid_until)} if valid_until else {})
    run(url, group, query, uuid=str(uuid4()), text=text, target=target, group=group, **times)


def at(day: str = "2024-01-10") -> str:
    return f"{day}T00:00:00+00:00"


def echoic(
    folder: Path, *words: str, command: str = "graph", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    started = [sys.executable, "-m", "echoic", command, *words, "--data-dir", str(folder)]
    return subprocess.run(
        started, capture_output=True, text=True, env=environment(ON | (env or {})), timeout=120
    )


def texts(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 0, done.stderr
    return {
        relation["text"] for graph in json.loads(done.stdout)["graphs"] for relation in graph["relations"]
    }


def test_table_of_what_is_true_now(folder):
    """A relation with its beginning, without the one that has ended, and without colours for a pipe."""
    done = echoic(folder, "--user", "ana")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "What “ana” told echoic, as it is now:"
    assert [
        line
        for line in lines
        if line.split()[:3] == ["Ana", "LIVES_IN", "Lisbon"] and "since 1 Feb 2026" in line
    ]
    assert not [line for line in lines if "Lives in Porto" in line]
    assert "\x1b" not in done.stdout


def test_as_it_was_then(folder):
    """The end of the named day; what was not said by then was not known."""
    assert texts(echoic(folder, "--user", "ana", "--at", "2026-01-31", "--json")) == {"Lives in Porto"}
    assert texts(echoic(folder, "--user", "ana", "--at", "2026-02-02", "--json")) == {"Lives in Lisbon"}
    assert texts(echoic(folder, "--user", "ana", "--at", "2020-01-01", "--json")) == set()
    table = echoic(folder, "--user", "ana", "--at", "2026-01-31").stdout
    assert "as it was on 31 Jan 2026" in table and "10 Jan 2024 to 31 Jan 2026" in table
    assert "Lisbon" not in table


def test_json_is_all_there_is_on_standard_output(folder):
    """A script can parse it whole: all things that are known, and the relations that hold now."""
    done = echoic(folder, "--user", "ana", "--json")
    value = json.loads(done.stdout)
    assert value["user_id"] == "ana" and value["at"] is None
    (graph,) = value["graphs"]
    names = {entity["name"] for entity in graph["entities"]}
    assert graph["agent_id"] == "echoic" and names == {"Ana", "Porto", "Lisbon", NASTY}
    assert texts(done) == {"Lives in Lisbon", f"Works at {NASTY}"}


def test_picture(folder):
    """In UTF-8 also where the terminal has no other language."""
    done = echoic(folder, "--user", "ana", "--dot", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stdout.startswith("digraph {") and done.stdout.rstrip().endswith("}")
    assert r'[label="R&amp;D \"Lab\" \\N [31m\nPlace", tooltip=' in done.stdout


@pytest.mark.parametrize("user", ["eve", "nobody at all", "O'Brien }) match (n) detach delete n //"])
def test_nobody_is_a_sentence_and_creates_nothing(folder, user):
    """A person without a graph, and one whose graph is empty; no graph is made by asking."""
    done = echoic(folder, "--user", user)
    assert (done.returncode, done.stdout) == (0, f"The graph knows nothing about “{user}” yet.\n"), (
        done.stderr
    )
    assert json.loads(echoic(folder, "--user", "nobody", "--json").stdout) == {
        "user_id": "nobody",
        "at": None,
        "graphs": [],
    }
    with open_graph(folder) as url, redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.execute_command("GRAPH.LIST") == [group_of("ana", "echoic")]


@pytest.mark.parametrize(
    ("words", "env", "sentence"),
    [
        (["--user", "ana", "--at", "32637-01-01"], {}, "is no date of the calendar"),
        (["--user", "ana", "--at", "yesterday"], {}, "write it as 2026-03-31"),
        (["--user", "  "], {}, "A user id is 1 to 200 characters"),
        (
            ["--user", "ana"],
            {"ECHOIC_FALKORDB_URL": "redis://127.0.0.1:1", "ECHOIC_NEO4J_URL": "bolt://127.0.0.1:1"},
            "both set",
        ),
        (["--user", "ana"], {"ECHOIC_FALKORDB_URL": "redis://127.0.0.1:1"}, "FalkorDB"),
    ],
)
def test_what_is_wrong_is_said(folder, words, env, sentence):
    """One line on standard error that says what to mend, and nothing on standard output."""
    done = echoic(folder, *words, env=env)
    assert done.returncode == 1 and sentence in done.stderr and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_two_forms_at_once_are_refused(folder):
    """JSON and DOT in one stream would be neither: it is a mistake in the command's use."""
    assert echoic(folder, "--user", "ana", "--json", "--dot").returncode == 2


def test_a_graph_that_is_turned_off_is_still_shown(folder):
    """What it holds is known until it is erased."""
    assert texts(echoic(folder, "--user", "ana", "--json", env={"ECHOIC_GRAPH": "off"})) == {
        "Lives in Lisbon",
        f"Works at {NASTY}",
    }


def test_without_a_graph_the_command_says_so(tmp_path):
    """It names the setting that turns the graph on, and starts no server to find out."""
    done = echoic(tmp_path / "new", "--user", "ana", env={"ECHOIC_GRAPH": "off"})
    assert done.returncode == 1 and "ECHOIC_GRAPH=on turns it on" in done.stderr
    assert not (tmp_path / "new" / "graph").exists()


def test_export_and_erase_reach_a_graph_that_is_turned_off(folder):
    """Nothing of the person is left in any file; the next one's graph stays as it was."""
    off = {"ECHOIC_GRAPH": "off"}
    with open_stores(folder) as stores, open_graph(folder) as url:
        for user, word in (("bob", "xylquorvane"), ("joe", "otherpersonsword")):
            group = new_group(stores, user)
            entity(url, group, "Ana", "Person")
            entity(url, group, word, "Place")
            relation(url, group, f"Lives in {word}", word, valid_from="2026-02-01")
    exported = echoic(folder, "--user", "bob", command="export", env=off)
    assert "Lives in xylquorvane" in exported.stdout and "otherpersonsword" not in exported.stdout, (
        exported.stderr
    )
    erased = echoic(folder, "--user", "bob", "--yes", "--shred", command="erase", env=off)
    assert erased.stdout == "Erased 0 turns and 0 facts and the graph of “bob”, and rewrote the files.\n", (
        erased.stderr
    )
    assert not [path for path in folder.rglob("*") if path.is_file() and b"xylquorvane" in path.read_bytes()]
    assert texts(echoic(folder, "--user", "bob", "--json")) == set()
    assert texts(echoic(folder, "--user", "joe", "--json")) == {"Lives in otherpersonsword"}


async def test_doctor_says_how_the_graph_is(folder):
    """Off is fine; one that does not answer is broken, in a sentence."""
    with open_graph(folder) as url:
        assert (await graph_finding(graph="on", falkordb_url=url, llm_api_key="a-key")).state == "ok"
        assert "no language model" in (await graph_finding(graph="on", falkordb_url=url)).says
    assert (await graph_finding(graph="off")).says == "off; ECHOIC_GRAPH=on turns it on"
    gone = await graph_finding(graph="on", falkordb_url="redis://127.0.0.1:1")
    assert gone.state == "broken" and "ECHOIC_FALKORDB_URL" in gone.says
    assert "no graph server is named" in (await graph_finding(graph="on")).says


async def graph_finding(**settings: object) -> Finding:
    async for finding in examine(load_settings(**settings), "none", ""):
        if finding.part == "Graph":
            return finding
    raise AssertionError("doctor says nothing of the graph")
