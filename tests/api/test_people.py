"""People over HTTP: found, read, exported, erased; their calls, turns, learning and queues."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.graph.types import Entity, Relation
from echoic.memory.store import batches
from tests.remembered import NOW, caller, fact, learn, say


async def pages(client, path, limit=2):
    """Every item of a list, page by page."""
    found, cursor = [], None
    while True:
        query = f"limit={limit}{f'&cursor={cursor}' if cursor else ''}"
        page = (await client.get(f"{path}{'&' if '?' in path else '?'}{query}")).json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if (cursor := page["next"]) is None:
            return found


async def test_users_in_both_orders(served, admin):
    """By id, and by what was recorded last; also who has facts alone."""
    for number, user_id in enumerate(("dora", "Ana", "cleo", "bo")):
        at = datetime.now(UTC) - timedelta(hours=number)
        await say(served.memory, "Hello.", user_id=user_id, call_id=user_id, said_at=at)
    await learn(served.memory, fact("Has a dog", "emil"), fact("Has a cat", "bo"))
    by_id = await pages(admin, "/v1/users")
    assert sorted(one["user_id"] for one in by_id) == ["Ana", "bo", "cleo", "dora", "emil"]
    assert {one["user_id"]: (one["turns"], one["facts"]) for one in by_id}["bo"] == (1, 1)
    latest = await pages(admin, "/v1/users?order=-latest")
    assert [one["user_id"] for one in latest] == ["bo", "emil", "cleo", "Ana", "dora"]
    found = (await admin.get("/v1/users?q=AN")).json()["items"]
    assert [one["user_id"] for one in found] == ["Ana"]


async def test_calls_and_their_turns(served, admin):
    """The last call first, its turns in order; the list of all turns newest first."""
    for number in range(3):
        at = datetime.now(UTC) - timedelta(hours=3 - number)
        await say(served.memory, "one", "two", "three", call_id=f"call/{number}", said_at=at)
    calls = await pages(admin, "/v1/users/ana/calls")
    assert [(one["call_id"], one["turns"]) for one in calls] == [(f"call/{n}", 3) for n in (2, 1, 0)]
    turns = await pages(admin, "/v1/users/ana/calls/call%2F1/turns")
    assert [one["text"] for one in turns] == ["one", "two", "three"]
    assert len(await pages(admin, "/v1/users/ana/turns")) == 9
    assert len((await admin.get("/v1/users/ana/turns?q=TWO")).json()["items"]) == 3


async def test_the_export_is_the_same_as_the_commands(served, admin):
    """Streamed, and whole."""
    await say(served.memory, "My dog is called Biscuit.")
    await learn(served.memory, fact("Has a dog"))
    answer = await admin.get("/v1/users/ana/export")
    found = json.loads(answer.text)
    assert "attachment" in answer.headers["content-disposition"]
    assert found["user_id"] == "ana" and [one["text"] for one in found["facts"]] == ["Has a dog"]
    assert [one["text"] for one in found["turns"]] == ["My dog is called Biscuit."]


async def test_who_is_erased_is_gone_everywhere(served, admin):
    """With a report; asked again, nothing is counted."""
    await say(served.memory, "My dog is called Biscuit.")
    await learn(served.memory, fact("Has a dog"))
    report = (await admin.delete("/v1/users/ana")).json()
    assert (report["turns"], report["facts"], report["unfinished"]) == (1, 1, [])
    assert (await admin.delete("/v1/users/ana")).json()["turns"] == 0
    for path in ("", "/export"):
        assert (await admin.get(f"/v1/users/ana{path}")).status_code == 404
    assert (await admin.get("/v1/users")).json()["items"] == []


async def test_learning_is_asked_for_and_followed(served, admin):
    """202 before anything is learned, with where to look; idle when nothing waits."""
    await say(served.memory, "My dog is called Biscuit.")
    task = await admin.post("/v1/users/ana/learn")
    assert task.status_code == 202
    assert task.json() == {"open_turns": 1, "queued": True, "follow": task.headers["location"]}
    assert (await admin.get(task.headers["location"])).json()["state"] == "waiting"
    turn = (await served.memory.turns.list("ana"))[0]
    batch = await served.memory.db.transaction(lambda one: batches.begin(one, "ana", "learn", [turn.turn_id]))
    assert (await admin.get(task.headers["location"])).json()["state"] == "running"
    await served.memory.db.run(lambda one: batches.finish(one, "ana", batch.batch_id, 3))
    done = (await admin.get(task.headers["location"])).json()
    assert done["state"] == "idle" and done["batches"][0]["facts"] == 3


async def test_what_was_given_up_is_listed_and_tried_again(served, admin):
    """With its reason; its turns are open again."""
    (turn,) = await say(served.memory, "My dog is called Biscuit.")
    batch = await served.memory.db.transaction(lambda one: batches.begin(one, "ana", "learn", [turn.turn_id]))
    await served.memory.db.run(lambda one: batches.fail(one, "ana", batch.batch_id, "no answer", 1))
    (job,) = (await admin.get("/v1/jobs")).json()["items"]
    assert (job["user_id"], job["kind"], job["error"]) == ("ana", "learn", "no answer")
    assert (await admin.get("/v1/statistics")).json()["turns_given_up"] == 1
    assert (await admin.post(f"/v1/jobs/{uuid4()}/retry")).status_code == 404
    again = await admin.post(f"/v1/jobs/{job['batch_id']}/retry")
    assert again.status_code == 202 and again.json() == {"retried": 1}
    assert (await admin.post("/v1/jobs/retry")).json() == {"retried": 0}
    queues = (await admin.get("/v1/queues")).json()
    assert queues["waiting_turns"] == 1 and queues["queued_jobs"] == 1


async def test_an_undone_call_takes_its_facts_back(served, admin):
    """What its batch added is gone, what was said stays; a call of somebody else is unknown."""
    (turn,) = await say(served.memory, "My dog is called Biscuit.", call_id="a/b")
    known, memory = fact("Has a dog", turn_ids=(turn.turn_id,)), served.memory

    async def teach(connection):
        batch = await batches.begin(connection, "ana", "learn", [turn.turn_id])
        vectors = await memory.embedder.embed_batch([known.text])
        await memory.facts.add(connection, [known], vectors, batch_id=batch.batch_id)
        await batches.finish(connection, "ana", batch.batch_id, 1)

    await memory.db.transaction(teach)
    assert (await admin.post("/v1/users/bo/calls/a%2Fb/undo")).status_code == 404
    undone = await admin.post("/v1/users/ana/calls/a%2Fb/undo")
    assert undone.json() == {"removed": [str(known.fact_id)], "restored": []}
    assert (await admin.get("/v1/users/ana/facts?validity=all")).json()["items"] == []
    assert len((await admin.get("/v1/users/ana/turns")).json()["items"]) == 1
    (change,) = (await admin.get("/v1/users/ana/changes")).json()["items"]
    assert change["change"] == "added" and change["undone"]


async def test_context_is_of_its_person_whoever_is_in_a_call_of_that_name(served):
    """Who sends turns names their call: like the one under which everybody's contexts are asked for."""
    memory = served.memory
    await memory.versions.wait_heard()
    await learn(memory, fact("Has a safe with the code Xylquor", "mallory"), fact("Has a cat called Tom"))
    call = await memory.open_call(caller("mallory", call_id="api"))
    await memory.search.wait_held("api")
    async with served.client("user", "ana") as ana:
        asked = {"text": "What is the code of the safe?"}
        found = (await ana.post("/v1/users/ana/context", json=asked)).json()["block"]
    await call.end(hurry=False)
    assert "Tom" in found and "Xylquor" not in found


