"""Embed everything again with another model, and never two models' vectors to one question.

Another model is taken over in one transaction, which leaves no vector of the one before: everything is found
by its words until it is embedded anew. What was embedded by an older Echoic, or without `echoic[languages]`,
has zeros where the numbers of a model belong (memory/embedding/spaces.py), and is found as before.

Both are filled in by the same batches, of `echoic reembed` or of a worker behind those who call; the setting
`refilled_to` holds how far they are, and goes when all is done.
"""

import asyncio
import json
import logging
from collections.abc import Callable

import asyncpg
import numpy as np

from echoic.memory.config import MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding.embedder import Embedder, embed_each, open_embedder
from echoic.memory.errors import MemoryFault, StoreUnavailable
from echoic.memory.store.database import UNAVAILABLE, Connection, Database, unreachable
from echoic.memory.store.facts import about_from
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown

log = logging.getLogger("echoic.reembed")

REFILL_BATCH = 64  # a second of embedding, behind all questions
REFILL_LIMIT_S = 120.0
AGAIN_S = 60.0
ANOTHER_S = 1.0  # a worker has the batch that is next

Progress = Callable[[int, int], None]
"""Called with (done, total) after each batch."""


async def reembed(db: Database, embedder: Embedder, on_progress: Progress = lambda done, total: None) -> int:
    """Take over another model, and give every turn and fact a vector of it; returns how many this embedded.

    All other Echoic processes must be stopped until it is taken over; then they may run again, and what is
    left when this is killed their worker embeds. `db` must not run the start check, which refuses the model
    of before.

    Raises:
        StoreUnavailable: Postgres cannot be reached, or other Echoic processes are connected.
        ModelUnavailable: the embedding endpoint does not answer; run it again, or leave it to the worker.
    """
    await _take_over(db, embedder)
    done, total = 0, await db.run(left_to_refill, timeout_s=REFILL_LIMIT_S)
    on_progress(done, total)
    while True:
        count = await refill(db, embedder)
        done += count
        on_progress(done, max(done, total))
        if not count:
            if not await db.run(left_to_refill, timeout_s=REFILL_LIMIT_S):
                return done
            await asyncio.sleep(ANOTHER_S)


async def _take_over(db: Database, embedder: Embedder) -> None:
    """From now on stored vectors are of this model, and there are none yet."""
    wanted = f"{embedder.name}:{embedder.dimensions}"
    async with db.dedicated() as connection:
        try:
            if wanted == await connection.fetchval(query("setting"), "embedding"):
                return
            await embedder.embed_batch(["One that does not answer takes over nothing."])
            async with connection.transaction():
                # who starts meanwhile waits here, and reads what is new
                await connection.execute("lock table settings in access exclusive mode")
                if wanted == await connection.fetchval(query("setting"), "embedding"):
                    return
                if others := await connection.fetchval(query("others_connected")):
                    raise StoreUnavailable(
                        f"{others} connections of other Echoic processes are open: stop agents, workers and "
                        "talks, then run it again."
                    )
                await connection.execute(query("forget_vectors"))
                await connection.execute(
                    query("forget_fact_vectors"), np.zeros(embedder.dimensions, np.float32)
                )
                await connection.execute(query("put_setting"), "embedding", wanted)
                await connection.execute(query("put_setting"), "refilled_to", "0")
                # relations have vectors too: the graphs rest until the worker has entered them anew
                await connection.execute("update graph_groups set refreshed_at = null")
                await connection.execute(query("mark_all_graphs_behind"))
        except UNAVAILABLE as exc:
            raise StoreUnavailable(unreachable(exc)) from exc


async def reembed_all(settings: MemorySettings, on_progress: Progress) -> int:
    """`reembed` with the embedding model and on the database that the settings name.

    Raises:
        StoreUnavailable, ModelUnavailable: as `reembed`.
        ConfigInvalid: the settings name no model that works.
    """
    embedder = open_embedder(settings)
    db = Database(settings.database_url.get_secret_value(), timeout_s=settings.store_timeout_s)
    try:
        return await reembed(db, embedder, on_progress)
    finally:
        await db.close()
        await embedder.close()


async def refill_for_ever(db: Database, embedder: Embedder) -> None:
    """Fill in what is missing, then look once a minute: a process without all models may be at work."""
    while True:
        try:
            await begin_refill(db)
            while await refill(db, embedder):
                pass
        except MemoryFault as exc:
            log.info("refill.waits", extra={"error": type(exc).__name__})
        await asyncio.sleep(AGAIN_S)


async def begin_refill(db: Database) -> None:
    """Where `echoic[languages]` is installed: begin with what was embedded without it, if there is any.

    Raises:
        StoreUnavailable: try again later.
    """
    if e5.installed():
        await db.run(lambda connection: connection.execute(query("begin_refill")))


async def refill(db: Database, embedder: Embedder) -> int:
    """Embed one batch anew; returns how many texts that were, 0 when nothing is left or another is at it.

    Raises:
        StoreUnavailable, ModelUnavailable: try again later.
    """

    async def work(connection: Connection) -> int:
        at = await connection.fetchval(query("refilled_to"))
        if at is None:
            return 0
        rows = await connection.fetch(query("texts_to_refill"), int(at), e5.installed(), REFILL_BATCH)
        if not rows:
            await connection.execute("delete from settings where key = 'refilled_to'")
            log.info("refill.done")
            return 0
        vectors = await embed_each(embedder, [_text(row) for row in rows])
        for row, vector in zip(rows, vectors, strict=True):
            name = "refill_turn" if row["is_turn"] else "refill_fact"
            if vector is not None:  # else it is found by its words
                await connection.execute(query(name), row["ref"], vector, e5.installed())
        await connection.execute(query("put_setting"), "refilled_to", str(rows[-1]["place"]))
        return len(rows)

    return await db.transaction(work, timeout_s=REFILL_LIMIT_S)


def _text(row: asyncpg.Record) -> str:
    """Of a fact as it is shown, so that it is found by whom it is about."""
    return shown(row["text"] or "", about_from(json.loads(row["about"] or "null")))


async def left_to_refill(connection: Connection) -> int:
    """How many texts have no numbers yet of a model that is there; of millions it takes a while."""
    at = await connection.fetchval(query("setting"), "refilled_to")
    return (
        0 if at is None else int(await connection.fetchval(query("count_to_refill"), int(at), e5.installed()))
    )
