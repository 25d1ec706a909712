"""A night's maintenance on the real store: what it does, that it can be taken back, and that nothing that was
forgotten comes back."""

import asyncio
import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import pytest

from echoic.local.dev.run_command import addresses
from echoic.memory.direct import OpenMemory
from echoic.memory.errors import StoreTimeout, UserUnknown
from echoic.memory.privacy import maintenance, undo
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.export import export_user
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.locked_connection import LEARNING, locked
from echoic.memory.privacy.maintenance import maintain, maintenance_totals, purge_archive
from echoic.memory.privacy.undo import undo_batch, undo_call, undo_maintenance
from echoic.memory.service import open_memory
from echoic.memory.settings.personal import PersonalStore
from echoic.memory.types import About, Evidence, ForgetRequest
from echoic.workers import maintenance as nightly
from tests.embedders import WordEmbedder
from tests.processes import ROOT, environment
from tests.remembered import caller, fact, learn, say

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=400)
STATE = """select id, ref, payload, words, vector::text, sources, valid_until, about,
    array(select (term, tf)::text from postings where postings.ref = facts.ref order by term) as terms
    from facts where user_id = $1 order by ref"""


@pytest.fixture
async def memory(memory_settings):
    settings = memory_settings.model_copy(update={"retention_days": 365})
    async with open_memory(settings, embedder=WordEmbedder()) as memory:
        yield memory


async def rows(memory, sql, *args):
    return [tuple(row) for row in await memory.db.run(lambda connection: connection.fetch(sql, *args))]


async def state(memory, user_id="ana"):
    return await rows(memory, STATE, user_id)


async def texts(memory, user_id="ana"):
    return [one.text for one in await memory.facts.list(user_id, include_closed=True)]


async def test_a_night_that_is_cut_off_keeps_what_it_did(memory, monkeypatch):
    """Turns are deleted in portions, each by itself: the next night goes on with what is left."""
    monkeypatch.setattr(maintenance, "TURNS_AT_ONCE", 2)
    for day in range(5):
        await say(memory, f"It is day {day}.", said_at=OLD + timedelta(days=day))
    await learn(memory, fact("Has a dog", said_at=OLD))
    refuses = """
        create function refuse() returns trigger language plpgsql as
        $$ begin if old.text ~ '4' then raise 'no'; end if; return old; end $$;
        create trigger refuse before delete on turns for each row execute function refuse()"""
    await memory.db.run(lambda connection: connection.execute(refuses))
    with pytest.raises(asyncpg.RaiseError):
        await maintain(memory, "ana")
    assert [one.text for one in await memory.turns.list("ana")] == ["It is day 4."]
    assert await rows(memory, "select archived, turns from maintenance_runs") == [(1, 4)]
    await memory.db.run(lambda connection: connection.execute("drop trigger refuse on turns"))
    assert (await maintain(memory, "ana")).turns == 1


async def test_old_facts_are_archived_and_old_turns_deleted(memory):
    """No recall finds them, the export still tells of the archive, and the counts say what was done."""
    await say(memory, "My old dog is called Rex.", said_at=OLD, call_id="old")
    await say(memory, "My cat is called Tom.")
    await learn(memory, fact("Had a dog called Rex", said_at=OLD), fact("Has a cat called Tom"))
    looked = await maintain(memory, "ana", dry_run=True)
    assert (looked.archived, looked.turns, looked.run_id) == (1, 1, None)
    done = await maintain(memory, "ana")
    assert (done.archived, done.merged, done.refiled, done.turns) == (1, 0, 0, 1)
    assert await texts(memory) == ["Has a cat called Tom"]
    assert [one.text for one in await memory.turns.list("ana")] == ["My cat is called Tom."]
    found = await OpenMemory(memory).recall("ana", "What is my old dog called?", budget_s=5)
    assert "Rex" not in found.block
    told = await export_user(memory, "ana")
    assert [one["fact"]["data"] for one in told["archived_facts"]] == ["Had a dog called Rex"]
    assert told["maintenance_runs"][0]["archived"] == 1
    assert await rows(
        memory, "select change, by_whom, batch_id from fact_changes order by change_id desc limit 1"
    ) == [("archived", "maintenance", done.run_id)]
    totals = await maintenance_totals(memory)
    assert (totals["users"], totals["archived"], totals["turns"], totals["in_archive"]) == (1, 1, 1, 1)
    assert (await maintain(memory, "ana")).nothing


