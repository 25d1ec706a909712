"""The graph as a part of memory, on the real Postgres: asked, late, forgotten, exported and erased.

Only the graph server is scripted.
"""

import asyncio
import json
import logging
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.agent.terminal.formatting import why_lines
from echoic.memory.errors import ConfigInvalid, StoreUnavailable, UserUnknown
from echoic.memory.graph import ledger as graph_ledger
from echoic.memory.graph.erase import finish_erasures, void_of
from echoic.memory.graph.groups import digest_json, group_of, read_groups
from echoic.memory.graph.types import Relation, item_of, relation_as_json
from echoic.memory.privacy import erase
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.forget import forget
from echoic.memory.service import open_memory
from echoic.memory.store.queries import query
from echoic.memory.types import Caller, ForgetRequest
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.integration.test_account import Learns, settled, was_erased

NOW = datetime.now(UTC)
SISTER = "Xylquor is the sister of Bruno"


def relation(text=SISTER, **fields) -> Relation:
    fields = {
        "name": "SISTER_OF",
        "source": "Xylquor",
        "target": "Bruno",
        "said_at": NOW - timedelta(days=3),
        "score": 1.0,
    } | fields
    return Relation(edge_id=uuid4(), text=text, **fields)


class ScriptedGraph:
    """A graph server that holds what it is given, and can be made to fail, to hang and to be slow."""

    name = "falkordb"

    def __init__(self):
        self.groups: dict[str, list[Relation]] = {}
        self.asked: Counter[str] = Counter()
        self.fault: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def _answer(self, method):
        self.asked[method] += 1
        await self.answers.wait()
        if self.fault:
            raise self.fault

    async def search(self, group, **_):
        await self._answer("search")
        return list(self.groups.get(group, ()))

    async def digest(self, group, limit, now):
        await self._answer("digest")
        return self.groups.get(group, [])[:limit]

    async def export(self, group):
        await self._answer("export")
        return {"relations": [relation_as_json(one) for one in self.groups.get(group, ())]}

    async def erase(self, group):
        await self._answer("erase")
        self.groups.pop(group, None)

    async def count(self, group):
        await self._answer("count")
        return len(self.groups.get(group, ()))

    async def ping(self):
        await self._answer("ping")
        return "scripted"

    async def close(self):
        pass


@pytest.fixture
def graph(monkeypatch) -> ScriptedGraph:
    """What every memory of the test opens where the graph is on."""
    scripted = ScriptedGraph()
    monkeypatch.setattr(
        "echoic.memory.service.open_backend", lambda settings: scripted if settings.graph == "on" else None
    )
    return scripted


@pytest.fixture
def settings(memory_settings):
    return memory_settings.model_copy(update={"graph": "on"})


@pytest.fixture
async def memory(settings, graph):
    async with open_memory(settings, embedder=WordEmbedder()) as opened:
        yield opened


async def has_graph(memory, graph, *relations, user_id="ana", agent_id="echoic") -> str:
    """As a worker leaves it."""
    group = group_of(user_id, agent_id)
    graph.groups[group] = list(relations)

    async def note(connection):
        await connection.execute(query("add_graph_group"), user_id, agent_id, group)
        one = graph_ledger.GraphRef(user_id, agent_id, datetime.now(UTC))
        await graph_ledger.refresh(connection, one, len(relations), digest_json(relations[:8]))
        await connection.execute(
            query("enter_in_graph"),
            user_id,
            group,
            "edge",
            [one.edge_id for one in relations],
            ["v"] * len(relations),
        )

    await memory.db.transaction(note)
    return group


async def a_call(memory, user_id="ana"):
    return await memory.open_call(Caller(user_id, "echoic", uuid4().hex))


async def group_of_ana(memory):
    groups = await memory.db.run(lambda connection: read_groups(connection, ["ana"], "echoic"))
    return groups[0] if groups else None


async def test_nobody_asks_about_a_caller_without_a_graph(memory, graph):
    """The server hears nothing of a caller of whom it holds nothing, and no graph is made."""
    found = await (await a_call(memory)).recall("who is the sister of Bruno")
    assert found.tiers["graph"].status == "empty" and not graph.asked["search"] and not graph.groups


async def test_what_the_graph_finds_stands_in_the_block_and_says_so(memory, graph):
    """A relation that has ended is told with its end, and `why` names the graph as its source."""
    await has_graph(memory, graph, relation(valid_until=NOW - timedelta(days=1)))
    found = await (await a_call(memory)).recall("who was the sister of Bruno before")
    assert found.tiers["graph"].status == "ok" and f"{SISTER} (true until" in found.block
    answer = type("Answer", (), {"recall": found})
    (line, *_) = [line for line in why_lines(answer, "UTC") if "Xylquor" in line]
    # a midnight may have passed since the tests began
    assert re.match("relation · graph · said [34] days ago", line) and ", true until " in line


