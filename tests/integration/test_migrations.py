"""A database that an older Echoic filled is brought up to date, and goes on where it stood."""

import json
from collections import Counter
from datetime import timedelta
from importlib.resources import files
from uuid import uuid4

import asyncpg
import psycopg
import pytest

from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.undo import undo_call
from echoic.memory.service import open_memory
from echoic.memory.store.migrate import migrate, migrations
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.embedders import WordEmbedder
from tests.fakes import ScriptedModel, facts
from tests.remembered import NOW, caller, say

LONG_AGO = NOW - timedelta(days=200)
COLUMNS = """select table_name, column_name, data_type, is_nullable, column_default
    from information_schema.columns where table_schema = 'public' order by 1, 2"""
CHECKS = """select conrelid::regclass::text, pg_get_constraintdef(oid) from pg_constraint
    where connamespace = 'public'::regnamespace order by 1, 2"""


@pytest.fixture
def old_url(stores):
    """A database as the first four migrations leave it."""
    name = f"old_{uuid4().hex}"
    url = stores.database_url.replace("/echoic?", f"/{name}?")
    with psycopg.connect(stores.database_url.replace("/echoic?", "/postgres?"), autocommit=True) as admin:
        admin.execute(f"create database {name}")
        with psycopg.connect(url) as connection:
            connection.execute(
                "create table schema_migrations (number integer primary key, "
                "applied_at timestamptz not null default now())"
            )
            for number, sql in migrations().items():
                if number <= 4:
                    connection.execute(sql)
                    connection.execute("insert into schema_migrations (number) values (%s)", [number])
        yield url
        admin.execute(f"drop database {name} with (force)")


def test_numbers_of_migrations_are_unique_and_in_a_row():
    """Of two files with one number only one would ever run."""
    folder = files("echoic.memory.store") / "sql" / "migrations"
    numbers = Counter(int(entry.name[:4]) for entry in folder.iterdir() if entry.name.endswith(".sql"))
    assert sorted(numbers.elements()) == list(range(1, len(migrations()) + 1))


async def test_an_old_database_becomes_what_a_new_one_is(old_url, database_url):
    """Column by column, and constraint by constraint."""
    assert await migrate(old_url) == await migrate(old_url) == max(migrations())
    found = []
    for url in (old_url, database_url):
        with psycopg.connect(url) as connection:
            found.append([connection.execute(sql).fetchall() for sql in (COLUMNS, CHECKS)])
    assert found[0] == found[1]


async def test_facts_of_an_old_database_are_found_by_their_index(old_url):
    """Live and ended ones, with the turns they came from; what has no person in it is nobody's."""
    await fill(old_url)
    with psycopg.connect(old_url) as connection:
        connection.execute("insert into facts (id, vector, payload) values (%s, '[1]', '{}')", [uuid4()])
    await migrate(old_url)
    with psycopg.connect(old_url) as connection:
        rows = connection.execute("select user_id, valid_until is null, sources from fact_index").fetchall()
        (ref,) = connection.execute("select ref from turns").fetchone()
    assert sorted(rows) == [("ana", False, [ref]), ("ana", True, [ref])]


