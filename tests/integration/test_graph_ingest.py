"""What is learned enters a real FalkorDB through real Graphiti: in order, each batch once. Only the language model is scripted."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis
from neo4j import GraphDatabase
from pydantic import SecretStr

from memory import graph_ledger
from memory.account import erase_user
from memory.batches import dead, rerun
from memory.embed import LocalEmbedder
from memory.errors import ConfigInvalid, ModelUnavailable, StoreUnavailable
from memory.graph_groups import group_of
from memory.service import open_memory
from memory.turns import turn_id_for
from memory.types import Fact, Turn
from tests.fakes import ScriptedModel, facts
from tests.graph_model import OWN_TYPES, GraphitiAnswers, Said
from workers.choose import make_extractor
from workers.extract import Learner
from workers.graph_ingest import open_ingester
from workers.graph_types import types_of
from workers.main import run_worker
from workers.sweep import sweep_graphs

NOW = datetime.now(UTC)
BERLIN = Said("I live in Berlin", "Caller", "LivesIn", "Berlin", "Caller lives in Berlin")
PORTO = Said("My sister Ana lives in Porto", "Ana", "LivesIn", "Porto", "Ana lives in Porto")
LISBON = Said(
    "I moved to Lisbon",
    "Caller",
    "LivesIn",
    "Lisbon",
    "Caller lives in Lisbon",
    valid_at="2026-10-01T00:00:00Z",
    ends="Caller lives in Berlin",
)
RELATIONS = """
MATCH (s {group_id: $group})-[e:RELATES_TO]->(t)
RETURN s.name, e.fact, t.name, left(toString(e.invalid_at), 10) ORDER BY e.fact, t.name
"""
EVERYTHING = "MATCH (n {group_id: $group}) OPTIONAL MATCH (n)-[e]->(m) RETURN n.uuid, e.uuid, m.uuid ORDER BY n.uuid, e.uuid"
NAMES = "MATCH (n {group_id: $group}) RETURN n.name"


@pytest.fixture(scope="module")
def embedder():
    shared = LocalEmbedder()
    closing, shared.close = shared.close, _stay_open
    yield shared
    asyncio.run(closing())


async def _stay_open():
    """Closed by its fixture: loading it for each test would take a second."""


@pytest.fixture
def model():
    with ScriptedModel(otherwise=GraphitiAnswers([BERLIN, PORTO, LISBON])) as model:
        yield model


@pytest.fixture
def user():
    """The graph server is the session's: each test has people of its own."""
    return f"user-{uuid4().hex[:12]}"


@pytest.fixture
def settings(memory_settings, falkordb_url, model):
    named = {"graph": "on", "falkordb_url": SecretStr(falkordb_url), "llm_url": model.url, "llm_model": "scripted"}
    return memory_settings.model_copy(update=named | {"learn_turns": 4, "model_timeout_s": 2})


@pytest.fixture
def episodes(settings):
    return settings.model_copy(update={"graph_ingest": "episodes"})


@asynccontextmanager
async def feeding(settings, embedder):
    async with open_memory(settings, embedder=embedder) as memory:
        ingester = open_ingester(memory)
        try:
            yield memory, ingester
        finally:
            await ingester.close()


async def learn(memory, user, *texts, days=9, agent="echoic", **fields):
    """Facts as a learner leaves them: in Postgres, and their graph due."""
    told = NOW - timedelta(days=days)
    learned = [Fact(uuid4(), user, text, "family", "people", 0.5, "user", agent, told, **fields) for text in texts]
    vectors = await memory.embedder.embed_batch(list(texts))

    async def put(connection):
        await memory.facts.add(connection, learned, vectors)
        await graph_ledger.mark_due(connection, user, agent)

    await memory.db.transaction(put)
    return learned


async def close(memory, fact, at=NOW):
    async def put(connection):
        await memory.facts.close(connection, fact.user_id, fact.fact_id, at)
        await graph_ledger.mark_due(connection, fact.user_id, "other agent", [fact.fact_id])

    await memory.db.transaction(put)


