"""What is forgotten, erased or outdated does not come back by an undo, an import, or old words."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.backfill.backfill import Backfill
from echoic.memory.backfill.entries import Conversation, Given, Utterance
from echoic.memory.backfill.export_file import read_file
from echoic.memory.privacy.changes import changes_between
from echoic.memory.privacy.erase import erase_user
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.maintenance import maintain
from echoic.memory.privacy.named import find_named
from echoic.memory.privacy.undo import undo_batch, undo_call
from echoic.memory.profile.edit import fill_slot
from echoic.memory.review.corrections import NotRemembered, create_fact
from echoic.memory.text.language import languages
from echoic.memory.types import Caller, ForgetRequest
from tests.boats import boats, call, edited, texts, towns
from tests.fakes import operation
from tests.remembered import caller, fact, say
from tests.remembered import learn as put

NOW = datetime.now(UTC)


async def forget_named(memory, what):
    call = await memory.open_call(Caller("ana", "echoic", uuid4().hex))
    named = await find_named(call, what, languages()["en"])
    assert named.things
    return await forget(call, named.wanted)


async def test_what_is_forgotten_by_name_is_forgotten_in_the_archive(memory):
    await memory.db.run(
        lambda c: c.execute("insert into user_settings (user_id, retention_days) values ('ana', 30)")
    )
    await put(memory, fact("Has a dog called Xylquor", said_at=NOW - timedelta(days=400)))
    done = await maintain(memory, "ana")
    assert done.archived == 1
    await say(memory, "Xylquor, my dog, is ill.")
    await forget_named(memory, "Xylquor")
    await undo_batch(memory, done.run_id)
    assert await texts(memory) == []


async def test_what_is_forgotten_is_forgotten_through_two_merges(memory):
    """X was merged into Y one night, Y into Z another: X says what Z says, and goes with it."""
    z, y, x = fact("Has a dog"), fact("Xylquor is ill"), fact("Xylquor is ill.")
    await put(memory, z, y, x)
    first = await maintain(memory, "ana")
    assert first.merged == 1
    await edited(memory, z.fact_id, "Xylquor is ill")
    assert (await maintain(memory, "ana")).merged == 1
    await forget(await memory.open_call(caller()), ForgetRequest(fact_ids=frozenset({z.fact_id})))
    await undo_batch(memory, first.run_id)
    assert "Xylquor" not in str(await texts(memory))


async def test_what_is_forgotten_by_name_stands_in_no_older_version_of_a_fact(memory):
    one = fact("Has a dog called Xylquor")
    await put(memory, one)
    await edited(memory, one.fact_id, "Has a cat called Tom")
    await say(memory, "Xylquor, my dog, is ill.")
    await forget_named(memory, "Xylquor")
    assert "Xylquor" not in str(
        await changes_between(memory.db, "ana", NOW - timedelta(days=1), NOW + timedelta(days=1))
    )


async def test_a_fact_that_was_forgotten_is_not_learned_again_from_its_turn(memory, learner, model):
    """DELETE /facts/{id}: 'What was said stays, and is not learned again.'"""
    said = {
        "operations": [
            operation("Owns boat 1", turns=[1, 2], topic="things"),
            operation("Owns boat 2", turn=1, topic="things"),
        ]
    }
    model.otherwise = boats
    turns = await say(memory, "I own boat 1 and I own boat 2.", "I still own boat 1.", call_id="first")
    model.answers.append(said)
    await learner.learn("ana")
    facts = {one.text: one for one in await memory.facts.list("ana")}
    await forget(
        await memory.open_call(caller()), ForgetRequest(fact_ids=frozenset({facts["Owns boat 2"].fact_id}))
    )
    gone = await forget(await memory.open_call(caller()), ForgetRequest(frozenset({turns[1].turn_id})))
    assert gone.reopened == 0
    model.otherwise = {
        "operations": [
            operation("Owns boat 1", turn=1, topic="things"),
            operation("Owns boat 2", turn=1, topic="things"),
        ]
    }
    await learner.learn("ana")
    assert "Owns boat 2" not in await texts(memory)


@pytest.mark.parametrize("how", ["fact", "slot"])
async def test_a_statement_under_way_when_its_person_is_erased_is_void(memory, how):
    """'Whatever was said before that time is void wherever it arrives from.' (docs/privacy.md)"""
    go, asked, embed = asyncio.Event(), asyncio.Event(), memory.embedder.embed_batch

    async def slow(texts):
        asked.set()
        await go.wait()
        return await embed(texts)

    memory.embedder.embed_batch = slow
    if how == "fact":
        work = create_fact(
            memory, fact("Has a dog called Xylquor", said_at=datetime.now(UTC)), by_whom="hand"
        )
    else:
        work = fill_slot(memory, caller(), "pets", "dog", ["Has a dog called Xylquor"], by_whom="hand")
    task = asyncio.create_task(work)
    await asked.wait()
    await erase_user(memory, "ana")
    go.set()
    with pytest.raises(NotRemembered):
        await task
    assert await texts(memory) == []


async def test_a_fact_forgotten_in_the_archive_by_turn(memory):
    """Control: by its turn it is found there."""
    (turn,) = await say(memory, "I have a dog.")
    one = fact("Has a dog", said_at=NOW - timedelta(days=400), turn_ids=(turn.turn_id,))
    await put(memory, one)
    await memory.db.run(
        lambda c: c.execute("insert into user_settings (user_id, retention_days) values ('ana', 30)")
    )
    done = await maintain(memory, "ana")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({turn.turn_id})))
    await undo_batch(memory, done.run_id)
    assert await texts(memory) == []


def both(request):
    return {"operations": [*boats(request)["operations"], *towns(request)["operations"]]}


@pytest.fixture
async def told(memory, learner, model):
    """Boat 1 rests on a and b; b also taught Berlin, which c replaced by Rome."""
    model.otherwise = both
    (a,) = await call(memory, learner, "a", "I own boat 1.")
    await call(memory, learner, "b", "I still have boat 1, and I live in Berlin.")
    return a


async def test_what_is_learned_again_replaces_nothing_newer(memory, learner, told):
    """A turn is forgotten; another that its fact rested on is opened again, and is as old as it was."""
    await call(memory, learner, "c", "I live in Rome.")
    assert await texts(memory) == ["Lives in Rome", "Owns boat 1"]
    gone = await forget(await memory.open_call(caller()), ForgetRequest(frozenset({told.turn_id})))
    assert gone.reopened == 1
    await learner.learn("ana")
    assert "Lives in Rome" in await texts(memory) and "Lives in Berlin" not in await texts(memory)


async def test_what_is_learned_again_overrules_no_correction_by_hand(memory, learner, told):
    (berlin,) = [one for one in await memory.facts.list("ana") if "Berlin" in one.text]
    await edited(memory, berlin.fact_id, "Lives in Bern")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({told.turn_id})))
    await learner.learn("ana")
    assert "Lives in Bern" in await texts(memory) and "Lives in Berlin" not in await texts(memory)


async def test_what_one_batch_undid_is_not_learned_again_by_a_forgetting(memory, learner, told, model):
    """undo --batch of what b taught... then a's turn goes: b stays undone."""
    await undo_call(memory, "b")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({told.turn_id})))
    await learner.learn("ana")
    assert await texts(memory) == []