async def fill(url):
    """What an Echoic with a graph of episodes left: turns, facts, work, two graphs; the live fact."""
    turn_id, fact_id, ended_id = uuid4(), uuid4(), uuid4()
    embedder = WordEmbedder()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "insert into settings values ('embedding', $1)", f"{embedder.name}:{embedder.dimensions}"
        )
        ref = await connection.fetchval(
            "insert into turns (turn_id, user_id, agent_id, call_id, position, role, text, said_at, state) "
            "values ($1, 'ana', 'echoic', 'old', 0, 'user', 'I live in Leeds.', $2, 'learned') returning ref",
            *(turn_id, LONG_AGO),
        )
        await connection.execute(
            "insert into turn_index (ref, user_id, agent_id, call_no, position, words) "
            "values ($1, 'ana', 'echoic', 1, 0, 2)",
            ref,
        )
        for one, text, ended in ((fact_id, "Lives in Leeds", None), (ended_id, "Lives in Hull", LONG_AGO)):
            payload = {
                "data": text,
                "user_id": "ana",
                "topic": "person",
                "sub_topic": "home",
                "importance": 0.5,
            }
            payload |= {
                "scope": "user",
                "kept_by": "echoic",
                "said_at": LONG_AGO.isoformat(),
                "turn_ids": [str(turn_id)],
            }
            payload |= {"valid_until": ended.isoformat()} if ended else {}
            vector = str((await embedder.embed(text)).tolist())
            await connection.execute(
                "insert into facts (id, vector, payload, words, sources) "
                "values ($1, $2::text::vector, $3, 2, $4)",
                *(one, vector, json.dumps(payload), [ref]),
            )
        batch = (
            "insert into batches (batch_id, kind, user_id, agent_id, turn_ids, state, calls, tokens) values "
        )
        await connection.execute(
            f"{batch} ($1, 'learn', 'ana', null, $2, 'done', 1, 900)", uuid4(), [turn_id]
        )
        begun = uuid4()
        await connection.execute(
            f"{batch} ($1, 'graph', 'ana', 'echoic', $2, 'running', 3, 9)", begun, [turn_id]
        )
        await connection.execute("insert into graph_results values ($1, 'ana', '{}')", begun)
        for group, user, mode, kind in (("g1", "ana", "episodes", "turn"), ("g2", "bo", "facts", "edge")):
            await connection.execute(
                "insert into graph_groups (group_id, user_id, agent_id, mode) values ($1, $2, 'echoic', $3)",
                *(group, user, mode),
            )
            await connection.execute(
                "insert into graph_entered (group_id, id, kind, version, user_id) "
                "values ($1, $2, $3, 'v', $4)",
                *(group, uuid4(), kind, user),
            )
    finally:
        await connection.close()
    return fact_id


@pytest.fixture
async def filled(old_url, memory_settings):
    """Brought up to date: the settings that name it, and the fact that was live."""
    fact_id = await fill(old_url)
    await migrate(old_url)
    with ScriptedModel(otherwise=facts("Moved to Lisbon", op="replace 1")) as model:
        told = {"database_url": type(memory_settings.database_url)(old_url)}
        yield (
            memory_settings.model_copy(update=told | {"llm_url": model.url, "llm_model": "scripted"}),
            fact_id,
        )


async def test_what_was_known_is_known(filled):
    """Found, shown and exported, with whose it is unknown; the erasure takes it all."""
    settings, fact_id = filled
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        found = await (await memory.open_call(caller())).recall("Where do I live?", budget_s=5)
        assert "Lives in Leeds" in found.block
        (fact,) = await memory.facts.list("ana")
        assert (fact.fact_id, fact.about, fact.evidence, fact.kind) == (fact_id, None, (), "fact")
        assert [turn.timezone for turn in await memory.turns.list("ana")] == [""]
        exported = await export_user(memory, "ana")
        assert len(exported["facts"]) == 2 and exported["fact_changes"] == []
        assert (await erase_user(memory, "ana")).facts == 2


async def test_what_was_known_can_end_and_be_undone(filled):
    """Learning goes on beside facts of before, and taking it back gives them back as they were."""
    settings, fact_id = filled
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        before = await memory.facts.list("ana", include_closed=True)
        extractor, _ = make_extractor(settings)
        await say(memory, "I moved to Lisbon, I don't live in Leeds any more.", call_id="new")
        report = await Learner(memory, extractor).learn("ana")
        await extractor.close()
        assert (report.facts, report.closed) == (1, 1)
        assert [fact.text for fact in await memory.facts.list("ana")] == ["Moved to Lisbon"]
        assert (await undo_call(memory, "new")).restored == {fact_id}
        assert await memory.facts.list("ana", include_closed=True) == before


async def test_graphs_of_episodes_are_begun_anew(filled, old_url):
    """Removed at their server, and due; those of facts stay as they are."""
    with psycopg.connect(old_url) as connection:
        groups = connection.execute("select group_id from graph_groups").fetchall()
        entered = connection.execute("select group_id, kind from graph_entered").fetchall()
        due = connection.execute("select user_id, agent_id from graph_due").fetchall()
        void = connection.execute(
            "select group_id, user_hash = user_hash('ana') from graph_erasures"
        ).fetchall()
    assert (groups, entered, due, void) == ([("g2",)], [("g2", "edge")], [("ana", "echoic")], [("g1", True)])