async def test_a_person_chooses_longer_or_shorter(memory):
    """What they chose counts, and not what the system says."""
    for user_id, days in (("ana", 1_000), ("bo", 30), ("cy", None)):
        await learn(memory, fact("Has a dog", user_id, said_at=NOW - timedelta(days=100)))
        store = PersonalStore(memory.db)
        if days:
            version = (await store.read(user_id)).version
            await store.change(user_id, {"retention_days": days}, version=version)
    assert [(await maintain(memory, user_id)).archived for user_id in ("ana", "bo", "cy")] == [0, 1, 0]


@pytest.mark.parametrize("seed", range(6))
async def test_maintaining_and_taking_it_back_changes_nothing(memory, seed):
    """Whatever is there: rows, words, vectors, sources and their order."""
    chance = random.Random(seed)
    turns = await say(memory, *(f"I have thing {n}." for n in range(6)))
    facts = []
    for _ in range(90):
        turn = chance.choice(turns)
        facts.append(
            fact(
                chance.choice(
                    ["Has thing 1", "Has thing 1.", "has thing 1", "Has  thing 2", "Has thing 2", "Ääkkönen"]
                ),
                topic=chance.choice(["things", "Things", " things", "pets", "PETS", ""]),
                said_at=chance.choice([OLD, NOW]),
                importance=chance.random(),
                scope=chance.choice(["user", "agent"]),
                about=chance.choice([None, About("", ""), About("sister", "Maria")]),
                valid_until=chance.choice([None, None, OLD + timedelta(days=1), NOW + timedelta(days=9)]),
                turn_ids=(turn.turn_id,),
                evidence=(Evidence(turn.turn_id, turn.text),),
            )
        )
    await learn(memory, *facts)
    before = await state(memory)
    done = await maintain(memory, "ana")
    assert done.archived and done.merged and done.refiled and await state(memory) != before
    assert (await maintain(memory, "ana")).nothing
    undone = await undo_batch(memory, done.run_id)
    assert undone.restored and not undone.removed
    assert await state(memory) == before
    again = await maintain(memory, "ana")
    assert (again.archived, again.merged, again.refiled) == (done.archived, done.merged, done.refiled)
    await undo_maintenance(memory, NOW - timedelta(days=1), NOW + timedelta(days=1), "ana")
    assert await state(memory) == before
    with pytest.raises(UserUnknown):
        await undo_maintenance(memory, NOW - timedelta(days=1), NOW + timedelta(days=1))


async def test_what_came_after_the_night_stands(memory):
    """The one that stayed was said once more since: taking back the merge keeps that."""
    turns = await say(memory, "I have a dog.", "A dog, yes.", "Still the dog.")
    proof = [Evidence(turn.turn_id, turn.text) for turn in turns]
    first, second = (
        fact("Has a dog", turn_ids=(turn.turn_id,), evidence=(one,))
        for turn, one in zip(turns[:2], proof[:2], strict=True)
    )
    await learn(memory, first, second)
    done = await maintain(memory, "ana")
    (kept,) = await memory.facts.list("ana")
    assert kept.fact_id == first.fact_id and kept.evidence == tuple(proof[:2])
    await memory.db.transaction(
        lambda connection: memory.facts.confirm(connection, "ana", first.fact_id, proof[2:])
    )
    await undo_batch(memory, done.run_id)
    stay, back = await memory.facts.list("ana")
    assert stay.evidence == (proof[0], proof[2]) and back.fact_id == second.fact_id


