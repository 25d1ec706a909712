"""A fact that is said in call after call: its history grows by as much with each, and any is taken back."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from echoic.memory.privacy.changes import changes_between
from echoic.memory.privacy.maintenance import maintain, purge_archive
from echoic.memory.privacy.undo import undo_batch, undo_call
from echoic.memory.store.facts import MOST_EVIDENCE
from echoic.memory.types import Evidence
from tests.boats import call, edited, fetch, state
from tests.remembered import fact, say
from tests.remembered import learn as put

CALLS = 24
NOTED = "select change_id, xmin::text, jsonb_array_length(before -> 'turn_ids') as turns from fact_changes"
WHOLE = """update fact_changes set before = jsonb_set(before, '{turn_ids}', (
    select jsonb_agg(turn_id order by ref) from turns where ref < (
        select ref from turns join batches using (call_id) where batches.batch_id = fact_changes.batch_id
    )
)) where before is not null"""


@pytest.fixture
async def said(memory, learner):
    """The turns, by call."""
    turns = await call(memory, learner, "0", "I own boat 1.")
    for number in range(1, CALLS):
        turns += await call(memory, learner, str(number), "I still have boat 1.")
    return {turn.call_id: str(turn.turn_id) for turn in turns}


@pytest.mark.parametrize("noted", ["the latest turns", "all turns, as it was once"])
async def test_any_of_them_is_taken_back(memory, said, noted):
    """In any order: the fact rests on all others, in the order in which they were said."""
    if noted != "the latest turns":
        await memory.db.run(lambda connection: connection.execute(WHOLE))
    for call_id in ("12", "0", str(CALLS - 1), "3", "13", "1"):
        await undo_call(memory, call_id)
        del said[call_id]
        ((_, row),) = (await state(memory)).items()
        assert row["payload"]["turn_ids"] == [*said.values()] and len(row["sources"]) == len(said)


async def test_a_change_notes_the_latest_turns_and_undo_writes_the_changes_that_noted_it(memory, said):
    rows = await fetch(memory, NOTED)
    assert [row["turns"] for row in rows[1:]] == [min(one, MOST_EVIDENCE) for one in range(1, CALLS)]
    await undo_call(memory, "5")
    after = await fetch(memory, NOTED)
    assert len({*after} - {*rows}) <= MOST_EVIDENCE + 1 and max(row["turns"] or 0 for row in after) == 8


async def test_what_changed_shows_the_latest_turns(memory, said):
    """As it was and as it is: a person who says their name in each call can be asked what changed."""
    found = await changes_between(memory.db, "ana", datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC))
    latest = [*said.values()][-MOST_EVIDENCE:]
    assert len(found) == CALLS and [str(one) for one in found[0].now.turn_ids] == latest
    assert [str(one) for one in found[-1].before.turn_ids] == [*said.values()][-MOST_EVIDENCE - 1 : -1]


async def test_what_was_said_before_an_edit_is_taken_back_and_the_edit_stays(memory, said):
    """It is noted with all of its turns, before and after."""
    (fact_id,) = await state(memory)
    await edited(memory, fact_id, "Owns ship 1")
    await undo_call(memory, "2")
    (row,) = await fetch(memory, "select before from fact_changes where change = 'edited'")
    assert json.loads(row["before"])["turn_ids"] == [one for call_id, one in said.items() if call_id != "2"]
    payload = (await state(memory))[fact_id]["payload"]
    assert payload["data"] == "Owns ship 1" and len(payload["turn_ids"]) == CALLS - 1


async def test_more_turns_than_are_noted_that_a_night_added(memory):
    """What a night made one, and has let go since, is all there when a call before that night is undone."""
    first, again, *others = await say(memory, *["I have a dog."] * (2 * MOST_EVIDENCE), call_id="all")
    stays = fact("Has a dog", turn_ids=(first.turn_id,))
    batch_id, told = uuid4(), (Evidence(again.turn_id, again.text),)
    await put(memory, stays, fact("Has a dog.", turn_ids=tuple(turn.turn_id for turn in others)))
    await memory.db.transaction(
        lambda connection: memory.facts.confirm(connection, "ana", stays.fact_id, told, batch_id=batch_id)
    )
    assert (await maintain(memory, "ana")).merged == 1
    await memory.db.run(
        lambda c: c.execute("update archived_facts set archived_at = now() - interval '31 days'")
    )
    assert await purge_archive(memory) == 1
    await undo_batch(memory, batch_id)
    (left,) = await memory.facts.list("ana")
    assert left.turn_ids == (first.turn_id, *(turn.turn_id for turn in others))
