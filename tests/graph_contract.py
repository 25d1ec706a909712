"""What every graph server must do for us: the fake, FalkorDB (tests/contract) and Neo4j (tests/graph).

What is read was written by Graphiti's own save, through the store of the workers.
"""

import json
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import numpy as np
import pytest

from echoic.memory.config import LOCAL_DIMENSIONS
from echoic.memory.errors import MemoryFault
from echoic.memory.graph.groups import group_of
from echoic.memory.graph.query_words import asked_words
from echoic.memory.graph.types import Relation

NOW = datetime.now(UTC)
LONG = NOW - timedelta(days=300)
DIMENSIONS = 8
NASTY = "Robert\"}) DETACH DELETE n // \\ ' $group {x} \n `a` <b> |@fact:(x)"


def towards(axis: int, other: int | None = None) -> np.ndarray:
    """A unit vector along one axis, or between two, nearer to the first."""
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[axis] = 1.0
    if other is not None:
        vector[other] = 0.6
    return vector / np.linalg.norm(vector)


class FakeStore:
    """What a test needs to write with: the fake's."""

    def __init__(self, backend):
        self.backend = backend

    async def enter(self, group, text, vector, *, source="Caller", target=None, importance=0.5, **fields):
        known = {"edge_id": uuid4(), "name": "RELATES", "said_at": NOW} | fields
        relation = Relation(text=text, source=source, target=target or text, **known)
        self.backend.importance[relation.edge_id] = importance
        self.backend.groups.setdefault(group, []).append((relation, vector))
        return relation.edge_id

    async def until_year(self, group, edge_id, year):
        """The fake's relations cannot end after 9999: none of ours does."""

    async def exists(self, group):
        return group in self.backend.groups


class GraphitiStore:
    """The same through Graphiti, on a real server."""

    def __init__(self, backend, settings, embedder):
        from echoic.workers.graph.graphiti_env import load

        self.backend, self._store = (
            backend,
            load("echoic.workers.graph.graphiti_store", LOCAL_DIMENSIONS).GraphStore(settings, embedder),
        )

    async def enter(self, group, text, vector, *, source="Caller", target=None, importance=0.5, **fields):
        from graphiti_core.edges import EntityEdge
        from graphiti_core.nodes import EntityNode

        target = target or text
        names = [
            EntityNode(
                uuid=_node_id(group, name),
                name=name,
                group_id=group,
                labels=["Entity"],
                name_embedding=[0.0] * DIMENSIONS,
            )
            for name in dict.fromkeys((source, target))
        ]
        said_at = fields.get("said_at", NOW)
        edge = EntityEdge(
            uuid=str(fields.get("edge_id") or uuid4()),
            group_id=group,
            source_node_uuid=_node_id(group, source),
            target_node_uuid=_node_id(group, target),
            created_at=said_at,
            name=fields.get("name", "RELATES"),
            fact=text,
            fact_embedding=[float(number) for number in vector],
            valid_at=fields.get("valid_from"),
            invalid_at=fields.get("valid_until"),
            reference_time=said_at,
            attributes={
                "importance": importance,
                "turn_ids": [str(one) for one in fields.get("turn_ids", ())],
            },
        )
        await self._store.save(await self._store.open(group), names, [edge])
        return UUID(edge.uuid)

    async def until_year(self, group, edge_id, year):
        """A model may say so; Python's calendar ends before."""
        text = f"{year}-01-01T00:00:00+00:00"
        ends = "$text" if self.backend.name == "falkordb" else "datetime({year: $year})"
        driver = await self._store.open(group)
        await driver.execute_query(
            f"MATCH ()-[e:RELATES_TO {{uuid: $id}}]->() SET e.invalid_at = {ends}",
            id=str(edge_id),
            text=text,
            year=year,
        )

    async def exists(self, group):
        if self.backend.name == "neo4j":
            driver = await self._store.open(group)
            return (
                await driver.execute_query("MATCH (n {group_id: $group}) RETURN count(n) AS n", group=group)
            ).records[0]["n"] > 0
        return bool(await self._store._falkordb().connection.exists(group))

    async def close(self):
        await self._store.close()


