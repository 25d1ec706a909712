"""Every change of a fact is noted, and what one call taught can be taken back, also after later calls.

Only the model is scripted.
"""

import asyncio
import json
import random
import re
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count

import pytest

from echoic.memory.errors import ConfigInvalid, UserUnknown
from echoic.memory.privacy.changes import changes_between
from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.undo import undo_call
from echoic.memory.service import open_memory
from echoic.memory.settings.links import LinkStore
from echoic.memory.types import ForgetRequest
from echoic.workers.choose_extractor import make_extractor
from echoic.workers.learn.learner import Learner
from tests.boats import call, edited, fetch, state
from tests.processes import ROOT, environment
from tests.remembered import caller, say

MOST_BOATS = 8
"""Fewer than the known facts that a model is shown."""
CHANGES = """select change, before - 'updated_at' as before, batch_id, by_whom
    from fact_changes order by change_id"""


async def test_every_change_of_a_fact_is_noted(memory, learner):
    """With the batch that made it and what the fact was before, in the transaction of the change."""
    await call(memory, learner, "first", "I own boat 1.")
    ((fact_id, added),) = (await state(memory)).items()
    await call(memory, learner, "second", "I still have boat 1.")
    confirmed = (await state(memory))[fact_id]
    await call(memory, learner, "third", "I sold boat 1.")
    rows = await fetch(memory, CHANGES)
    assert [(row["change"], row["before"] and json.loads(row["before"])) for row in rows] == [
        ("added", None),
        ("confirmed", added["payload"]),
        ("ended", confirmed["payload"]),
    ]
    batches = await fetch(memory, "select batch_id from batches order by created_at")
    assert [row["batch_id"] for row in rows] == [row["batch_id"] for row in batches]
    assert {row["by_whom"] for row in rows} == {"learning"}


async def test_an_undone_call_leaves_the_state_before_it(memory, learner):
    """What it added is gone, what it ended is open, what it confirmed rests on what it rested on before."""
    await call(memory, learner, "first", "I own boat 1.", "I own boat 2.")
    before = await state(memory)
    turns = await call(memory, learner, "second", "I own boat 3.", "I sold boat 1.", "I still have boat 2.")
    undone = await undo_call(memory, "second")
    assert (len(undone.removed), undone.restored) == (1, before.keys()) and await state(memory) == before
    assert {one.turn_id for one in turns} <= {one.turn_id for one in await memory.turns.list("ana")}
    assert (await learner.learn("ana")).turns == 0, "it is not learned again"


@pytest.mark.parametrize("seed", range(8))
async def test_undo_of_any_call_in_any_history(memory, learner, seed):
    """The facts are as if only the other calls had changed them, however many were undone before."""
    history = History(memory, learner, random.Random(seed))
    for _ in range(14):
        await history.go_on()
        assert await state(memory) == history.expected()


