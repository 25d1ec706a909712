"""What a night has made one fact, when one of the calls that taught it is undone, or the night."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from echoic.memory.privacy.forget import forget
from echoic.memory.privacy.maintenance import maintain, purge_archive
from echoic.memory.privacy.undo import undo_batch, undo_call
from echoic.memory.types import Evidence, ForgetRequest
from tests.boats import call, edited, fetch, state, texts
from tests.remembered import caller, fact, say
from tests.remembered import learn as put

NOW = datetime.now(UTC)


async def learned(memory, text, call_id, batch_id, said):
    """A fact as a learner leaves it, of one batch."""
    (turn,) = await say(memory, said, call_id=call_id)
    one = fact(
        text,
        turn_ids=(turn.turn_id,),
        evidence=(Evidence(turn.turn_id, said),),
        importance=0.5 if call_id == "first" else 0.9,
    )
    (vector,) = await memory.embedder.embed_batch([text])

    async def add(connection):
        await memory.facts.add(connection, [one], [vector], batch_id=batch_id)
        await connection.execute(
            "insert into batches (user_id, batch_id, turn_ids, state, call_id) "
            "values ('ana', $1, $2, 'done', $3)",
            batch_id,
            [turn.turn_id],
            call_id,
        )
        await connection.execute("update turns set state = 'learned'")

    await memory.db.transaction(add)
    return one, turn


async def test_undo_of_a_call_whose_fact_a_night_merged_into_another(memory):
    """learn A, learn B, a night, undo B equals learn A."""
    await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    before = await state(memory)
    await learned(memory, "Has a dog.", "second", uuid4(), "Xylquor says I have a dog.")
    assert (await maintain(memory, "ana")).merged == 1
    await undo_call(memory, "second")
    after = await state(memory)
    assert "Xylquor" not in str(after), after
    assert after == before


async def test_undo_of_both_calls_of_a_merged_fact_leaves_nothing(memory):
    await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    await learned(memory, "Has a dog.", "second", uuid4(), "Xylquor says I have a dog.")
    assert (await maintain(memory, "ana")).merged == 1
    await undo_call(memory, "second")
    await undo_call(memory, "first")
    assert await texts(memory) == []


async def test_what_a_night_merged_is_not_learned_again_after_undo_and_forget(memory):
    """Undo B; then the turn of A is forgotten: B's turn, undone, is not opened again."""
    _, turn = await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    await learned(memory, "Has a dog.", "second", uuid4(), "Xylquor says I have a dog.")
    await maintain(memory, "ana")
    await undo_call(memory, "second")
    await forget(await memory.open_call(caller()), ForgetRequest(frozenset({turn.turn_id})))
    rows = await fetch(memory, "select state from turns where call_id = 'second'")
    assert [row["state"] for row in rows] == ["learned"]


async def test_undo_of_a_call_brings_back_no_fact_that_the_night_found_too_old(memory):
    """Only the merge is the call's; the rest of that night stands."""
    await memory.db.run(
        lambda c: c.execute("insert into user_settings (user_id, retention_days) values ('ana', 30)")
    )
    await put(memory, fact("Was in a clinic", said_at=NOW - timedelta(days=400)))
    await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    await learned(memory, "Has a dog.", "second", uuid4(), "I have a dog, yes.")
    done = await maintain(memory, "ana")
    assert (done.archived, done.merged) == (1, 1)
    await undo_call(memory, "first")
    assert await texts(memory) == ["Has a dog."]


async def end(memory, one, batch_id):
    async def work(connection):
        assert await memory.facts.end(connection, "ana", one.fact_id, datetime.now(UTC), batch_id=batch_id)

    await memory.db.transaction(work)


@pytest.mark.parametrize("what", ["night", "first call"])
async def test_what_ended_after_a_merge_stays_ended(memory, what):
    """A and B say it, a night merges, C ends it: no undo of the night or of A opens it again."""
    first, _ = await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    await learned(memory, "Has a dog.", "second", uuid4(), "I have a dog, yes.")
    done = await maintain(memory, "ana")
    assert done.merged == 1
    await end(memory, first, uuid4())
    assert await texts(memory) == []
    await (undo_batch(memory, done.run_id) if what == "night" else undo_call(memory, "first"))
    assert await texts(memory) == []


