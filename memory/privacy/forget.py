"""Forget a part of what one person said: turns, what was learned from them, and every copy on its way."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

import asyncpg

from echoic.memory.call import CallMemory
from echoic.memory.errors import StoreUnavailable
from echoic.memory.graph.ledger import mark_behind
from echoic.memory.recall.fusion import retells
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import tell_forgotten
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown
from echoic.memory.text.words import terms
from echoic.memory.types import Caller, ForgetRequest, Forgotten, Item

FEW = 100
"""Turns and facts that go under the limit of every store operation: somebody waits for the answer."""
MANY_LIMIT_S = 120.0
"""Of more: what was named for years goes all at once, or not at all."""


async def forget(call: CallMemory, wanted: ForgetRequest) -> Forgotten:
    """Forget, in every store and in this process, and let every other process know. Safe to repeat.

    Rows, words, vectors and facts go in one transaction, with a note of the ids: a copy that arrives later
    (spool, retry, a batch being learned) is void. From then on this user's graphs are not asked, until a
    worker has removed there what was learned from it.

    Raises:
        StoreUnavailable: Postgres did not do it. What this process holds, and its spool, are without it all
            the same.
    """
    gone = Forgotten({*wanted.turn_ids, *wanted.lone_turn_ids}, set(wanted.fact_ids))
    if not call.persistent:
        call.forget_items(gone.turns)
        return gone
    memory = call.memory
    try:
        await memory.forgetter.forget_rows(call.caller, wanted, gone)
    except asyncpg.PostgresError as exc:
        raise StoreUnavailable(f"Postgres refused to forget ({type(exc).__name__}).") from exc
    finally:
        for user_id in call.caller.ids:
            memory.forget_items(user_id, gone.turns | gone.facts)
            await memory.spool.forget_turns(user_id, gone.turns)
    for user_id in call.caller.ids:
        if gone.reopened:
            await memory.jobs.enqueue_learn(user_id)
        if memory.graph is not None:
            await memory.jobs.enqueue_graph(user_id)
    return gone


def restated(items: Iterable[Item], said: str) -> list[Item]:
    """Those of `items` that were said again: every stem of theirs stands in `said`."""
    spoken = set(terms(said))
    return [item for item in items if (own := set(terms(shown(item.text, item.about)))) and own <= spoken]


class PostgresForgetter:
    """Forgets rows, words, vectors and facts in one transaction."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def forget_rows(self, caller: Caller, wanted: ForgetRequest, gone: Forgotten) -> None:
        """Add to `gone` what belongs to it, and remove it all.

        Raises:
            StoreUnavailable: Postgres did not do it.
        """
        limit_s = None if len(gone.turns) + len(gone.facts) <= FEW else MANY_LIMIT_S
        work = partial(_forget_rows, caller=caller, wanted=wanted, gone=gone)
        await self._db.transaction(work, timeout_s=limit_s)


async def _forget_rows(
    connection: Connection, *, caller: Caller, wanted: ForgetRequest, gone: Forgotten
) -> None:
    """Under the locks that keep every other writer of this person out; of each id what is its own."""
    for user_id in sorted(caller.ids):  # in one order, so that no two wait for each other
        await connection.execute(query("lock_user_exclusive"), user_id)
    rest = wanted
    for user_id in caller.also:
        theirs, rest = await _divided(connection, user_id, rest)
        gone.add(await _forget_of(connection, user_id, theirs))
    gone.add(await _forget_of(connection, caller.user_id, rest))


async def _divided(
    connection: Connection, user_id: str, wanted: ForgetRequest
) -> tuple[ForgetRequest, ForgetRequest]:
    """What of it is this user's, and the rest; a relation may be of either."""
    every = [*wanted.turn_ids, *wanted.lone_turn_ids, *wanted.fact_ids]
    own = {row["id"] for row in await connection.fetch(query("owned"), user_id, every)}
    names = ("turn_ids", "lone_turn_ids", "fact_ids")
    return (
        replace(wanted, **{name: getattr(wanted, name) & own for name in names}),
        replace(wanted, **{name: getattr(wanted, name) - own for name in names}),
    )


async def _forget_of(connection: Connection, user_id: str, wanted: ForgetRequest) -> Forgotten:
    gone = Forgotten({*wanted.turn_ids, *wanted.lone_turn_ids}, set(wanted.fact_ids))
    if wanted.relations:
        await _add_told_by(connection, user_id, wanted.relations, gone)
    also_from = await _learned_from(connection, user_id, wanted.turn_ids, gone)
    said_by_it = await connection.fetch(query("merged_into"), user_id, list(gone.facts))
    gone.facts |= {row["id"] for row in said_by_it}
    await connection.execute(query("thin_episodes"), user_id, list(gone.facts), list(gone.turns))
    await connection.execute(query("settle_turns_of_facts"), user_id, list(wanted.fact_ids))
    await connection.fetchval(query("forget_facts"), user_id, list(gone.facts))
    await connection.execute(query("forget_changes"), user_id, list(gone.facts), list(wanted.versions))
    await connection.execute(query("forget_quotes"), user_id, list(gone.turns))
    await connection.fetchval(query("forget_turns"), user_id, list(gone.turns))
    await connection.execute(query("mark_forgotten"), user_id, [*gone.turns, *gone.facts])
    await connection.execute(query("thin_batches"), user_id, list(gone.turns))
    await mark_behind(connection, user_id)
    gone.reopened = len(await connection.fetch(query("reopen_turns"), user_id, list(also_from)))
    await tell_forgotten(connection, user_id, [*gone.turns, *gone.facts])
    return gone


async def _add_told_by(
    connection: Connection, user_id: str, relations: Sequence[Item], gone: Forgotten
) -> None:
    """A relation may be drawn from a whole batch of turns: only those that say the same go with it."""
    facts = await connection.fetch(query("facts_saying"), user_id, [relation.text for relation in relations])
    gone.facts |= {row["id"] for row in facts}
    for relation in relations:
        rows = await connection.fetch(query("batch_turns"), user_id, list(relation.turn_ids))
        gone.turns |= {row["turn_id"] for row in rows if retells(relation.text, row["text"])}


async def _learned_from(
    connection: Connection, user_id: str, turn_ids: Collection[UUID], gone: Forgotten
) -> set[UUID]:
    """Add the facts learned from these turns; returns the other turns that those facts came from."""
    rows = await connection.fetch(query("facts_learned_from"), user_id, list(turn_ids))
    gone.facts |= {row["id"] for row in rows}
    return {turn_id for row in rows for turn_id in row["turn_ids"]} - gone.turns
