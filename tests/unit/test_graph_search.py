"""What of the graph's reading side needs no server: words, ranking, pages, groups, which server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest

from echoic.memory.config import load_settings
from echoic.memory.errors import ConfigInvalid
from echoic.memory.graph.backend import open_backend
from echoic.memory.graph.falkordb.queries import literal
from echoic.memory.graph.groups import GraphGroups, Group, digest_json, group_of
from echoic.memory.graph.pages import GROUPS_HELD, PAGE_EDGES, HeldPages, Page, nearest
from echoic.memory.graph.query_words import MAX_WORDS, asked_words
from echoic.memory.graph.ranking import Found, ranked
from echoic.memory.graph.tier import GraphTier
from echoic.memory.graph.types import LONG_AGO, Relation, relation_as_json, relation_from_json, time_of
from echoic.memory.recall.pending import Question
from echoic.memory.types import Caller
from tests.fake_graph import FakeGraph

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CALLER = Caller("ana", "echoic", "call-1")


def relation(text="Ana likes tea", **fields) -> Relation:
    return Relation(
        **{
            "edge_id": uuid4(),
            "text": text,
            "name": "LIKES",
            "source": "Ana",
            "target": "tea",
            "said_at": NOW,
        }
        | fields
    )


def test_words_hold_no_syntax():
    """Letters and digits only, lower case, without stop words, each once."""
    assert asked_words("What is Ana's dog's name, ANA?") == ["ana", "dog", "name"]
    assert asked_words('x") DETACH | -(e:@fact) ~"a*" \\ {y} don\'t +lucene^2') == [
        "detach",
        "fact",
        "lucene",
    ]
    assert asked_words("Où est São João? 東京 12 \0\ud800") == ["où", "est", "são", "joão", "東京", "12"]
    assert asked_words("") == [] == asked_words("what is it?")


def test_words_of_a_monologue_are_its_last():
    """A bounded number of words reaches the server, and the question comes last."""
    words = asked_words(" ".join(f"word{number}" for number in range(500)))
    assert len(words) == MAX_WORDS and words[-1] == "word499"


def test_ranking_merges_what_came_up_twice():
    """Meaning decides; words and names between equals; of equals the newest."""
    near, said, named, old = (
        relation("near"),
        relation("said"),
        relation("named"),
        relation("old", said_at=NOW - timedelta(days=1)),
    )
    found = [
        Found(near, "vector", 0.6),
        *(Found(one, "vector", 0.5) for one in (old, said, named)),
        Found(said, "text", 0.5, 3.0),
        Found(old, "text", 0.5, 0.0),
        Found(named, "name", 0.5),
        Found(near, "text", 0.6, 0.0),
    ]
    best = ranked(found, 10)
    assert [one.text for one in best] == ["near", "said", "named", "old"]
    assert best[0].score == pytest.approx(0.6)


def test_neighbour_is_drawn_up_to_what_it_joins():
    """It does not pass it, and one that is nearer by itself is not drawn down."""
    seed, hop, far = relation("seed"), relation("hop"), relation("far")
    best = ranked(
        [
            Found(seed, "vector", 0.8),
            Found(hop, "hop", 0.2, 0.8),
            Found(far, "vector", 0.25),
            Found(seed, "hop", 0.8, 0.1),
        ],
        10,
    )
    assert [one.text for one in best] == ["seed", "hop", "far"] and best[0].score == pytest.approx(0.8)


def test_one_statement_is_one_result():
    """A fact between three things; the same said of another time is another statement."""
    before = relation(valid_from=NOW - timedelta(days=9), valid_until=NOW)
    assert (
        len(
            ranked(
                [
                    Found(relation(), "vector", 0.5),
                    Found(relation(), "vector", 0.4),
                    Found(before, "vector", 0.3),
                ],
                10,
            )
        )
        == 2
    )


def test_pages_find_the_nearest():
    """As the floats do, to within their rounding; pages of another embedding model are left out."""
    rows = np.random.default_rng(1).normal(size=(900, 24)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ids = [uuid4() for _ in rows]
    pages = [Page.of(ids[at : at + PAGE_EDGES], rows[at : at + PAGE_EDGES]) for at in (0, PAGE_EDGES)]
    read = [Page.read(page.ids, page.vectors.tobytes()) for page in pages]
    found = dict(nearest([*read, Page.of([uuid4()], np.ones((1, 3), np.float32))], rows[7], 20))
    assert len(found) == 20 and found[ids[7]] == pytest.approx(1, abs=0.01)
    assert set(np.argsort(-(rows @ rows[7]))[:10]) <= {ids.index(one) for one in found}
    assert nearest(pages, np.ones(3, np.float32), 5) == [] == nearest([], rows[7], 5)
    assert len(nearest(pages, rows[7], 5_000)) == 900


def test_pages_held_are_bounded_and_follow_the_server():
    """What is no longer on the server is not held either."""
    page, held = Page.of([uuid4()], np.ones((1, 3), np.float32)), HeldPages()
    held.update("g", {"one": page, "two": page})
    assert held.update("g", {"two": None, "three": page}) == [page, page] and held.stamps("g") == [
        "two",
        "three",
    ]
    for number in range(GROUPS_HELD):
        held.update(f"g{number}", {"one": page})
    assert held.stamps("g") == []


def test_literals_close_what_they_open():
    """Whatever is said stays one string."""
    assert literal('a"b\\') == '"a\\"b\\\\"'
    assert literal([True, 1, "x\0"]) == '[true,1,"x"]'
    assert literal(np.array([0.5, -1], np.float32)) == "[0.5,-1]"


def test_times_outside_every_calendar_are_none():
    """The year 32637, and nonsense."""
    assert (
        time_of("32637-01-01T00:00:00+00:00")
        is None
        is time_of(967_705_056_000_000_000)
        is time_of("soon")
        is time_of(None)
    )
    assert (
        time_of("2026-11-21T12:00:00")
        == NOW
        == time_of(NOW.timestamp() * 1000)
        == time_of("2026-11-21T13:00:00+01:00")
    )


def test_relation_survives_its_json():
    """A digest read back is what was written, with dates and turns, or without."""
    whole = relation(valid_from=LONG_AGO, valid_until=NOW, turn_ids=(uuid4(), uuid4()))
    assert relation_from_json(relation_as_json(whole)) == whole
    assert relation_from_json(relation_as_json(relation(edge_id=whole.edge_id))).valid_from is None


def test_group_of_any_id_is_a_name_for_any_server():
    """Letters and digits; two users, or two agents of one, never share."""
    ids = {
        group_of(user, agent)
        for user, agent in (("a", "b"), ("b", "a"), ("a\0b", ""), ("Zoë 🐕 {'}", "x" * 500), ("", ""))
    }
    assert len(ids) >= 4 and all(one.isascii() and one.isalnum() and len(one) == 41 for one in ids)
    assert group_of("a", "b") == group_of("a", "b")


def test_one_server_is_named():
    """None when off; a sentence when it is on without an address, with two, or with one that is none."""
    both = {"falkordb_url": "redis://127.0.0.1:1", "neo4j_url": "bolt://127.0.0.1:1"}
    assert open_backend(load_settings(**both)) is None
    with pytest.raises(ConfigInvalid, match=r"ECHOIC_FALKORDB_URL and ECHOIC_NEO4J_URL are both set"):
        open_backend(load_settings(graph="on", **both))
    with pytest.raises(ConfigInvalid, match="no graph server is named"):
        open_backend(load_settings(graph="on"))


class Answered:
    """A question's vector."""

    async def get(self):
        return np.array([1, 0], np.float32)


