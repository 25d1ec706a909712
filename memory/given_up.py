"""What was given up, in every queue: listed with its reason, and tried again when somebody asks for it."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import partial
from uuid import UUID

from echoic.memory.store import batches
from echoic.memory.store.batches import DeadBatch, GivenUp
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.store.spool import Spool
from echoic.memory.stores import Stores

SAYS: dict[GivenUp, str] = {
    "learn": "turns to learn from",
    "graph": "facts for the graph",
    "spool": "lines of the spool on this disk",
    "embed": "turns without a vector, found by their words alone",
    "erase": "graph of an erased person, which nobody asks any more",
}
"""What the elements of a queue are."""


async def given_up(db: Database, spool: Spool) -> list[DeadBatch]:
    """Everything that was given up, by queue and then oldest first.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    dead = await batches.dead(db)
    return [*dead, *await _in_spool(spool), *await db.run(_texts), *await db.run(_graphs)]


async def count_given_up(db: Database, spool: Spool) -> dict[GivenUp, int]:
    """How many elements of each queue were given up; 0 for a queue without."""
    found = Counter(one.kind for one in await given_up(db, spool))
    return {kind: found[kind] for kind in SAYS}


async def rerun(memory: Stores, element_id: UUID | None = None) -> Sequence[DeadBatch]:
    """Try one element again, or all; returns those that are tried.

    Raises:
        StoreUnavailable: Postgres does not answer, or the disk is full.
    """
    found = await given_up(memory.db, memory.spool)
    wanted = [one for one in found if element_id in (None, one.batch_id)]
    for one in wanted:
        match one.kind:
            case "learn" | "graph":
                for user_id in await batches.rerun(memory.db, one.batch_id):
                    await memory.jobs.enqueue_learn(user_id, hurry=True)
            case "spool":
                await memory.recorder.rerun_set_aside(one.batch_id)
            case "embed":
                await memory.db.run(partial(_embed_again, user_id=one.user_id))
            case "erase":
                await memory.db.run(partial(_remove_again, element_id=one.batch_id))
    return wanted


async def _in_spool(spool: Spool) -> list[DeadBatch]:
    return [
        DeadBatch(
            *(one.element_id, "spool", one.user_id, one.count, one.reason),
            *(one.set_aside_at, one.set_aside_at),
        )
        for one in await spool.set_aside()
    ]


async def _texts(connection: Connection) -> list[DeadBatch]:
    rows = await connection.fetch(query("texts_refused"), None)
    why = "the embedding model refuses these texts, and not others"
    return [
        DeadBatch(
            *(_id_of(row["user_id"]), "embed", row["user_id"], row["texts"], why),
            *(row["last_at"], row["last_at"]),
        )
        for row in rows
    ]


async def _graphs(connection: Connection) -> list[DeadBatch]:
    rows = await connection.fetch(query("void_graphs_that_fail"))
    return [
        DeadBatch(
            *(_id_of(row["group_id"]), "erase", "", 1, row["error"] or ""),
            *(row["erased_at"], row["erased_at"]),
        )
        for row in rows
    ]


async def _embed_again(connection: Connection, *, user_id: str) -> None:
    await connection.execute(query("embed_again"), user_id)


async def _remove_again(connection: Connection, *, element_id: UUID) -> None:
    for row in await connection.fetch(query("void_graphs_that_fail")):
        if _id_of(row["group_id"]) == element_id:
            await connection.execute(query("void_graph_again"), row["group_id"])


def _id_of(name: str) -> UUID:
    return UUID(bytes=hashlib.sha256(name.encode()).digest()[:16])
