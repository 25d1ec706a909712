"""What an older Echoic embedded gets its numbers for other languages, in the background.

The migration put zeros there, so that everything is found as before at once (0014_languages.sql); the setting
`refilled_to` holds the last ref that is done, and goes when all are.
"""

import asyncio
import logging

from echoic.memory.embedding.embedder import Embedder
from echoic.memory.errors import MemoryFault
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

log = logging.getLogger("echoic.refill")
BATCH = 64  # a second of embedding, behind all questions
LIMIT_S = 120.0
AGAIN_S = 60.0


async def refill_for_ever(db: Database, embedder: Embedder) -> None:
    """Fill in what is missing, then look once a minute: an older process may have been at work."""
    while True:
        try:
            while await refill(db, embedder):
                pass
        except MemoryFault as exc:
            log.info("refill.waits", extra={"error": type(exc).__name__})
        await asyncio.sleep(AGAIN_S)


async def refill(db: Database, embedder: Embedder) -> int:
    """Embed one batch anew; returns how many texts that were, 0 when nothing is left or another is at it.

    Raises:
        StoreUnavailable, ModelUnavailable: try again later.
    """

    async def work(connection: Connection) -> int:
        at = await connection.fetchval(query("refilled_to"))
        if at is None:
            return 0
        rows = await connection.fetch(query("texts_after"), int(at), BATCH)
        if not rows:
            await connection.execute("delete from settings where key = 'refilled_to'")
            log.info("refill.done")
            return 0
        vectors = await embedder.embed_batch([row["text"] or "" for row in rows])
        for row, vector in zip(rows, vectors, strict=True):
            name = "replace_turn_vector" if row["is_turn"] else "replace_fact_vector"
            await connection.execute(query(name), row["ref"], vector)
        await connection.execute(query("put_setting"), "refilled_to", str(rows[-1]["ref"]))
        return len(rows)

    return await db.transaction(work, timeout_s=LIMIT_S)


async def left_to_refill(connection: Connection) -> int:
    """How many texts are not yet found from other languages."""
    at = await connection.fetchval("select value from settings where key = 'refilled_to'")
    return 0 if at is None else int(await connection.fetchval(query("count_after"), int(at)))