async def test_context_keeps_within_its_limit(served, admin):
    """Of tokens, of items and of topics; without a question it is the profile."""
    boats = [fact(f"Owns a boat called Number {n}", topic="boats", importance=0.5) for n in range(20)]
    await learn(served.memory, *boats, fact("Is allergic to nuts", topic="health", importance=0.9))
    ask = {"text": "What are my boats called?", "max_tokens": 120, "max_items": 2}
    found = (await admin.post("/v1/users/ana/context", json=ask)).json()
    assert 1 <= len(found["used"]) <= 7 and len(found["block"]) < 800
    profile = (await admin.post("/v1/users/ana/context", json={"topics": ["health"]})).json()
    assert [one["text"] for one in profile["used"]] == ["Is allergic to nuts"] and profile["tiers"] == {}


class Graph:
    """A graph server that knows one relation."""

    name = "falkordb"

    async def relations(self, group, *, at=None, live_only=True):
        return [Relation(uuid4(), "Ana lives in Porto", "LIVES_IN", "Ana", "Porto", NOW)]

    async def entities(self, group):
        return [Entity(uuid4(), name) for name in ("Ana", "Elsewhere", "Porto")]

    async def close(self):
        """Nothing to close."""


async def test_the_graph_as_nodes_and_edges(served, admin, monkeypatch):
    """Edges lead from id to id; at a date, who was not spoken of by then is left out."""
    insert = "insert into graph_groups (group_id, user_id, agent_id) values ('g', 'ana', 'echoic')"
    await served.memory.db.run(lambda connection: connection.execute(insert))
    monkeypatch.setattr(served.memory, "graph", Graph())
    (graph,) = (await admin.get("/v1/users/ana/graph")).json()["graphs"]
    ids = {node["name"]: node["id"] for node in graph["nodes"]}
    (edge,) = graph["edges"]
    assert ids.keys() == {"Ana", "Elsewhere", "Porto"}
    assert (edge["source"], edge["target"], edge["name"]) == (ids["Ana"], ids["Porto"], "LIVES_IN")
    (then,) = (await admin.get("/v1/users/ana/graph?at=2026-01-01T00:00:00Z")).json()["graphs"]
    assert {node["name"] for node in then["nodes"]} == {"Ana", "Porto"}
    assert (await admin.get("/v1/users/bo/graph")).json()["graphs"] == []


