"""A call is undone whatever has become of its turns, its batches and what it replaced."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from echoic.memory.backfill.backfill import Backfill
from echoic.memory.backfill.entries import Conversation, Utterance
from echoic.memory.errors import MemoryFault
from echoic.memory.privacy.changes import changes_between
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.maintenance import maintain
from echoic.memory.privacy.undo import undo_call
from echoic.memory.review import people
from echoic.memory.service import open_memory
from echoic.memory.store import batches
from echoic.memory.store.facts import MOST_EVIDENCE
from echoic.memory.store.turns import turn_id_for
from echoic.memory.types import ForgetRequest, Turn
from tests.boats import boats, call, edited, texts, towns
from tests.fakes import operation
from tests.processes import ROOT, environment
from tests.remembered import caller, fact, say
from tests.remembered import learn as put

NOW = datetime.now(UTC)


@pytest.mark.parametrize("how", ["outage, put back", "failed, waits", "dead, then rerun"])
async def test_an_undone_call_whose_batch_did_not_end_well_is_not_learned(memory, learner, model, how):
    """'The turns stay, and are not learned again': also those whose batch has begun."""
    await say(memory, "I own boat 1.", call_id="first")
    if how == "outage, put back":
        model.otherwise = 503
        with pytest.raises(MemoryFault):
            await learner.learn("ana")
    else:
        model.otherwise = "no JSON at all"
        for _ in range(1 if how == "failed, waits" else 3):
            await learner.learn("ana", hurry=True)
    model.otherwise = boats
    await undo_call(memory, "first")
    if how == "dead, then rerun":
        await batches.rerun(memory.db)
    await say(memory, "I own boat 9.", call_id="another")  # any later call
    await learner.learn("ana", hurry=True)
    await learner.learn("ana", hurry=True)
    assert await texts(memory) == ["Owns boat 9"]


async def test_without_b_c_would_have_replaced_a(memory, learner, model):
    """A -> B -> C, undo B equals A -> C: one town is live."""
    model.otherwise = towns
    await call(memory, learner, "a", "I live in Berlin.")
    await call(memory, learner, "b", "I live in Paris.")
    await call(memory, learner, "c", "I live in Rome.")
    assert await texts(memory) == ["Lives in Rome"]
    await undo_call(memory, "b")
    assert await texts(memory) == ["Lives in Rome"]


async def test_a_chain_within_the_undone_call_stays_replaced_too(memory, learner, model):
    """A -> B -> B', all but the first of one call, and C replaced that: undo B equals A -> C."""
    model.otherwise = towns
    await call(memory, learner, "a", "I live in Berlin.")
    await call(memory, learner, "b", "I live in Paris.")
    await call(memory, learner, "b", "I live in Lyon.")
    await call(memory, learner, "c", "I live in Rome.")
    await undo_call(memory, "b")
    assert await texts(memory) == ["Lives in Rome"]


async def test_b_confirmed_later_still_ends_what_it_replaced(memory, learner, model):
    """A -> B, C says B's again, undo B equals A -> C: C would have ended Berlin."""
    model.otherwise = towns
    await call(memory, learner, "a", "I live in Berlin.")
    await call(memory, learner, "b", "I live in Paris.")
    await call(memory, learner, "c", "I still live in Paris.")
    await undo_call(memory, "b")
    assert await texts(memory) == ["Lives in Paris"]


async def test_undo_finds_a_batch_whose_turns_were_forgotten(memory, learner):
    """A turn goes by itself ("forget about X"), what else it taught stays: and can be taken back."""
    (one,) = await call(memory, learner, "first", "Xylquor and I own boat 1.")
    await call(memory, learner, "first", "I own boat 2.")
    await forget(await memory.open_call(caller()), ForgetRequest(lone_turn_ids=frozenset({one.turn_id})))
    await undo_call(memory, "first")
    assert await texts(memory) == []


async def test_undo_of_a_call_of_one_batch_whose_turns_were_forgotten(memory, learner):
    (one,) = await call(memory, learner, "first", "Xylquor and I own boat 1.")
    await forget(await memory.open_call(caller()), ForgetRequest(lone_turn_ids=frozenset({one.turn_id})))
    await undo_call(memory, "first")
    assert await texts(memory) == []


async def test_diff_tells_what_was_taken_back_since(memory, learner):
    """docs/learning.md: 'shows what was learned, ended or taken back since then'."""
    await call(memory, learner, "first", "I own boat 1.")
    then = datetime.now(UTC)
    await undo_call(memory, "first")
    assert await changes_between(memory.db, "ana", then, datetime.now(UTC) + timedelta(seconds=1))


async def test_diff_from_a_time_with_an_offset(settings, embedder):
    """`--from` with an offset means that moment, as `--to` does."""

    async with open_memory(settings, embedder=embedder) as opened:
        await put(opened, fact("Owns boat 1"))
    names = ("database_url", "redis_url")
    told = {f"ECHOIC_{n.upper()}": getattr(settings, n).get_secret_value() for n in names} | {
        "ECHOIC_TIMEZONE": "America/New_York"
    }
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    ended = await asyncio.to_thread(
        subprocess.run,
        [
            sys.executable,
            "-m",
            "echoic",
            "diff",
            "--user",
            "ana",
            "--from",
            since,
            "--json",
            "--data-dir",
            str(settings.data_dir),
        ],
        cwd=ROOT,
        env=environment() | told,
        capture_output=True,
        text=True,
    )
    assert len(json.loads(ended.stdout)) == 1, ended