class History:
    """Calls and undone calls at random, and what the facts are then."""

    def __init__(self, memory, learner, chance):
        self._memory, self._learner, self._chance = memory, learner, chance
        self._changes = {}
        """By call: each fact as it was before and after it."""
        self._said_at = {}
        """By turn."""
        self._numbers = count(1)

    async def go_on(self):
        if self._changes and self._chance.random() < 0.35:
            call_id = self._chance.choice(list(self._changes))
            del self._changes[call_id]
            await undo_call(self._memory, call_id)
        else:
            call_id, before = f"call {next(self._numbers)}", await state(self._memory)
            turns = await call(self._memory, self._learner, call_id, *self._sentences(before))
            self._said_at |= {str(turn.turn_id): turn.said_at.isoformat() for turn in turns}
            after = await state(self._memory)
            self._changes[call_id] = {
                key: (before.get(key), after[key]) for key in after if before.get(key) != after[key]
            }

    def _sentences(self, known):
        """One about each of a few boats, so that it does not matter in which order a call changes them."""
        live = [
            row["payload"]["data"].rpartition(" ")[2] for row in known.values() if row["valid_until"] is None
        ]
        told = self._chance.sample(live, min(len(live), 2))
        said = [
            self._chance.choice(("I sold boat {}.", "I still have boat {}.")).format(boat) for boat in told
        ]
        if len(live) < MOST_BOATS:
            said.append(f"I own boat {next(self._numbers)}.")
        return said

    def expected(self):
        """The facts after the calls that were not undone, oldest first."""
        found = {}
        for changes in self._changes.values():
            for key, (before, after) in changes.items():
                if before is None:
                    found[key] = after
                elif key in found or before["valid_until"] == after["valid_until"]:
                    # said again: without the call that said it first, this one would have added it
                    found[key] = _changed(found.get(key) or self._unsaid(before, after), before, after)
        return found

    def _unsaid(self, row, after):
        """A fact that rests on nothing yet, and is first said by what comes now."""
        told = set(after["payload"]["turn_ids"]) - set(row["payload"]["turn_ids"])
        said_at = min(self._said_at[one] for one in told)
        payload = row["payload"] | {"evidence": [], "turn_ids": [], "said_at": said_at}
        return row | {"payload": payload, "sources": [], "evidence": "[]"}


def _changed(row, before, after):
    """A row, or a payload, with what changed in another state of it; lists grow at their end."""
    changed = dict(row)
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(new, dict) and isinstance(old, dict):
            changed[key] = _changed(row[key], old, new)
        elif isinstance(new, list) and isinstance(old, list):
            changed[key] = [*row[key], *new[len(old) :]]
        elif key == "evidence":  # the column is the payload's, as text
            changed[key] = json.dumps([*json.loads(row[key]), *json.loads(new)[len(json.loads(old)) :]])
        elif new is None:
            changed.pop(key, None) if key not in after else changed.update({key: None})
        else:
            changed[key] = new
    return changed


TABLES = {
    "facts": "payload - 'updated_at' as payload, sources, valid_until, about, evidence",
    "fact_index": "user_id, agent_id, valid_until, words, sources",
    "postings join facts using (ref)": "term, tf, ref",
    "episodes": "*",
    "archived_facts": "*",
}
SENTENCES = (
    *("I own boat {}.", "I sold boat {}.", "I still have boat {}.", "I will paint boat {}."),
    *("I painted boat {}.", "I swapped boat {} for boat {}."),
)


@pytest.mark.parametrize("seed", range(6))
async def test_learned_and_undone_is_never_learned(memory, learner, seed):
    """In every table, also where the words of one call contradict each other, and after the person's own
    edits and what they had forgotten."""
    chance = random.Random(seed)
    for number in range(10):
        before = await tables(memory)
        said = [chance.choice(SENTENCES).format(*chance.choices(range(5), k=2)) for _ in range(4)]
        turns = await call(memory, learner, f"call {number}", *said)
        after = await tables(memory)
        if chance.random() < 0.5:
            await undo_call(memory, f"call {number}")
            assert await tables(memory) == before, said
        elif after != before and chance.random() < 0.5:
            known = await memory.facts.list("ana")
            if known and chance.random() < 0.5:
                await edited(memory, chance.choice(known).fact_id, f"Owns ship {number}")
            else:
                turn = chance.choice(turns)
                await forget(
                    await memory.open_call(caller()), ForgetRequest(lone_turn_ids=frozenset({turn.turn_id}))
                )


async def tables(memory):
    """What stands in each table, in no order."""
    return {
        name: sorted(str(dict(row)) for row in await fetch(memory, f"select {columns} from {name}"))
        for name, columns in TABLES.items()
    }