async def test_one_agents_graph_is_not_anothers(memory, graph):
    """Neither what another agent was told nor what another person told comes into the block."""
    await has_graph(memory, graph, relation(), agent_id="sales")
    await has_graph(memory, graph, relation(), user_id="bob")
    assert SISTER not in (await (await a_call(memory)).recall("who is the sister of Bruno")).block


async def test_a_fact_that_the_graph_holds_too_is_one_line(memory, graph):
    """It names both tiers and keeps the turn it was learned from."""
    call = await a_call(memory)
    said = await call.record("item-1", "user", "My aunt Xylquor keeps bees.")
    await settled(memory)
    extractor = Learns()
    extractor.go.set()
    await Learner(memory, extractor).learn("ana")
    (fact,) = await memory.facts.list("ana")
    await has_graph(memory, graph, relation(fact.text, said_at=fact.said_at, turn_ids=fact.turn_ids))
    later = await a_call(memory)
    found = await later.recall("what does aunt Xylquor keep")
    assert [item.tier for item in found.used if item.kind == "fact"] == [
        "facts+graph"
    ] and said.turn_id in found.used[0].turn_ids
    assert found.block.count(fact.text) == 1


async def test_a_call_begins_with_the_digest_although_the_graph_is_down(memory, graph):
    """What the graph knew best is read from Postgres, without what has ended."""
    await has_graph(memory, graph, relation(), relation("Ended", valid_until=NOW))
    graph.fault = StoreUnavailable()
    call = await a_call(memory)
    assert [item.text for item in call.recent.profile] == [SISTER] and call.recent.known
    found = await call.recall("what can I cook tonight")
    assert found.tiers["graph"].status == "failed" and SISTER in found.block


async def test_a_late_answer_serves_the_next_question(memory, graph):
    """It is not lost: the next words that it fits have it, though the graph is late again."""
    fillers = (relation(f"Filler number {number}", source="Caller") for number in range(8))
    await has_graph(memory, graph, *fillers, relation())
    call = await a_call(memory)
    graph.answers.clear()
    first = await call.recall("who is the sister of Bruno", budget_s=0.05)
    assert first.tiers["graph"].status == "late" and SISTER not in first.block
    graph.answers.set()
    while memory.recaller._tasks:
        await asyncio.wait(memory.recaller._tasks)
    graph.answers.clear()
    second = await call.recall("Xylquor is coming for dinner", budget_s=0.05)
    assert second.tiers["graph"].status == "late" and SISTER in second.block


async def test_forgetting_silences_the_graph_until_it_has_forgotten_too(memory, graph):
    """Digest, late answers, held answers and the graph itself, until a worker has caught up."""
    call = await a_call(memory)
    said = await call.record("item-1", "user", "My cousin is called Xylquor.")
    await has_graph(memory, graph, relation(turn_ids=(said.turn_id,)))
    same, later = await a_call(memory), None
    assert SISTER in (await same.recall("who is the sister of Bruno")).block
    await forget(call, ForgetRequest(frozenset({said.turn_id})))
    asked = graph.asked["search"]
    later = await a_call(memory)
    for one in (call, same, later):
        assert "Xylquor" not in str([await one.recall("who is the sister of Bruno"), one.recent.profile])
    assert graph.asked["search"] == asked and await group_of_ana(memory) is None
    (due,) = await memory.db.run(lambda connection: graph_ledger.due(connection, "ana"))
    graph.groups[due.group_id] = [relation("Ana has a boat")]
    await memory.db.run(lambda connection: graph_ledger.refresh(connection, due, 1, "[]"))
    assert "Ana has a boat" in (await (await a_call(memory)).recall("who is the sister of Bruno")).block


async def test_a_worker_that_began_before_the_forgetting_does_not_wake_the_graph(memory, graph):
    """What it read before is not written after: a graph at rest stays at rest."""
    call = await a_call(memory)
    said = await call.record("item-1", "user", "My cousin is called Xylquor.")
    await has_graph(memory, graph, relation())
    began = graph_ledger.GraphRef("ana", "echoic", datetime.now(UTC))
    await forget(call, ForgetRequest(frozenset({said.turn_id})))
    await memory.db.run(
        lambda connection: graph_ledger.refresh(connection, began, 1, digest_json([relation()]))
    )
    assert await group_of_ana(memory) is None