def _node_id(group: str, name: str) -> str:
    return str(uuid5(NAMESPACE_OID, f"{group} {name}"))


@pytest.fixture
def group() -> str:
    """The server is the session's: each test has a group of its own."""
    return group_of(uuid4().hex, "echoic")


async def ask(store, group, vector=None, words="", *, past=False, now=NOW, limit=5, edges=10) -> list[str]:
    """The texts found."""
    found = await store.backend.search(
        group, vector=vector, words=asked_words(words), past=past, now=now, limit=limit, edges=edges
    )
    return [relation.text for relation in found]


async def test_meaning_finds_what_shares_no_word(store, group):
    """By the vector alone, nearest first, with a score that says so."""
    await store.enter(group, "Ines attends Oakfield", towards(1))
    await store.enter(group, "Tomas likes rye bread", towards(2))
    assert await ask(store, group, towards(1, 2), "which school?") == [
        "Ines attends Oakfield",
        "Tomas likes rye bread",
    ]
    found = await store.backend.search(
        group, vector=towards(1), words=[], past=False, now=NOW, limit=5, edges=2
    )
    assert found[0].score == pytest.approx(1, abs=0.02) and found[1].score < 0.2


async def test_words_find_without_a_vector(store, group):
    """The embedder may fail or be slow: then words and names have to do."""
    await store.enter(group, "Ines attends Oakfield", towards(1), target="Oakfield")
    await store.enter(group, "Tomas likes rye bread", towards(2), target="rye bread")
    assert await ask(store, group, None, "does anybody like rye?") == ["Tomas likes rye bread"]
    assert await ask(store, group, None, "nothing of the kind") == []
    assert await ask(store, group, None, "") == []


async def test_closed_relations_answer_only_the_past(store, group):
    """Live ones only, unless the words ask about the past; then with their dates."""
    ended = NOW - timedelta(days=30)
    await store.enter(group, "Caller lives in Berlin", towards(1), valid_from=LONG, valid_until=ended)
    await store.enter(group, "Caller lives in Lisbon", towards(1, 2), valid_from=ended)
    assert await ask(store, group, towards(1), "where do I live?") == ["Caller lives in Lisbon"]
    found = await store.backend.search(
        group, vector=towards(1), words=["live"], past=True, now=NOW, limit=5, edges=2
    )
    assert [relation.text for relation in found] == ["Caller lives in Berlin", "Caller lives in Lisbon"]
    assert abs(found[0].valid_until - ended) < timedelta(milliseconds=2) and abs(
        found[0].valid_from - LONG
    ) < timedelta(milliseconds=2)
    assert found[1].valid_until is None


async def test_what_is_over_depends_on_the_day_asked(store, group):
    """Whoever asks about another day gets what was live then, in the search and in the digest."""
    ended = NOW - timedelta(days=30)
    await store.enter(group, "Caller lives in Berlin", towards(1), valid_from=LONG, valid_until=ended)
    for day, wanted in (
        (ended - timedelta(days=1), ["Caller lives in Berlin"]),
        (ended + timedelta(days=1), []),
    ):
        assert await ask(store, group, towards(1), "where do I live in Berlin?", now=day) == wanted
        assert [relation.text for relation in await store.backend.digest(group, 3, day)] == wanted


async def test_what_will_end_is_live(store, group):
    """`until March` is true until March."""
    await store.enter(group, "Caller works in Porto", towards(1), valid_until=NOW + timedelta(days=30))
    assert await ask(store, group, towards(1)) == ["Caller works in Porto"]


async def test_a_year_no_calendar_reaches(store, group):
    """A model wrote the year 32637: the relation is live, and its end is none that we can say."""
    edge_id = await store.enter(group, "Caller owns a boat", towards(1))
    await store.until_year(group, edge_id, 32637)
    (found,) = await store.backend.search(
        group, vector=towards(1), words=[], past=False, now=NOW, limit=5, edges=1
    )
    assert found.text == "Caller owns a boat" and found.valid_until is None
    assert [one.text for one in await store.backend.relations(group)] == ["Caller owns a boat"]