async def test_what_another_call_said_too_stays(memory, learner):
    """Resting on that call alone, which is then the one that added it."""
    await call(memory, learner, "first", "I own boat 1.")
    (again,) = await call(memory, learner, "second", "I still have boat 1.")
    assert not (await undo_call(memory, "first")).removed
    (fact,) = await memory.facts.list("ana")
    assert [one.turn_id for one in fact.evidence] == [again.turn_id] == list(fact.turn_ids)
    assert (await undo_call(memory, "second")).removed == {fact.fact_id} and await state(memory) == {}


async def test_undone_twice_is_undone_once(memory, learner):
    """The second time nothing is left to take back, and later changes stand."""
    await call(memory, learner, "first", "I own boat 1.")
    await call(memory, learner, "second", "I sold boat 1.")
    await undo_call(memory, "second")
    await call(memory, learner, "third", "I still have boat 1.")
    before = await state(memory)
    undone = await undo_call(memory, "second")
    assert not undone.removed and not undone.restored and await state(memory) == before


async def test_undo_of_a_call_that_nobody_knows(memory, learner):
    """A mistake with its name in it; another person's call is not theirs."""
    await call(memory, learner, "first", "I own boat 1.")
    for wrong in (("nobody's",), ("first", "bo")):
        with pytest.raises(UserUnknown, match=wrong[0]):
            await undo_call(memory, *wrong)
    assert len(await state(memory)) == 1


async def test_only_the_person_who_is_named(memory, learner):
    """Two spoke in one call: each has what they said."""
    for user in ("ana", "bo"):
        await say(memory, "I own boat 1.", user_id=user, call_id="both")
        await learner.learn(user)
    await undo_call(memory, "both", "bo")
    assert [row["payload"]["user_id"] for row in (await state(memory)).values()] == ["ana"]


async def test_a_call_of_several_people_is_taken_back_of_whom_one_says(memory, learner):
    """An application that counts its calls by itself gives two people one id; ids of one person are one."""
    for user in ("ana", "bo"):
        await say(memory, "I own boat 1.", user_id=user, call_id="1")
        await learner.learn(user)
    with pytest.raises(ConfigInvalid, match="several people, ana, bo: --user says of whom"):
        await undo_call(memory, "1")
    assert len(await state(memory)) == 2
    await LinkStore(memory.db).add("ana", "bo", made_by="test")
    assert len((await undo_call(memory, "1")).removed) == 2


async def test_undo_waits_for_a_worker_at_it(memory, learner, model):
    """What that worker learns of the call meanwhile is taken back too."""
    await say(memory, "I own boat 1.", call_id="first")
    with model.held():
        learning = asyncio.create_task(learner.learn("ana"))
        await asyncio.to_thread(model.wait_asked)
        undoing = asyncio.create_task(undo_call(memory, "first"))
        await asyncio.sleep(0)
        assert not undoing.done()
    await learning
    assert len((await undoing).removed) == 1 and await state(memory) == {}


async def test_a_running_call_hears_of_it(memory, learner):
    """What was taken back stands in no later answer, also where the call had it already."""
    await call(memory, learner, "first", "I own boat 1.")
    running = await memory.open_call(caller())
    found = await running.recall("Which boat do I own?", budget_s=5)
    assert "Owns boat 1" in found.block
    await undo_call(memory, "first")
    found = await running.recall("Which boat do I own?", budget_s=5)
    assert "Owns boat 1" not in found.block and not running.recent.profile


async def test_words_that_were_taken_back_can_be_forgotten(memory, learner):
    """The note of a change holds the words of a fact only as long as the fact is there."""
    (one,) = await call(memory, learner, "first", "I own boat 1.")
    (other,) = await call(memory, learner, "second", "I sold boat 1.")
    await undo_call(memory, "first")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({one.turn_id, other.turn_id})))
    for table in ("facts", "turns", "fact_changes"):
        assert "boat" not in str(await fetch(memory, f"select {table}::text from {table}"))