async def forget(memory, user, sql, *args):
    async def drop(connection):
        await connection.execute(sql, *args)
        await graph_ledger.mark_behind(connection, user)

    await memory.db.transaction(drop)


async def say(memory, user, *texts, days=9, call="call", role="user", agent="echoic"):
    turns = []
    for place, text in enumerate(texts):
        said_at = NOW - timedelta(days=days) + timedelta(seconds=place)
        turns.append(Turn(turn_id_for(call, uuid4().hex), user, agent, call, place, role, text, said_at))
        await memory.turns.record(turns[-1])
    await memory.db.transaction(lambda connection: graph_ledger.mark_due(connection, user, agent))
    return turns


def graph(settings, user, cypher=RELATIONS, agent="echoic"):
    """Rows of a query to the caller's graph; none when there is no graph, which asking does not create."""
    group = group_of(user, agent)
    if settings.neo4j_url:
        with GraphDatabase.driver(settings.neo4j_url, auth=(settings.neo4j_user, settings.neo4j_password.get_secret_value())) as driver:
            return [tuple(record.values()) for record in driver.execute_query(cypher, group=group).records]
    with redis.Redis.from_url(settings.falkordb_url.get_secret_value(), decode_responses=True) as client:
        if not client.exists(group):
            return []
        return [tuple(row) for row in client.execute_command("GRAPH.RO_QUERY", group, f"CYPHER group='{group}' {cypher}")[1]]


async def fetch(memory, sql, *args):
    return [tuple(row) for row in await memory.db.run(lambda connection: connection.fetch(sql, *args))]


def asked(model):
    """Which of Graphiti's questions the model got."""
    return [request["response_format"]["json_schema"]["name"] for request in model.requests]


async def test_facts_become_relations_without_a_model_call(settings, embedder, model, user):
    """Who they are about, whom they name, when they were said and what they came from."""
    async with feeding(settings, embedder) as (memory, ingester):
        turn_id = uuid4()
        await learn(memory, user, "Lives in Leeds", "Sister Ana works at Nokia", turn_ids=(turn_id,))
        report = await ingester.ingest(user)
        rows = graph(settings, user)
        kept = "e.turn_ids[0], toString(e.importance), left(toString(e.reference_time), 10)"
        (kept,) = graph(settings, user, f"MATCH ()-[e {{fact: 'Lives in Leeds', group_id: $group}}]->() RETURN {kept}")
    assert rows == [("Caller", "Lives in Leeds", "Leeds", None), ("sister Ana", "Sister Ana works at Nokia", "Nokia", None)]
    assert kept[0] == str(turn_id) and float(kept[1]) == 0.5 and kept[2] == f"{NOW - timedelta(days=9):%Y-%m-%d}"
    assert (report.batches, report.relations, report.calls, model.requests) == (1, 2, 0, [])