async def test_forgetting_what_the_graph_told_forgets_its_fact_and_its_turn(memory, graph):
    """A relation of a whole batch takes along only the turn that its words come from."""
    call = await a_call(memory)
    said = await call.record("item-1", "user", "My cousin Xylquor keeps bees.")
    other = await call.record("item-2", "user", "I live in Porto.")
    await settled(memory)
    extractor = Learns()
    extractor.go.set()
    await Learner(memory, extractor).learn("ana")
    whole = (said.turn_id, other.turn_id)
    told = [
        relation("Xylquor keeps bees", turn_ids=whole),
        relation("Said: My cousin Xylquor keeps bees.", turn_ids=whole),
    ]
    gone = await forget(call, ForgetRequest(relations=tuple(item_of(one) for one in told)))
    assert gone.turns == {said.turn_id} and len(gone.facts) == 1
    assert [turn.text for turn in await memory.turns.list("ana")] == ["I live in Porto."]


async def test_export_includes_the_graphs_with_their_intervals(memory, graph):
    """One's own graphs only, and since when and until when each relation holds."""
    ended = relation(valid_from=NOW - timedelta(days=90), valid_until=NOW - timedelta(days=1))
    group = await has_graph(memory, graph, ended)
    await has_graph(memory, graph, relation("otherword"), user_id="bob")
    exported = json.loads(json.dumps(await export_user(memory, "ana")))
    (found,) = exported["graphs"]
    assert (found["agent_id"], found["group_id"]) == ("echoic", group) and "otherword" not in str(exported)
    assert (found["relations"][0]["valid_from"], found["relations"][0]["valid_until"]) == (
        ended.valid_from.isoformat(),
        ended.valid_until.isoformat(),
    )


async def test_an_export_without_its_graph_is_refused(memory, memory_settings, graph):
    """Down, or switched off meanwhile: half of a person's data is not their data."""
    await has_graph(memory, graph, relation())
    graph.fault = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await export_user(memory, "ana")
    async with open_memory(memory_settings, embedder=WordEmbedder()) as without:
        with pytest.raises(StoreUnavailable, match="ECHOIC_GRAPH"):
            await export_user(without, "ana")


async def test_erasing_removes_the_graph_and_nobody_elses(memory, graph):
    """All agents' graphs of the person go, digest and queue too; their names wait for a second look."""
    await has_graph(memory, graph, relation())
    await has_graph(memory, graph, relation(), agent_id="sales")
    bobs = await has_graph(memory, graph, relation("otherword"), user_id="bob")
    call = await a_call(memory)
    report = await erase_user(memory, "ana")
    assert (report.graphs, report.unfinished) == (2, ()) and list(graph.groups) == [bobs]
    assert SISTER not in str([await call.recall("who is the sister of Bruno"), call.recent.profile])
    assert await counts(memory) == {
        "graph_groups": 1,
        "graph_entered": 1,
        "graph_due": 0,
        "graph_erasures": 2,
    }
    assert await void_of(memory.db, "ana") == []
    with pytest.raises(UserUnknown):
        await export_user(memory, "ana")


async def counts(memory):
    tables = ("graph_groups", "graph_entered", "graph_due", "graph_erasures")
    return {
        table: await memory.db.run(
            lambda connection, t=table: connection.fetchval(f"select count(*) from {t}")
        )
        for table in tables
    }


@pytest.mark.parametrize("fault", [StoreUnavailable(), ConfigInvalid("The password is wrong.")])
async def test_a_graph_that_could_not_be_removed_is_named_asked_by_nobody_and_removed_later(
    memory, graph, fault
):
    """The rest of the person is erased all the same, and a second attempt finishes."""
    await has_graph(memory, graph, relation())
    graph.fault = fault
    report = await erase_user(memory, "ana")
    assert report.graphs == 0 and len(report.unfinished) == 1 and str(fault) in report.unfinished[0]
    graph.fault, asked = None, graph.asked["search"]
    found = await (await a_call(memory)).recall("who is the sister of Bruno")
    assert found.tiers["graph"].status == "empty" and graph.asked["search"] == asked
    assert (await counts(memory))["graph_erasures"] == 1
    assert (await erase_user(memory, "ana")).graphs == 1 and not graph.groups
    assert (await erase_user(memory, "ana")).graphs == 0


async def test_a_save_that_a_hung_server_carries_out_late_does_not_stay(memory, graph, monkeypatch):
    """Given up before the erasure: a removed graph is looked at once more, then its name goes too."""
    group = await has_graph(memory, graph, relation())
    late = graph.groups[group]
    assert (await erase_user(memory, "ana")).graphs == 1 and not graph.groups
    graph.groups[group] = late
    assert await finish_erasures(memory.db, graph) == 0 and graph.groups, "too early: more may come"
    monkeypatch.setattr("echoic.memory.graph.erase.SECOND_LOOK_S", 0.0)
    assert await finish_erasures(memory.db, graph) == 0 and not graph.groups
    assert (await counts(memory))["graph_erasures"] == 0