async def test_a_fact_that_stays_holds_no_words_of_a_turn_that_goes(memory, learner):
    """A turn that is forgotten by itself takes its quotes along, also those of what facts were before."""
    await call(memory, learner, "first", "I own boat 1.")
    (xylquor,) = await call(memory, learner, "second", "Xylquor and I still have boat 1.")
    await call(memory, learner, "third", "I still have boat 1.")
    await forget(await memory.open_call(caller()), ForgetRequest(lone_turn_ids=frozenset({xylquor.turn_id})))
    (fact,) = await memory.facts.list("ana")
    assert [one.quote for one in fact.evidence] == ["I own boat 1.", "I still have boat 1."]
    for table in ("facts", "turns", "fact_changes"):
        assert "Xylquor" not in str(await fetch(memory, f"select {table}::text from {table}"))


async def test_changes_between_two_times(memory, learner):
    """What was added, said again, ended and taken back, with what it is today."""
    await call(memory, learner, "first", "I own boat 1.", "I own boat 2.")
    then = datetime.now(UTC)
    await call(memory, learner, "second", "I sold boat 1.")
    await call(memory, learner, "third", "I own boat 3.")
    await undo_call(memory, "third")
    early = await changes_between(memory.db, "ana", datetime.min.replace(tzinfo=UTC), then)
    late = await changes_between(memory.db, "ana", then, datetime.now(UTC))
    assert [(one.kind, one.now.text, one.before) for one in early] == [
        ("added", "Owns boat 1", None),
        ("added", "Owns boat 2", None),
    ]
    ended, gone = late
    assert (ended.kind, ended.before.valid_until, ended.undone_at) == ("ended", None, None)
    assert ended.now.valid_until is not None and (gone.kind, gone.now) == ("added", None)
    assert gone.undone_at is not None
    assert await changes_between(memory.db, "bo", then, datetime.now(UTC)) == []


async def test_the_commands(settings, embedder):
    """`echoic diff` tells what changed, `echoic undo` takes it back; a second time it says so."""

    async def run(*arguments):
        names = ("database_url", "redis_url")
        told = {f"ECHOIC_{name.upper()}": getattr(settings, name).get_secret_value() for name in names}
        ended = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "echoic", *arguments, "--data-dir", str(settings.data_dir)],
            cwd=ROOT,
            env=environment() | told,
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout + ended.stderr

    async with open_memory(settings, embedder=embedder) as memory:
        extractor, _ = make_extractor(settings)
        learner = Learner(memory, extractor)
        await call(memory, learner, "first", "I own boat 1.")
        await call(memory, learner, "second", "I sold boat 1.", "I own boat 2.")
        await extractor.close()
    _, told = await run("diff", "--user", "ana")
    assert re.findall(r"(\w+): “(.+?)” \(by", told) == [
        ("added", "Owns boat 1"),
        ("added", "Owns boat 2"),
        ("ended", "Owns boat 1"),
    ]
    assert await run("undo", "--call", "second") == (0, "Took back 1 fact, and restored 1.\n")
    assert await run("undo", "--call", "second") == (
        0,
        "Nothing that this call taught is left to take back.\n",
    )
    code, told = await run("undo", "--call", "third")
    assert code == 1 and "No turn of the call 'third' is stored." in told
    _, told = await run("diff", "--user", "ana", "--json")
    assert [(one["change"], one["undone"]) for one in json.loads(told)] == [
        ("added", False),
        ("added", True),
        ("ended", True),
    ]


async def test_what_waits_of_an_undone_call_is_not_learned_later(memory, learner, model):
    """The turns stay; no worker takes them up."""
    await say(memory, "I own boat 1.", call_id="first")
    await learner.learn("ana")
    await say(memory, "I own boat 2.", call_id="first")
    await undo_call(memory, "first")
    asked = len(model.requests)
    await learner.learn("ana")
    assert len(model.requests) == asked and not await memory.facts.list("ana")
    assert len(await memory.turns.list("ana")) == 2