class Groups:
    """What Postgres knows of a caller's graph."""

    def __init__(self, *groups):
        self.groups = groups

    async def of(self, caller):
        return self.groups


class Asked(FakeGraph):
    """Remembers what it was asked."""

    async def search(self, group, **asked):
        self.asked = (group, asked)
        return await super().search(group, **asked)


async def test_nobody_asks_for_a_graph_that_is_not_there():
    """An unknown caller, and one whose graph is empty, cost no trip to the graph server."""
    for groups in ((), (Group("e1", 0),)):
        backend = Asked()
        assert (
            await GraphTier(backend, Groups(*groups)).search(
                Question(CALLER, "who is Ana?", Answered(), datetime.now(UTC))
            )
            == []
        )
        assert not hasattr(backend, "asked")


async def test_tier_asks_for_history_when_the_words_do():
    """Relations become items with their dates and turns."""
    backend, ended = Asked(), datetime.now(UTC) - timedelta(days=1)
    closed = relation("Ana lived in Porto", valid_until=ended, turn_ids=(uuid4(),))
    backend.groups["e1"] = [(closed, np.array([1, 0], np.float32))]
    tier = GraphTier(backend, Groups(Group("e1", 1)))
    assert await tier.search(Question(CALLER, "where is Ana?", Answered(), datetime.now(UTC))) == []
    (item,) = await tier.search(
        Question(CALLER, "where did Ana use to live before?", Answered(), datetime.now(UTC))
    )
    assert (item.kind, item.tier, item.id) == ("relation", "graph", closed.edge_id)
    assert (item.valid_until, item.turn_ids) == (ended, closed.turn_ids)


class Versions:
    """A user's memory changes when a test says so."""

    number = 1

    def of(self, caller):
        return 0, 0, self.number


class Rows:
    """A database with one graph."""

    reads = 0

    async def run(self, work):
        self.reads += 1
        return await work(self)

    async def fetch(self, sql, ids, agent_id):
        digest = digest_json([relation()])
        known = [one for one in ids if one == "ana" and agent_id == "echoic"]
        return [{"group_id": group_of(one, agent_id), "edges": 7, "digest": digest} for one in known]


async def test_group_is_read_once_a_version():
    """One read a call; anew when the user's memory changed, or somebody was erased."""
    db, versions = Rows(), Versions()
    groups = GraphGroups(db, versions)
    (group,) = held = await groups.of(CALLER)
    assert (
        group.group_id == group_of("ana", "echoic")
        and group.edges == 7
        and group.digest[0].text == "Ana likes tea"
    )
    assert await groups.of(CALLER) is held and db.reads == 1
    versions.number = 2
    await groups.of(CALLER)
    groups.forget("ana")
    await groups.of(CALLER)
    assert db.reads == 3
    assert await groups.of(Caller("bob", "echoic", "call-2")) == ()
    await groups.of(CALLER)
    assert await groups.of(replace(CALLER, agent_id="other")) == ()