async def test_a_fact_that_was_merged_outlives_the_call_of_the_other(memory):
    """Undoing the call that taught the one that stayed leaves what another call taught."""
    (turn,) = await say(memory, "I have a dog.", call_id="first")
    batch = uuid4()
    first, second = fact("Has a dog", turn_ids=(turn.turn_id,)), fact("Has a dog")

    async def taught(connection):
        await connection.execute(
            "insert into batches (user_id, batch_id, turn_ids, state, call_id) "
            "values ('ana', $1, $2, 'done', 'first')",
            *(batch, [turn.turn_id]),
        )
        vectors = await memory.embedder.embed_batch([first.text])
        await memory.facts.add(connection, [first], vectors, batch_id=batch)

    await memory.db.transaction(taught)
    await learn(memory, second)
    assert (await maintain(memory, "ana")).merged == 1
    undone = await undo_call(memory, "first")
    assert undone.removed == {first.fact_id}
    assert [one.fact_id for one in await memory.facts.list("ana")] == [second.fact_id]


async def test_a_fact_is_as_young_as_what_was_merged_into_it(memory):
    """It was said again: a year counts from then, while its twin is in the archive and after."""
    said = [fact("Is allergic to nuts", said_at=NOW - timedelta(days=age)) for age in (350, 5)]
    await learn(memory, *said)
    assert (await maintain(memory, "ana")).merged == 1
    for days, archived in ((16, 0), (40, 0), (400, 1)):
        memory.now = lambda days=days: NOW + timedelta(days=days)
        await purge_archive(memory)
        assert (await maintain(memory, "ana")).archived == archived


async def test_what_is_forgotten_is_gone_from_the_archive_too(memory):
    """By fact, by turn, and the copies that another fact stood for; an undo brings none of it back."""
    (turn,) = await say(memory, "My secret is Rex.")
    known = [fact("Has a dog"), fact("Has a dog"), fact("Keeps Rex", said_at=OLD, turn_ids=(turn.turn_id,))]
    await learn(memory, *known)
    done = await maintain(memory, "ana")
    assert (done.merged, done.archived) == (1, 1)
    call = await memory.open_call(caller())
    await forget(call, ForgetRequest(fact_ids=frozenset({known[0].fact_id})))
    assert await rows(memory, "select id from archived_facts") == [(known[2].fact_id,)]
    await forget(call, ForgetRequest(turn_ids=frozenset({turn.turn_id})))
    assert await rows(memory, "select id from archived_facts") == []
    await undo_batch(memory, done.run_id)
    assert await texts(memory) == []
    assert "Rex" not in str(await rows(memory, "select before::text from fact_changes"))


async def test_quotes_of_deleted_turns_go_from_every_copy(memory):
    """Of facts that stay, of those in the archive, and of their history."""
    (turn,) = await say(memory, "Rex is my dog.", said_at=OLD)
    quote = (Evidence(turn.turn_id, "Rex is my dog"),)
    await learn(
        memory,
        fact("Has a dog", evidence=quote, turn_ids=(turn.turn_id,)),
        fact("Had a cat", said_at=OLD, evidence=quote, turn_ids=(turn.turn_id,)),
    )
    assert (await maintain(memory, "ana")).turns == 1
    stored = [
        await rows(memory, sql)
        for sql in (
            "select payload::text from facts",
            "select fact::text from archived_facts",
            "select before::text from fact_changes",
        )
    ]
    assert "Rex" not in str(stored)


async def test_the_archive_ends_and_erasing_ends_it_at_once(memory):
    """After 30 days for good, its history included."""
    await learn(memory, fact("Had Rex", said_at=OLD), fact("Had Rex", "bo", said_at=OLD))
    for user_id in ("ana", "bo"):
        await maintain(memory, user_id)
    report = await erase_user(memory, "bo")
    assert report.unfinished == ()
    assert await rows(memory, "select user_id from archived_facts") == [("ana",)]
    assert await rows(memory, "select user_id from maintenance_runs") == [("ana",)]
    assert await purge_archive(memory) == 0
    long_ago = "update archived_facts set archived_at = now() - interval '31 days'"
    await memory.db.run(lambda connection: connection.execute(long_ago))
    assert await purge_archive(memory) == 1
    assert await rows(memory, "select * from archived_facts") == []
    assert "Rex" not in str(await rows(memory, "select before::text from fact_changes"))