@pytest.mark.parametrize("path", ["/v1/statistics", "/v1/users/ana/statistics"])
async def test_statistics_count(served, admin, path):
    """Live and ended facts, turns and calls."""
    await say(served.memory, "one", "two")
    await learn(served.memory, fact("Has a dog", topic="pets"), fact("Had a cat", valid_until=NOW))
    found = (await admin.get(path)).json()
    assert (found["facts_live"], found["facts_ended"], found["turns"], found["calls"]) == (1, 1, 2, 1)
    assert found.get("users", 1) == 1 and found.get("topics", {"pets": 1}) == {"pets": 1}


async def test_days_count_what_was_said_learned_and_recalled(served, admin):
    """By UTC day; the tiers of the last hour; nothing where nothing was said."""
    assert (await admin.get("/v1/statistics/days")).json() == {"days": [], "tiers": []}
    await say(served.memory, "one", user_id="bo", call_id="b")
    call = await served.memory.open_call(caller("ana"))
    await call.record("1", "user", "What is my dog called?")
    await call.recall("What is my dog called?", budget_s=5)
    await call.record("2", "assistant", "I do not know.")
    await call.end()
    old = "update turns set recorded_at = recorded_at - interval '3 days' where user_id = 'bo'"
    await served.memory.db.run(lambda connection: connection.execute(old))
    found = (await admin.get("/v1/statistics/days?last=7")).json()
    before, today = found["days"]
    assert (before["turns"], before["users"], before["recalls"], before["recall_p95_ms"]) == (1, 1, 0, None)
    assert (today["turns"], today["calls"], today["recalls"]) == (2, 1, 1) and today["recall_p50_ms"] > 0
    assert {one["tier"]: one["replies"] for one in found["tiers"]} == {"recent": 1, "facts": 1}
    assert len((await admin.get("/v1/statistics/days?last=1")).json()["days"]) == 1


async def test_health_and_metrics(served, admin):
    """Open to probes by any name; the series need a key."""
    async with served.without_key() as client:
        for path in ("/livez", "/readyz"):
            assert (await client.get(path, headers={"Host": "10.0.0.7"})).status_code == 200
        assert (await client.get("/metrics")).status_code == 401
    assert "python_info" in (await admin.get("/metrics")).text