async def test_a_replay_of_facts_changes_nothing(settings, embedder, user):
    """Also after the ledger lost what it knew: ids come from the facts."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", "Dog is called Biscuit")
        await ingester.ingest(user)
        before = graph(settings, user, EVERYTHING)
        for ledger in ("select 1", "delete from graph_entered"):
            await fetch(memory, ledger)
            await memory.db.transaction(lambda connection: graph_ledger.mark_due(connection, user, "echoic"))
            await ingester.ingest(user)
        after = graph(settings, user, EVERYTHING)
    assert before == after and len(before) == 4


async def test_a_fact_that_ended_ends_its_relation(settings, embedder, user):
    """It stays for questions about the past; whoever closed it, the agent that was told it keeps the relation."""
    async with feeding(settings, embedder) as (memory, ingester):
        (leeds,) = await learn(memory, user, "Lives in Leeds")
        await ingester.ingest(user)
        await close(memory, leeds)
        await learn(memory, user, "Moved to Lisbon", days=0)
        await ingester.ingest(user)
        rows = graph(settings, user)
    assert [(fact, until and until[:19]) for _, fact, _, until in rows] == [
        ("Lives in Leeds", f"{NOW:%Y-%m-%d}"),
        ("Moved to Lisbon", None),
    ]


async def test_a_name_learned_later_moves_what_was_known_by_the_role(settings, embedder, user):
    """ "Sister" and "Ana" are one node as soon as a fact says so, and none is left behind."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Sister moved to Faro")
        await ingester.ingest(user)
        assert [source for source, *_ in graph(settings, user)] == ["sister"]
        await learn(memory, user, "Sister is called Ana", days=1)
        await ingester.ingest(user)
        assert {source for source, *_ in graph(settings, user)} == {"Caller", "sister Ana"}
        assert sorted(graph(settings, user, NAMES)) == [("Caller",), ("Faro",), ("sister Ana",)]


async def test_a_forgotten_fact_leaves_the_graph(settings, embedder, user):
    """With the nodes that nothing joins any more."""
    async with feeding(settings, embedder) as (memory, ingester):
        _, dog = await learn(memory, user, "Lives in Leeds", "Dog is called Biscuit")
        await ingester.ingest(user)
        await forget(memory, user, "delete from facts where id = $1", dog.fact_id)
        report = await ingester.ingest(user)
        assert (report.removed, [fact for _, fact, *_ in graph(settings, user)]) == (1, ["Lives in Leeds"])
        assert sorted(graph(settings, user, NAMES)) == [("Caller",), ("Leeds",)]


async def test_agents_have_graphs_of_their_own(settings, embedder, user):
    """What one agent was told only its own graph holds; who was told nothing has none."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        await learn(memory, user, "Is a dentist", agent="vera")
        await ingester.ingest(user)
    assert [fact for _, fact, *_ in graph(settings, user)] == ["Lives in Leeds"]
    assert [fact for _, fact, *_ in graph(settings, user, agent="vera")] == ["Is a dentist"]
    assert graph(settings, user, agent="third") == []


async def test_hostile_names_are_only_names(settings, embedder, user):
    """Quotes, Cypher, backslashes, ten thousand letters: kept as text."""
    said = [
        "Friend O'Hara\"}) DETACH DELETE n // likes tea",
        "Boss Émile \\u0000 `Zoë` $ids works at {name: 'X'}",
        "Friend " + "Aa" * 5_000,
    ]
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, *said)
        report = await ingester.ingest(user)
        found = {fact for _, fact, *_ in graph(settings, user)}
    assert not report.dead and found == set(said)


async def test_the_digest_and_the_size_are_noted_and_told(settings, embedder, user):
    """What a call begins with stands in Postgres, and every process hears of it."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds", "Dog is called Biscuit")
        await memory.versions.wait_heard()
        before = memory.versions.of(user, "call")
        await ingester.ingest(user)
        async with asyncio.timeout(5):
            while memory.versions.of(user, "call") == before:
                await asyncio.sleep(0.01)
        ((edges, digest, due),) = await fetch(
            memory, "select edges, digest, (select count(*) from graph_due where user_id = $1) from graph_groups where user_id = $1", user
        )
        assert (edges, due) == (2, 0)
        assert {one["text"] for one in json.loads(digest)} == {"Lives in Leeds", "Dog is called Biscuit"}


async def test_a_learned_batch_feeds_the_graph(settings, embedder, model, user):
    """The learner's own transaction says that the graph is due."""
    model.otherwise = facts("Sister Ana works at Nokia")
    async with feeding(settings, embedder) as (memory, ingester):
        extractor, _ = make_extractor(settings)
        await say(memory, user, "My sister Ana works at Nokia.")
        await fetch(memory, "delete from graph_due")
        await Learner(memory, extractor).learn(user)
        await extractor.close()
        assert await sweep_graphs(memory, ingester) == 1
        assert [fact for _, fact, *_ in graph(settings, user)] == ["Sister Ana works at Nokia"]
        assert await sweep_graphs(memory, ingester) == 0