async def test_named_things_bring_their_relations(store, group):
    """However it is written, and whatever else the question says."""
    await store.enter(group, "She is a notary in Coimbra", towards(3), source="Priya Rao", target="Coimbra")
    await store.enter(group, "It was a rainy day", towards(2), target="weather")
    assert (await ask(store, group, towards(5), "and what about priya?"))[0] == "She is a notary in Coimbra"
    assert await ask(store, group, None, "priya's") == ["She is a notary in Coimbra"]


async def test_neighbours_of_the_best_come_along(store, group):
    """Who introduced me to the dentist: found by who is joined to the dentist, who is found by meaning."""
    await store.enter(group, "Dr. Okafor is the dentist", towards(1), target="Dr. Okafor")
    await store.enter(group, "Priya put them in touch", towards(7), source="Priya", target="Dr. Okafor")
    for number in range(30):
        await store.enter(group, f"Filler {number}", towards(1, 2), target=f"filler {number}")
    assert "Priya put them in touch" in await ask(store, group, towards(1), limit=60)


async def test_one_fact_between_three_things_comes_once(store, group):
    """A fact that names three is three edges, and one line."""
    for target in ("Ana", "Porto", "July"):
        await store.enter(group, "Ana moves to Porto in July", towards(1), target=target)
    await store.enter(group, "Caller likes tea", towards(2))
    assert await ask(store, group, towards(1), "ana porto") == [
        "Ana moves to Porto in July",
        "Caller likes tea",
    ]


async def test_turns_come_with_a_relation(store, group):
    """For `/why`, and so that what stands in the context already is not said again."""
    turn_ids, said_at = (uuid4(), uuid4()), NOW - timedelta(days=3)
    await store.enter(
        group, "Caller has a dog", towards(1), target="dog", name="HAS", turn_ids=turn_ids, said_at=said_at
    )
    (found,) = await store.backend.search(
        group, vector=towards(1), words=[], past=False, now=NOW, limit=5, edges=1
    )
    assert found.turn_ids == turn_ids and abs(found.said_at - said_at) < timedelta(milliseconds=2)
    assert (found.source, found.name, found.target) == ("Caller", "HAS", "dog")


async def test_unknown_group_is_empty_and_stays_unknown(store, group):
    """Nothing that only reads creates a graph."""
    assert await ask(store, group, towards(1), "who is there?", edges=5) == []
    assert await ask(store, group, towards(1), "who is there?", edges=50_000) == []
    assert await store.backend.relations(group, live_only=False) == []
    assert await store.backend.entities(group) == [] == await store.backend.digest(group, 8, NOW)
    assert await store.backend.count(group) == 0
    assert await store.backend.export(group) == {"entities": [], "relations": []}
    await store.backend.refresh(group)
    await store.backend.erase(group)
    assert not await store.exists(group)


async def test_groups_do_not_see_each_other(store, group):
    """Neither by meaning, nor by words, nor by name; and erasing one leaves the other."""
    other = group_of(uuid4().hex, "echoic")
    await store.enter(group, "Ana has a dog", towards(1), source="Ana")
    await store.enter(other, "Ana has a cat", towards(1), source="Ana")
    for words in ("", "ana cat dog"):
        assert await ask(store, group, towards(1), words) == ["Ana has a dog"]
    assert await ask(store, group, None, "ana cat dog") == ["Ana has a dog"]
    await store.backend.erase(group)
    await store.backend.erase(group)
    assert await ask(store, group, towards(1), "ana") == [] and await store.backend.count(group) == 0
    assert not await store.exists(group)
    assert await ask(store, other, towards(1), "ana") == ["Ana has a cat"]