async def test_who_is_being_learned_is_left_alone(memory, monkeypatch):
    """Neither changed nor taken back meanwhile."""
    await learn(memory, fact("Has a dog", said_at=OLD))
    monkeypatch.setattr(undo, "WORKER_LIMIT_S", 0.3)
    async with locked(memory.db, "ana", LEARNING) as held:
        assert held is not None
        assert (await maintain(memory, "ana")).busy
        monkeypatch.setattr(nightly, "BUSY_AGAIN_S", 0)
        assert (await nightly.maintain_all(memory)).failed == 1
    done = await maintain(memory, "ana")
    async with locked(memory.db, "ana", LEARNING):
        with pytest.raises(StoreTimeout):
            await undo_batch(memory, done.run_id)


async def test_once_a_night_by_one_worker(memory, memory_settings):
    """A new database begins with the next night; a missed night is made up for."""
    await learn(memory, fact("Has a dog", said_at=OLD), fact("Has a cat", "bo", said_at=OLD))
    noon = NOW.replace(hour=12)
    assert await nightly.maintain_when_due(memory, noon) is None
    assert await nightly.maintain_when_due(memory, noon + timedelta(hours=14)) is None  # two in the morning
    async with open_memory(memory.settings, embedder=WordEmbedder()) as other:
        both = await asyncio.gather(
            *(nightly.maintain_when_due(one, noon + timedelta(days=2)) for one in (memory, other))
        )
    (total,) = [one for one in both if one is not None]
    assert (total.users, total.archived, total.failed) == (2, 2, 0)
    assert await nightly.maintain_when_due(memory, noon + timedelta(days=2, hours=1)) is None
    later = await nightly.maintain_when_due(memory, noon + timedelta(days=3))
    assert later is not None and later.users == 0


async def test_one_who_fails_stops_nobody_else(memory, monkeypatch):
    """They are counted, and the next night looks at them again."""
    await learn(memory, *(fact("Has a dog", user_id, said_at=OLD) for user_id in ("ana", "bo", "cy")))
    real = nightly.maintain

    async def fails_for_bo(memory, user_id, **options):
        if user_id == "bo":
            raise StoreTimeout
        return await real(memory, user_id, **options)

    monkeypatch.setattr(nightly, "maintain", fails_for_bo)
    total = await nightly.maintain_all(memory)
    assert (total.archived, total.failed) == (2, 1)


@pytest.mark.timeout(120)
async def test_the_commands_say_and_take_back(memory_settings):
    """`maintain --dry-run`, `maintain`, and `undo` by the id that it printed."""
    env = environment(addresses(memory_settings) | {"ECHOIC_RETENTION_DAYS": "365"})

    async def echoic(*arguments):
        command = [sys.executable, "-m", "echoic", *arguments]
        return await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60
        )

    async with open_memory(memory_settings) as memory:
        await learn(memory, fact("Has a dog", said_at=OLD), fact("Has a cat"), fact("Has a cat"))
        dry = await echoic("maintain", "--dry-run")
        assert dry.stdout.startswith("Would be done: 1 fact archived, 1 merged"), dry.stderr
        done = await echoic("maintain", "--user", "ana", "--json")
        (run_id,) = json.loads(done.stdout)["runs"]
        assert await texts(memory) == ["Has a cat"]
        back = await echoic("undo", "--batch", run_id)
        assert back.stdout.startswith("Took back 0 facts, and restored 3"), back.stderr
        assert sorted(await texts(memory)) == ["Has a cat", "Has a cat", "Has a dog"]
        found = await OpenMemory(memory).recall("ana", "Do I have a dog?", budget_s=5)
        assert "Has a dog" in found.block
    assert (await echoic("undo", "--batch", run_id, "--call", "x")).returncode == 2
    nothing = await echoic("undo", "--maintenance", "2020-01-01")
    assert nothing.returncode == 1 and nothing.stderr.startswith("No maintenance changed anything")