async def test_who_comes_back_is_not_removed_by_the_second_look(memory, graph, monkeypatch):
    """Whoever feeds the new graph sees to the old one for good before."""
    group = await has_graph(memory, graph, relation())
    await erase_user(memory, "ana")
    assert (
        await finish_erasures(
            memory.db, graph, await void_of(memory.db, "ana", removed_too=True), for_good=True
        )
        == 0
    )
    assert await has_graph(memory, graph, relation("Has a cat")) == group
    monkeypatch.setattr("echoic.memory.graph.erase.SECOND_LOOK_S", 0.0)
    assert await finish_erasures(memory.db, graph) == 0 and group in graph.groups


async def test_a_graph_that_is_off_is_named(memory, memory_settings, graph):
    """A process without the graph says what to turn on, and one that has it finishes the erasure."""
    await has_graph(memory, graph, relation())
    async with open_memory(memory_settings, embedder=WordEmbedder()) as without:
        report = await erase_user(without, "ana")
        assert report.graphs == 0 and "ECHOIC_GRAPH=on" in report.unfinished[0]
    assert await finish_erasures(memory.db, memory.graph) == 1 and not graph.groups


async def test_the_names_that_wait_say_nothing_about_the_person(memory, graph):
    """What is left after an erasure is a group's name, from which no user id can be read."""
    await has_graph(memory, graph, relation())
    graph.fault = StoreUnavailable()
    await erase_user(memory, "ana")
    rows = await memory.db.run(
        lambda connection: connection.fetch("select graph_erasures::text from graph_erasures")
    )
    assert len(rows) == 1 and "ana" not in str(rows).replace("Record", "")


async def test_two_that_finish_an_erasure_remove_the_graph_once(memory, graph):
    """The second would remove what the person, come back, has in the new one."""
    group = await has_graph(memory, graph, relation())
    graph.fault = StoreUnavailable()
    await erase_user(memory, "ana")
    graph.fault, before = None, graph.asked["erase"]
    graph.answers.clear()
    both = [asyncio.create_task(finish_erasures(memory.db, graph)) for _ in range(2)]
    while graph.asked["erase"] == before:
        await asyncio.sleep(0.01)
    graph.answers.set()
    assert sorted(await asyncio.gather(*both)) == [0, 1] and graph.asked["erase"] == before + 1
    assert group not in graph.groups


async def test_without_postgres_no_graph_is_erased(memory, graph, monkeypatch):
    """Nothing is erased, or all of it: a graph alone is not."""
    await has_graph(memory, graph, relation())
    monkeypatch.setattr(erase, "WRITERS_LIMIT_MS", 100)
    async with memory.db.dedicated() as connection, connection.transaction():
        await connection.execute(query("lock_user_shared"), "ana")
        with pytest.raises(StoreUnavailable):
            await erase_user(memory, "ana")
    assert await was_erased(memory) is False and len(graph.groups) == 1


async def test_a_wrong_password_is_said_and_calls_go_on(settings, graph, caplog):
    """The call is answered from the other tiers, and the log has the reason once."""
    graph.fault = ConfigInvalid("Neo4j refuses the password: check ECHOIC_NEO4J_PASSWORD.")
    with caplog.at_level(logging.WARNING, "echoic.memory"):
        async with open_memory(settings, embedder=WordEmbedder()) as memory:
            await has_graph(memory, graph, relation())
            call = await a_call(memory)
            await call.record("item-1", "user", "My dog is called Biscuit.")
            found = await call.recall("what is my dog called")
            assert found.tiers["graph"].status == "failed" and "Biscuit" in found.block
    assert [record.reason for record in caplog.records if record.message == "graph.not_usable"] == [
        str(graph.fault)
    ]


async def test_a_hung_graph_delays_neither_a_recall_nor_the_end(settings, graph):
    """Three replies wait for the budget, the others for nothing; nor does closing wait."""
    settings = settings.model_copy(update={"recall_budget_ms": 50})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        await has_graph(memory, graph, relation())
        call = await a_call(memory)
        graph.answers.clear()
        found = [await call.recall(f"who is the sister of Bruno, number {number}") for number in range(6)]
        assert [one.tiers["graph"].status for one in found] == ["late"] * 3 + ["skipped"] * 3
        assert all(one.tiers["facts"].status in ("ok", "empty") for one in found)
        ending = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ending < 5
