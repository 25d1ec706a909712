"""The second wall: with the filter of a query removed, Postgres still shows nothing of another person."""

import re
import sys

import pytest

from echoic.api.access.wall import ONLY, open_wall
from echoic.memory.errors import StoreRefused
from tests.remembered import fact, learn, say

TABLES = (
    "turns turn_index fact_index facts postings fact_changes batches forgotten events api_creations "
    "graph_groups graph_entered graph_due user_settings archived_facts maintenance_runs links episodes "
    "users documents undone_calls"
).split()

FILTER = r"((?:\w+\.)?user_id = (?:any\((?:person_of\()?\$1(?:::text\[\])?\)+|\$1))"


@pytest.fixture
async def two(served):
    """Ana and Bo, with something of each in every table."""
    for user_id in ("ana", "bo"):
        await learn(served.memory, fact(f"Is {user_id}", user_id))
        await say(served.memory, f"I am {user_id}.", user_id=user_id, call_id=f"call of {user_id}")

    async def fill(connection):
        for number, user_id in enumerate(("ana", "bo")):
            one = "00000000-0000-0000-0000-00000000000" + str(number)
            await connection.execute("insert into batches values ($1, 'learn', $2, '{}')", one, user_id)
            await connection.execute("insert into forgotten values ($1, $2)", one, user_id)
            await connection.execute("insert into api_creations values ($1, 'key', $2, '', $1)", one, user_id)
            await connection.execute("insert into graph_groups values ($1, $1, 'echoic')", user_id)
            await connection.execute(
                "insert into graph_entered values ($1, $2::uuid, 'edge', '', $1)", user_id, one
            )
            await connection.execute("insert into undone_calls values ($1, 'call')", user_id)
            await connection.execute("insert into user_settings (user_id) values ($1)", user_id)
            await connection.execute("insert into users values ($1)", user_id)
            await connection.execute("insert into documents values ($1, $2, 'doc', '{}')", one, user_id)
            await connection.execute("insert into links values ($1, $1 || 'z', 'a test')", user_id)
            await connection.execute(
                "insert into archived_facts (id, user_id, ref, fact, run_id) values ($1, $2, 0, '{}', $1)",
                one,
                user_id,
            )
            await connection.execute(
                "insert into maintenance_runs values ($1, $2, now(), 0, 0, 0, 0)", one, user_id
            )
            await connection.execute(
                "insert into episodes values ($1, $2, 'echoic', 'call', now(), now())", one, user_id
            )
            await connection.execute(
                "insert into graph_due (user_id, agent_id) values ($1, 'echoic') on conflict do nothing",
                user_id,
            )

    await served.memory.db.transaction(fill)
    return served


async def test_every_table_with_a_person_in_it_is_behind_the_wall(served):
    """A new one too; of keys a request behind the wall may read and change nothing."""
    sql = """select relname, relrowsecurity from pg_class join pg_attribute on attrelid = pg_class.oid
        where relnamespace = current_schema()::regnamespace and relkind = 'r' and attname = 'user_id'"""
    found = await served.memory.db.run(lambda connection: connection.fetch(sql))
    assert {row["relname"] for row in found if row["relrowsecurity"]} == set(TABLES)
    assert {row["relname"] for row in found if not row["relrowsecurity"]} == {"api_keys"}
    token = ONLY.set("ana")
    try:
        with pytest.raises(StoreRefused):
            await served.memory.db.run(lambda connection: connection.fetch("select * from api_keys"))
    finally:
        ONLY.reset(token)


@pytest.mark.parametrize("table", TABLES)
async def test_a_query_without_its_filter_shows_one_person(two, table):
    """Read, changed, removed: as if the other were not there."""
    db = two.memory.db
    whose = f"select distinct user_id from {table}"
    everybody = {row["user_id"] for row in await db.run(lambda connection: connection.fetch(whose))}
    assert everybody == {"ana", "bo"}
    token = ONLY.set("ana")
    try:
        assert [row["user_id"] for row in await db.run(lambda connection: connection.fetch(whose))] == ["ana"]
        await db.run(lambda connection: connection.execute(f"delete from {table}"))
    finally:
        ONLY.reset(token)
    left = await db.run(lambda connection: connection.fetch(whose))
    assert [row["user_id"] for row in left] == ["bo"]