async def test_a_night_that_said_it_too_is_no_other_call(memory):
    """A purge of the archive later: undo of both calls leaves nothing."""

    await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    await learned(memory, "Has a dog.", "second", uuid4(), "I have a dog, yes.")
    await maintain(memory, "ana")
    await memory.db.run(
        lambda c: c.execute("update archived_facts set archived_at = now() - interval '31 days'")
    )

    assert await purge_archive(memory) == 1
    await undo_call(memory, "first")
    await undo_call(memory, "second")
    assert await texts(memory) == []


async def refiled(memory, learner):
    """A says it, a night spells its topic as the others', and B says it again."""
    await call(memory, learner, "a", "I own boat 1.")
    things = [fact(f"Has thing {n}", topic="THINGS") for n in range(2)]
    await put(memory, *things)
    assert (await maintain(memory, "ana")).refiled == 1
    (again,) = await call(memory, learner, "b", "I still have boat 1.")
    return again


async def test_who_said_it_first_is_gone_though_a_night_came_between(memory, learner):
    """Undo of A, then of C, which said it too: it rests on B alone."""
    again = await refiled(memory, learner)
    await undo_call(memory, "a")
    before = await state(memory)
    await call(memory, learner, "c", "I still have boat 1.")
    await undo_call(memory, "c")
    assert await state(memory) == before
    (one,) = [one for one in await memory.facts.list("ana") if one.turn_ids]
    assert one.turn_ids == (again.turn_id,) and one.said_at == again.said_at


async def said_twice(memory, again="I have a dog, yes."):
    """A and B say it, and a night keeps A's fact."""
    one, turn = await learned(memory, "Has a dog", "first", uuid4(), "I have a dog.")
    other, second = await learned(memory, "Has a dog.", "second", uuid4(), again)
    assert (await maintain(memory, "ana")).merged == 1
    return one, turn, other, second


async def purge(memory, *fact_ids):
    """A month later, as far as these are concerned."""
    sql = "update archived_facts set archived_at = now() - interval '31 days' where id = any($1)"
    await memory.db.run(lambda connection: connection.execute(sql, fact_ids))
    assert await purge_archive(memory) == len(fact_ids)


async def test_a_call_whose_fact_was_merged_and_purged_leaves_no_words(memory):
    """Undo of B after a month: the fact of A rests on A alone."""
    _, turn, other, _ = await said_twice(memory, "Xylquor says I have a dog.")
    await purge(memory, other.fact_id)
    await undo_call(memory, "second")
    (left,) = await memory.facts.list("ana")
    assert left.turn_ids == (turn.turn_id,) and "Xylquor" not in str(left.evidence)


async def test_who_said_it_too_is_known_though_what_says_it_was_in_the_archive_at_the_purge(memory):
    """A's fact stands for B's, is found too old itself, and comes back; then A is undone."""
    _, _, other, _ = await said_twice(memory)
    settings = "insert into user_settings (user_id, retention_days) values ('ana', 30)"
    old = """update facts set payload = payload || '{"said_at": "2020-01-01T00:00:00+00:00"}'"""
    for sql in (
        settings,
        old,
        'update archived_facts set fact = fact || \'{"said_at": "2020-01-01T00:00:00+00:00"}\'',
    ):
        await memory.db.run(lambda connection, sql=sql: connection.execute(sql))
    done = await maintain(memory, "ana")
    assert done.archived == 1
    await purge(memory, other.fact_id)
    await undo_batch(memory, done.run_id)
    await undo_call(memory, "first")
    assert await texts(memory) == ["Has a dog"]


@pytest.mark.parametrize("at_once", [False, True])
async def test_what_was_merged_twice_is_said_by_each_after_the_purge(memory, at_once):
    """B's into A's, and A's into another: without A and the other's call, it is still known from B."""
    first = await learned(memory, "Has a cat", "zero", uuid4(), "I have a pet.")
    one, _, other, second = await said_twice(memory)
    await edited(memory, first[0].fact_id, "Has a dog")
    assert (await maintain(memory, "ana")).merged == 1
    for gone in [(one.fact_id, other.fact_id)] if at_once else [(other.fact_id,), (one.fact_id,)]:
        await purge(memory, *gone)
    await undo_call(memory, "first")
    (left,) = await memory.facts.list("ana")
    assert second.turn_id in left.turn_ids and len(left.turn_ids) == 2
    rows = await fetch(
        memory, "select batch_id from fact_changes where undone_at is null and fact_id = $1", left.fact_id
    )
    batch = await fetch(memory, "select batch_id from batches where call_id = 'second'")
    assert batch[0]["batch_id"] in {row["batch_id"] for row in rows}