async def test_turns_become_episodes(episodes, embedder, model, user):
    """One batch of a call is one episode, with the time of the words and the call as saga; relations know their turns."""
    async with feeding(episodes, embedder) as (memory, ingester):
        berlin, porto = await say(memory, user, "I live in Berlin.", "My sister Ana lives in Porto.", days=90)
        report = await ingester.ingest(user)
        rows = graph(
            episodes,
            user,
            "MATCH (s {group_id: $group})-[e:RELATES_TO]->(t) RETURN s.name, t.name, e.turn_ids[0], size(e.turn_ids) ORDER BY t.name",
        )
        told = graph(
            episodes, user, "MATCH (g:Saga {group_id: $group})-[:HAS_EPISODE]->(e) RETURN g.name, e.content, left(toString(e.valid_at), 19)"
        )
    assert rows == [("Caller", "Berlin", str(berlin.turn_id), 1), ("Ana", "Porto", str(porto.turn_id), 1)]
    assert told == [("call", "Caller: I live in Berlin.\nCaller: My sister Ana lives in Porto.", f"{porto.said_at:%Y-%m-%dT%H:%M:%S}")]
    assert (report.relations, report.calls, asked(model)) == (2, 2, ["ExtractedEntities", "ExtractedEdges"])


async def test_a_contradiction_closes_the_old_relation(episodes, embedder, model, user):
    """Both stand there, the old one with its end; the cost of each batch is in the ledger."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", days=90, call="first")
        await say(memory, user, "I moved to Lisbon on 1 October 2026.", days=9, call="second")
        report = await ingester.ingest(user)
        cost = await fetch(memory, "select facts, calls, tokens, state from batches order by created_at")
    assert [(fact, until) for _, fact, _, until in graph(episodes, user)] == [
        ("Caller lives in Berlin", "2026-10-01"),
        ("Caller lives in Lisbon", None),
    ]
    assert cost == [(1, 2, 4, "done"), (2, 4, 8, "done")] and (report.calls, report.tokens) == (6, 12)
    assert asked(model)[2:] == ["ExtractedEntities", "NodeResolutions", "ExtractedEdges", "EdgeDuplicate"]


async def test_episodes_of_a_call_follow_each_other(episodes, embedder, user):
    """Batches are cut, strictly in order, and never hold two calls."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", *["I own a boat."] * 4, "My sister Ana lives in Porto.", days=30, call="long")
        await say(memory, user, "I moved to Lisbon on 1 October 2026.", days=3, call="next")
        await ingester.ingest(user)
        contents = [
            content for (content,) in graph(episodes, user, "MATCH (e:Episodic {group_id: $group}) RETURN e.content ORDER BY e.valid_at")
        ]
        following = graph(episodes, user, "MATCH (a:Episodic {group_id: $group})-[:NEXT_EPISODE]->(b:Episodic) RETURN a.content, b.content")
    assert [content.count("Caller:") for content in contents] == [4, 2, 1] and following == [(contents[0], contents[1])]