async def test_a_person_cannot_be_given_away(two):
    """Nor can a row of another's be made."""
    token = ONLY.set("ana")
    try:
        for change in (
            "update forgotten set user_id = 'bo'",
            "insert into forgotten values (gen_random_uuid(), 'bo')",
        ):
            with pytest.raises(StoreRefused):
                await two.memory.db.run(lambda connection, sql=change: connection.execute(sql))
    finally:
        ONLY.reset(token)


async def test_every_query_with_its_filter_removed(two, admin, monkeypatch):
    """Whatever a route asks runs with `user_id = $1` made true for all: nothing of Bo is shown or changed."""
    from echoic.memory.store.queries import query

    removed = set()

    def unfiltered(name):
        found = re.sub(FILTER, r"(\1 or true)", query(name))
        if found != query(name):
            removed.add(name)
        return found

    for name, module in list(sys.modules.items()):
        if name.startswith("echoic.memory.") and getattr(module, "query", None) is query:
            monkeypatch.setattr(module, "query", unfiltered)
    mine, theirs = [
        (await admin.get(f"/v1/users/{one}/facts")).json()["items"][0]["fact_id"] for one in ("ana", "bo")
    ]
    reads = [
        "",
        "facts",
        "facts?validity=all",
        "facts?call_id=call of bo",
        "turns",
        "calls",
        "calls/call of bo/turns",
        "statistics",
        "learning",
    ]
    asked = [("GET", f"/{path}".rstrip("/"), None) for path in [*reads, "settings", "changes"]]
    asked += [("GET", f"/facts/{mine}{path}", None) for path in ("", "/history", "/evidence")]
    asked += [("POST", "/search", {"text": "Who is bo?"}), ("POST", "/context", {"text": "Who is bo?"})]
    asked += [("POST", "/context", {"sections": {}}), ("POST", "/context", {"text": "bo?", "sections": {}})]
    asked += [
        ("GET", f"/{path}", None)
        for path in ("profile", "episodes", "episodes?q=bo", "gists", "gists?q=bo", "proposals")
    ]
    asked += [("POST", "/facts", {"text": "Has a dog."}), ("POST", "/learn", None)]
    for method, path, body in asked:
        answer = await admin.request(method, f"/v1/users/ana{path}", json=body)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        assert (
            "Is bo" not in answer.text and "I am bo" not in answer.text and "call of bo" not in answer.text
        ), path
    statistics = (await admin.get("/v1/users/ana/statistics")).json()
    assert (statistics["turns"], statistics["facts_live"]) == (1, 2)
    slot = {"topic": "t", "values": ["Has a cat."]}
    assert "Is bo" not in (await admin.post("/v1/users/ana/profile", json=slot)).text
    for method in ("GET", "PATCH", "DELETE"):
        body = {"topic": "stolen"} if method == "PATCH" else None
        url, headers = f"/v1/users/ana/facts/{theirs}", {"If-Match": "none"} if body else {}
        assert (await admin.request(method, url, json=body, headers=headers)).status_code == 404
    await admin.delete(f"/v1/users/ana/facts/{mine}")
    monkeypatch.undo()
    assert [one.text for one in await two.memory.facts.list("bo")] == ["Is bo"]
    assert len(await two.memory.turns.list("bo")) == 1 and len(removed) > 20, removed


async def test_the_wall_is_not_in_the_way_of_others(two):
    """An agent's own connections, and requests about everybody, see what they did before."""
    assert two.app.state.wall is True and await open_wall(two.memory.db) is True
    assert [one.text for one in await two.memory.facts.list("bo")] == ["Is bo"]


async def test_one_request_does_not_stand_behind_anothers_wall(two, admin):
    """The role ends with its transaction: the next request on the same connection is about everybody."""
    await admin.get("/v1/users/ana/facts")
    assert len((await admin.get("/v1/users")).json()["items"]) == 2