async def test_nothing_said_is_syntax(store, group):
    """Quotes, Cypher and the marks of a text search, in names, facts and questions."""
    await store.enter(group, f"He is {NASTY}", towards(1), source=NASTY, target="O'Brien")
    await store.enter(group, "Caller likes tea", towards(2))
    found = await store.backend.search(
        group, vector=towards(1), words=asked_words(NASTY), past=False, now=NOW, limit=5, edges=2
    )
    assert found[0].text == f"He is {NASTY}" and found[0].source == NASTY
    assert await store.backend.count(group) == 2
    for words in (
        NASTY,
        "AND OR NOT",
        "* ~ ? : ^",
        "group_id:x",
        "\0\ud800",
        "''' \"\"\"",
        "über straße 東京",
    ):
        await ask(store, group, towards(1), words)
        await ask(store, group, None, words)
    assert [entity.name for entity in await store.backend.entities(group)] == sorted(
        ["Caller", "O'Brien", "Caller likes tea", NASTY]
    )


async def test_a_monologue_is_not_too_long(store, group):
    """FalkorDB's text search finds nothing for more than about 64 words: the last ones are asked."""
    await store.enter(group, "Tomas likes rye bread", towards(1))
    assert await ask(store, group, None, "blah ".join(map(str, range(300))) + " who likes rye bread") == [
        "Tomas likes rye bread"
    ]


async def test_vector_of_another_model(store, group):
    """Until everything is embedded anew: found by words, or a fault of ours; the call goes on."""
    await store.enter(group, "Tomas likes rye bread", towards(1))
    try:
        assert await ask(store, group, np.ones(3, np.float32), "rye") == ["Tomas likes rye bread"]
    except MemoryFault:
        return


async def test_large_group_is_found_by_words_at_least(store, group):
    """Above the number that is compared one by one."""
    await store.enter(group, "Tomas likes rye bread", towards(1))
    assert await ask(store, group, towards(1), "rye", edges=50_000) == ["Tomas likes rye bread"]


async def test_digest_is_what_matters_most(store, group):
    """Live relations by importance, then the newest."""
    await store.enter(group, "Caller likes tea", towards(1), importance=0.2)
    await store.enter(group, "Caller is allergic to nuts", towards(2), importance=0.9, said_at=LONG)
    await store.enter(group, "Caller is allergic to fish", towards(3), importance=0.9)
    await store.enter(group, "Caller was ill", towards(4), importance=1.0, valid_until=LONG)
    digest = [relation.text for relation in await store.backend.digest(group, 3, NOW)]
    assert digest == ["Caller is allergic to fish", "Caller is allergic to nuts", "Caller likes tea"]


async def test_relations_as_they_were(store, group):
    """At a date, now, and all of history; the oldest first."""
    moved = NOW - timedelta(days=30)
    await store.enter(
        group, "Caller lives in Berlin", towards(1), said_at=LONG, valid_from=LONG, valid_until=moved
    )
    await store.enter(group, "Caller lives in Lisbon", towards(1), said_at=moved, valid_from=moved)
    await store.enter(group, "Caller likes tea", towards(2), said_at=NOW)
    known = {
        "live": {},
        "all": {"live_only": False},
        "then": {"at": LONG + timedelta(days=1)},
        "before": {"at": LONG - timedelta(days=1)},
    }
    texts = {
        name: [one.text for one in await store.backend.relations(group, **how)] for name, how in known.items()
    }
    berlin, lisbon, tea = "Caller lives in Berlin", "Caller lives in Lisbon", "Caller likes tea"
    assert texts == {"live": [lisbon, tea], "all": [berlin, lisbon, tea], "then": [berlin], "before": []}


async def test_export_is_all_of_it_as_json(store, group):
    """With the intervals in which relations were true."""
    await store.enter(
        group,
        "Caller lives in Berlin",
        towards(1),
        target="Berlin",
        valid_from=LONG,
        valid_until=NOW - timedelta(days=9),
    )
    await store.enter(group, "Caller likes tea", towards(2), target="tea")
    exported = json.loads(json.dumps(await store.backend.export(group)))
    assert [entity["name"] for entity in exported["entities"]] == ["Berlin", "Caller", "tea"]
    closed = next(one for one in exported["relations"] if one["text"] == "Caller lives in Berlin")
    assert closed["valid_from"][:10] == LONG.isoformat()[:10] and closed["valid_until"] is not None


async def test_it_says_what_it_is(store):
    """For `echoic doctor`."""
    assert any(letter.isdigit() for letter in await store.backend.ping())
