"""Turns enter a real graph server as episodes, through real Graphiti: in order, each batch once.

Only the language model is scripted.
"""

import asyncio

import pytest

from echoic.memory.errors import ConfigInvalid, ModelUnavailable
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.graph.groups import group_of
from echoic.memory.privacy.account import erase_user
from echoic.memory.service import open_memory
from echoic.memory.store.batches import dead, rerun
from echoic.workers.graph.entity_types import types_of
from echoic.workers.graph.ingest import open_ingester
from echoic.workers.sweep import sweep_graphs
from tests.graph_model import OWN_TYPES, GraphitiAnswers, Said
from tests.graph_servers import graph
from tests.integration.graph_ingestion import *  # noqa: F403
from tests.integration.graph_ingestion import BERLIN, feeding, fetch, forget, learn, say


def asked(model):
    """Which of Graphiti's questions the model got."""
    return [request["response_format"]["json_schema"]["name"] for request in model.requests]


async def test_turns_become_episodes(episodes, embedder, model, user):
    """One batch of a call is one episode at the time of its words, its call a saga; relations know turns."""
    async with feeding(episodes, embedder) as (memory, ingester):
        berlin, porto = await say(memory, user, "I live in Berlin.", "My sister Ana lives in Porto.", days=90)
        report = await ingester.ingest(user)
        rows = graph(
            episodes,
            user,
            "MATCH (s {group_id: $group})-[e:RELATES_TO]->(t) "
            "RETURN s.name, t.name, e.turn_ids[0], size(e.turn_ids) ORDER BY t.name",
        )
        told = graph(
            episodes,
            user,
            "MATCH (g:Saga {group_id: $group})-[:HAS_EPISODE]->(e) "
            "RETURN g.name, e.content, left(toString(e.valid_at), 19)",
        )
    assert rows == [("Caller", "Berlin", str(berlin.turn_id), 1), ("Ana", "Porto", str(porto.turn_id), 1)]
    assert told == [
        (
            "call",
            "Caller: I live in Berlin.\nCaller: My sister Ana lives in Porto.",
            f"{porto.said_at:%Y-%m-%dT%H:%M:%S}",
        )
    ]
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
        await say(
            memory,
            user,
            "I live in Berlin.",
            *["I own a boat."] * 4,
            "My sister Ana lives in Porto.",
            days=30,
            call="long",
        )
        await say(memory, user, "I moved to Lisbon on 1 October 2026.", days=3, call="next")
        await ingester.ingest(user)
        contents = [
            content
            for (content,) in graph(
                episodes, user, "MATCH (e:Episodic {group_id: $group}) RETURN e.content ORDER BY e.valid_at"
            )
        ]
        following = graph(
            episodes,
            user,
            "MATCH (a:Episodic {group_id: $group})-[:NEXT_EPISODE]->(b:Episodic) RETURN a.content, b.content",
        )
    assert [content.count("Caller:") for content in contents] == [4, 2, 1] and following == [
        (contents[0], contents[1])
    ]


async def test_small_talk_makes_no_episode(episodes, embedder, model, user):
    """No model call, no graph; the turns are done all the same."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "Hi there!", "mm hm", "What's the weather like?")
        await say(memory, user, "You live in Berlin, as you told me.", role="assistant", days=8)
        await ingester.ingest(user)
        assert (model.requests, graph(episodes, user), await fetch(memory, "select from graph_due")) == (
            [],
            [],
            [],
        )
        assert len(await fetch(memory, "select from graph_entered where kind = 'turn'")) == 4


async def test_a_forgotten_turn_takes_its_episode_along(episodes, embedder, user):
    """Relation, words and summary go; what else was said in it is read again."""
    async with feeding(episodes, embedder) as (memory, ingester):
        berlin, _ = await say(memory, user, "I live in Berlin.", "My sister Ana lives in Porto.", days=90)
        await ingester.ingest(user)
        await forget(memory, user, "delete from turns where turn_id = $1", berlin.turn_id)
        await ingester.ingest(user)
        held = str(
            graph(episodes, user, "MATCH (n {group_id: $group}) OPTIONAL MATCH (n)-[e]->() RETURN n, e")
        )
    assert [fact for _, fact, *_ in graph(episodes, user)] == ["Ana lives in Porto"] and "Berlin" not in held


@pytest.mark.parametrize("status", [503, 429, 401])
async def test_a_provider_outage_counts_for_nothing(episodes, embedder, model, user, status):
    """The turns wait for the provider's return, also when it goes in the middle of a batch."""
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
    "garbage",
    ["Sure! Here you are.", '{"extracted_entities": "none"}', "[]", '{"extracted_entities": [{"name": 5}]}'],
)
async def test_garbage_three_times_is_a_dead_letter(episodes, embedder, model, user, garbage):
    """Listed with its error and no word of the caller, in nobody's way, and run again on demand."""
    async with feeding(episodes, embedder) as (memory, ingester):
        await say(memory, user, "I live in Berlin.", days=90, call="first")
        model.answers = [garbage] * 3
        reports = [await ingester.ingest(user) for _ in range(3)]
        assert [(report.failed, report.dead) for report in reports] == [(True, 0), (True, 0), (False, 1)]
        (letter,) = await dead(memory.db)
        assert (
            (letter.kind, letter.user_id, letter.turns) == ("graph", user, 1)
            and "Berlin" not in letter.error
            and "answer" in letter.error
        )
        await say(memory, user, "My sister Ana lives in Porto.", call="second")
        await ingester.ingest(user)
        assert [fact for _, fact, *_ in graph(episodes, user)] == ["Ana lives in Porto"]
        assert await rerun(memory.db, letter.batch_id) == [user]
        await ingester.ingest(user)
        assert [fact for _, fact, *_ in graph(episodes, user)] == [
            "Ana lives in Porto",
            "Caller lives in Berlin",
        ]


async def test_odd_but_formal_answers_do_no_harm(episodes, embedder, model, user):
    """Nothing extracted, a relation with itself, a date in the year 32637, ends that nobody named."""
    odd = GraphitiAnswers(
        [
            BERLIN,
            Said(
                "I own a boat",
                "Caller",
                "Owns",
                "Caller",
                "Caller owns a boat",
                kind="Person",
                valid_at="+32637-01-01T00:00:00Z",
            ),
        ]
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
        await graph_ledger.remember_backend(memory.db, memory.graph.name)
        assert await sweep_graphs(memory, ingester) == 1
    assert graph(settings, user) == before != []


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


async def test_types_can_be_replaced():
    """By a module of one's own; a wrong name is said."""
    assert types_of("tests.graph_model:OWN_TYPES") is OWN_TYPES
    for wrong in ("nowhere:TYPES", "json:dumps", "json", ":"):
        with pytest.raises(ConfigInvalid, match="ECHOIC_GRAPH_TYPES"):
            types_of(wrong)


async def test_episodes_without_a_model_are_refused(memory_settings, graph_server, embedder):
    """With a sentence, at the start."""
    settings = memory_settings.model_copy(update={"graph": "on", "graph_ingest": "episodes"} | graph_server)
    async with open_memory(settings, embedder=embedder) as memory:
        with pytest.raises(ConfigInvalid, match="ECHOIC_GRAPH_INGEST"):
            open_ingester(memory)