async def test_a_turn_that_waits_in_the_spool_of_an_undone_call_is_not_learned(memory, learner):

    await call(memory, learner, "first", "I own boat 1.")
    turn = Turn(
        turn_id_for("first", "late"), "ana", "echoic", "first", 1, "user", "I own boat 2.", datetime.now(UTC)
    )
    await memory.spool.append(turn)
    await undo_call(memory, "first")
    memory.recorder.replay_soon()
    await memory.recorder.wait_replayed()
    await learner.learn("ana")
    assert await texts(memory) == []


async def test_a_call_under_a_linked_id_is_undone_as_it_is_listed(memory, learner):

    await say(memory, "I own boat 1.", user_id="phone", call_id="first")
    await learner.learn("phone")
    await memory.links.add("ana", "phone", made_by="test")
    assert [one.call_id for one in await people.calls(memory.db, "ana", None, 10)] == ["first"]
    await undo_call(memory, "first", "ana")
    assert await texts(memory) == []


async def test_evidence_stays_within_its_limit(memory, learner):
    """As it is learned without the undone call: the latest eight."""

    await call(memory, learner, "c0", "I own boat 1.")
    for n in range(1, 11):
        await call(memory, learner, f"c{n}", "I still have boat 1.")
    await undo_call(memory, "c5")
    (one,) = await memory.facts.list("ana")
    assert len(one.evidence) <= MOST_EVIDENCE
    said = [turn.turn_id for turn in await memory.turns.list("ana")]
    wanted = [said[n] for n in (2, 3, 4, 6, 7, 8, 9, 10)]
    assert [e.turn_id for e in one.evidence] == wanted


async def test_a_persons_own_correction_outlives_the_call(memory, learner):
    """Design question: the person corrected the fact by hand; the call is undone."""
    await call(memory, learner, "first", "I own boat 1.")
    (one,) = await memory.facts.list("ana")
    await edited(memory, one.fact_id, "Owns ship 1")
    await undo_call(memory, "first")
    assert await texts(memory) == ["Owns ship 1"]


async def test_what_a_fact_has_of_the_undone_call_alone_goes_with_it(memory, learner, model):
    """A says it, important and long ago; B says it again, by the way. Undo A equals B alone."""
    model.otherwise = {"operations": [operation("Owns boat 1", topic="things", weight=10)]}
    await say(memory, "I own boat 1.", call_id="a", said_at=NOW - timedelta(days=90))
    await learner.learn("ana")
    model.otherwise = {"operations": [operation("Owns boat 1", topic="things", weight=2)]}
    (b,) = await say(memory, "I own boat 1.", call_id="b")
    await learner.learn("ana")
    await undo_call(memory, "a")
    (one,) = await memory.facts.list("ana")
    assert [e.turn_id for e in one.evidence] == [b.turn_id]
    assert one.said_at == b.said_at, "the day on which only the undone call was"


async def test_import_again_after_undo_and_retention(memory, learner):
    """An imported call is undone, retention deletes its turns, the same file is imported once more."""

    await memory.db.run(
        lambda c: c.execute("insert into user_settings (user_id, retention_days) values ('ana', 30)")
    )
    past = [
        Conversation("ana", "echoic", "old", (Utterance("user", "I own boat 1.", NOW - timedelta(days=90)),))
    ]
    await Backfill(memory, "echoic", print).run(past)
    await learner.learn("ana")
    await undo_call(memory, "old")
    assert (await maintain(memory, "ana")).turns == 1
    await Backfill(memory, "echoic", print).run(past)
    await learner.learn("ana")
    assert await texts(memory) == []


async def test_a_forgotten_turn_that_was_confirmed_and_undone(memory, learner):
    """A, B says it again, undo A (B inherits), forget A's turn: B's fact stands."""
    (a,) = await call(memory, learner, "a", "I own boat 1.")
    await call(memory, learner, "b", "I still have boat 1.")
    await undo_call(memory, "a")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({a.turn_id})))
    assert await texts(memory) == ["Owns boat 1"]


async def test_undo_of_a_running_call_while_its_turn_is_on_its_way(memory, learner):
    """What is said in the call after its undo is learned: it is said later."""
    await call(memory, learner, "a", "I own boat 1.")
    await undo_call(memory, "a")
    await call(memory, learner, "a", "I own boat 2.")
    assert await texts(memory) == ["Owns boat 2"]
    assert (await undo_call(memory, "a")).removed and await texts(memory) == []


async def test_undo_by_odd_ids(memory, learner):
    for user in ("a'b\"; drop table facts --", "é" * 30, "tel:+49 30", "%", "_", "null", "{}"):
        cid = f"call/{user}?x=1#%00"
        await say(memory, "I own boat 1.", user_id=user, call_id=cid)
        await learner.learn(user)
        assert len((await undo_call(memory, cid, user)).removed) == 1


@pytest.mark.parametrize("first", ["undo", "learn"])
async def test_undo_and_learning_at_once(memory, learner, first):
    """Another call is learned while one is undone: nothing of the undone is left, all of the other stays."""
    await call(memory, learner, "a", "I own boat 1.")
    await call(memory, learner, "b", "I sold boat 1.", "I own boat 2.")
    await say(memory, "I still have boat 2.", "I own boat 3.", call_id="c")
    await asyncio.gather(undo_call(memory, "b"), learner.learn("ana"))
    await learner.learn("ana")
    assert set(await texts(memory)) - {"Owns boat 2"} == {"Owns boat 1", "Owns boat 3"}