async def test_small_talk_makes_no_episode(episodes, embedder, model, user):
    """No model call, no graph; the turns are done all the same."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "Hi there!", "mm hm", "What's the weather like?")
        await say(memory, user, "You live in Berlin, as you told me.", role="assistant", days=8)
        await ingester.ingest(user)
        assert (model.requests, graph(episodes, user), await fetch(memory, "select from graph_due")) == ([], [], [])
        assert len(await fetch(memory, "select from graph_entered where kind = 'turn'")) == 4


async def test_a_forgotten_turn_takes_its_episode_along(episodes, embedder, user):
    """Relation, words and summary go; what else was said in it is read again."""
    async with feeding(episodes, embedder) as (memory, ingester):
        berlin, _ = await say(memory, user, "I live in Berlin.", "My sister Ana lives in Porto.", days=90)
        await ingester.ingest(user)
        await forget(memory, user, "delete from turns where turn_id = $1", berlin.turn_id)
        await ingester.ingest(user)
        held = str(graph(episodes, user, "MATCH (n {group_id: $group}) OPTIONAL MATCH (n)-[e]->() RETURN n, e"))
    assert [fact for _, fact, *_ in graph(episodes, user)] == ["Ana lives in Porto"] and "Berlin" not in held


@pytest.mark.parametrize("status", [503, 429, 401])
async def test_a_provider_outage_counts_for_nothing(episodes, embedder, model, user, status):
    """The turns wait, and are entered when the provider is back; also when it goes in the middle of a batch."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.")
        model.answers = [status, GraphitiAnswers([BERLIN]), status] * 3
        for _ in range(6):
            with pytest.raises(ModelUnavailable):
                await ingester.ingest(user)
        ((starts, failures, calls),) = await fetch(memory, "select starts, failures, calls from batches")
        assert (starts, failures, calls, graph(episodes, user)) == (0, 0, 3, [])
        assert (await ingester.ingest(user)).relations == 1


@pytest.mark.parametrize(
    "garbage", ["Sure! Here you are.", '{"extracted_entities": "none"}', "[]", '{"extracted_entities": [{"name": 5}]}']
)
async def test_garbage_three_times_is_a_dead_letter(episodes, embedder, model, user, garbage):
    """Listed with its error and no word of the caller, out of the way of what comes after, and run again on demand."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", days=90, call="first")
        model.answers = [garbage] * 3
        reports = [await ingester.ingest(user) for _ in range(3)]
        assert [(report.failed, report.dead) for report in reports] == [(True, 0), (True, 0), (False, 1)]
        (letter,) = await dead(memory.db)
        assert (
            (letter.kind, letter.user_id, letter.turns) == ("graph", user, 1) and "Berlin" not in letter.error and "answer" in letter.error
        )
        await say(memory, user, "My sister Ana lives in Porto.", call="second")
        await ingester.ingest(user)
        assert [fact for _, fact, *_ in graph(episodes, user)] == ["Ana lives in Porto"]
        assert await rerun(memory.db, letter.batch_id) == [user]
        await ingester.ingest(user)
        assert [fact for _, fact, *_ in graph(episodes, user)] == ["Ana lives in Porto", "Caller lives in Berlin"]


async def test_odd_but_formal_answers_do_no_harm(episodes, embedder, model, user):
    """Nothing extracted, a relation with itself, a date in the year 32637, ends that nobody named."""
    odd = GraphitiAnswers(
        [BERLIN, Said("I own a boat", "Caller", "Owns", "Caller", "Caller owns a boat", kind="Person", valid_at="+32637-01-01T00:00:00Z")]
    )
    async with feeding(episodes, embedder) as (memory, ingester):
        model.answers = [{"extracted_entities": []}, {"edges": []}]
        await say(memory, user, "I like it here.", days=40, call="empty")
        await ingester.ingest(user)
        model.otherwise = odd
        await say(memory, user, "I own a boat.", "I live in Berlin.", days=30, call="odd")
        report = await ingester.ingest(user)
    assert not report.dead and "Caller lives in Berlin" in [fact for _, fact, *_ in graph(episodes, user)]


async def test_another_way_of_feeding_begins_anew(settings, episodes, embedder, user):
    """The two ways would say everything twice."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Berlin")
        await say(memory, user, "I live in Berlin.")
        await ingester.ingest(user)
    async with feeding(episodes, embedder) as (memory, ingester):
        await memory.db.transaction(lambda connection: graph_ledger.mark_due(connection, user, "echoic"))
        await ingester.ingest(user)
    assert [fact for _, fact, *_ in graph(episodes, user)] == ["Caller lives in Berlin"]