async def test_an_imported_old_call_replaces_nothing_newer(memory, learner, model):
    """docs/import.md: 'a worker ... learns from them as if they had been said then'."""

    model.otherwise = both
    await call(memory, learner, "now", "I live in Rome.")
    then = NOW - timedelta(days=900)
    await Backfill(memory, "echoic", print).run(
        [Conversation("ana", "echoic", "old", (Utterance("user", "I live in Berlin.", then),))]
    )
    await learner.learn("ana")
    known = {
        one.text: (one.said_at, one.valid_until)
        for one in await memory.facts.list("ana", include_closed=True)
    }
    assert all(until is None or until >= said for said, until in known.values()), "ended before it was said"
    assert await texts(memory) == ["Lives in Rome"]


async def test_import_of_an_own_export_brings_nothing_back(memory, tmp_path):
    """Memories as Echoic's own Mem0 API lists them (id = the fact's), forgotten, then imported."""

    one = fact("Has a dog called Xylquor")
    await put(memory, one)
    path = tmp_path / "mem0.json"
    path.write_text(
        json.dumps(
            {
                "results": [
                    {
                        "id": str(one.fact_id),
                        "memory": one.text,
                        "user_id": "ana",
                        "created_at": NOW.isoformat(),
                        "updated_at": NOW.isoformat(),
                        "metadata": {},
                    }
                ]
            }
        )
    )
    await forget(await memory.open_call(caller()), ForgetRequest(fact_ids=frozenset({one.fact_id})))
    entries = read_file(path, "auto", Given("echoic"))
    await Backfill(memory, "echoic", print).run(entries)
    assert await texts(memory) == []