@pytest.mark.parametrize("way", ["facts", "episodes"])
async def test_a_lost_graph_is_entered_anew(settings, embedder, user, way):
    """Its server came back empty, or is another one: Postgres still knows it all."""
    settings = settings.model_copy(update={"graph_ingest": way})
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Berlin")
        await say(memory, user, "I live in Berlin.")
        await ingester.ingest(user)
        before = graph(settings, user)
        await memory.graph.erase(group_of(user, "echoic"))
        await fetch(memory, "update settings set value = 'another' where key = 'graph'")
    async with feeding(settings, embedder) as (memory, ingester):
        await graph_ledger.note_store(memory.db, memory.graph.name)
        assert await sweep_graphs(memory, ingester) == 1
    assert graph(settings, user) == before != []


async def test_who_wants_nothing_kept_gets_no_graph(settings, embedder, user):
    """Facts learned before a "no" wait, and enter after a "yes"."""
    async with feeding(settings, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        await memory.consents.write(user, "off")
        await ingester.ingest(user)
        assert graph(settings, user) == [] and await sweep_graphs(memory, ingester) == 0
        await memory.consents.write(user, "on")
        assert await sweep_graphs(memory, ingester) == 1 and len(graph(settings, user)) == 1


async def test_an_erased_person_stays_away(episodes, embedder, model, user):
    """Erased while the model thinks: nothing of it is saved, kept or noted."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.")
        with model.held():
            ingesting = asyncio.create_task(ingester.ingest(user))
            await asyncio.to_thread(model.wait_asked)
            await erase_user(memory, user)
        await ingesting
        held = [
            await fetch(memory, f"select from {table}")
            for table in ("batches", "graph_results", "graph_entered", "graph_groups", "graph_due")
        ]
    assert graph(episodes, user) == [] and held == [[]] * 5


async def test_the_worker_feeds_the_graph(settings, embedder, model, user):
    """`echoic worker --burst`: facts and graph, and nothing left due."""
    model.otherwise = facts("Sister Ana works at Nokia")
    settings = settings.model_copy(update={"extractor": "echoic"})
    async with open_memory(settings, embedder=embedder) as memory:
        await memory.db.run(lambda connection: connection.execute("select 1"))
        await learn(memory, user, "Lives in Leeds")
        await run_worker(settings.model_copy(update={"extractor": "off"}), burst=True)
        assert [fact for _, fact, *_ in graph(settings, user)] == ["Lives in Leeds"]


async def test_without_its_server_the_graph_waits(settings, embedder, user):
    """Nobody is stopped and nothing counted."""
    wrong = settings.model_copy(update={"falkordb_url": SecretStr("redis://127.0.0.1:1"), "neo4j_url": ""})
    async with feeding(wrong, embedder) as (memory, ingester):
        await learn(memory, user, "Lives in Leeds")
        with pytest.raises(StoreUnavailable):
            await ingester.ingest(user)
        assert await sweep_graphs(memory, ingester) == 0
        assert await fetch(memory, "select from batches") == []


async def test_types_can_be_replaced():
    """By a module of one's own; a wrong name is said."""
    assert types_of("tests.graph_model:OWN_TYPES") is OWN_TYPES
    for wrong in ("nowhere:TYPES", "json:dumps", "json", ":"):
        with pytest.raises(ConfigInvalid, match="ECHOIC_GRAPH_TYPES"):
            types_of(wrong)


async def test_episodes_without_a_model_are_refused(memory_settings, falkordb_url, embedder):
    """With a sentence, at the start."""
    settings = memory_settings.model_copy(update={"graph": "on", "falkordb_url": SecretStr(falkordb_url), "graph_ingest": "episodes"})
    async with open_memory(settings, embedder=embedder) as memory:
        with pytest.raises(ConfigInvalid, match="ECHOIC_GRAPH_INGEST"):
            open_ingester(memory)
