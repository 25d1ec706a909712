"""Embed everything again with another model: resumable, and never two models' vectors to one question.

While it runs, the setting `embedding` names no model at all, so every start is refused (memory/service.py:
check_embedding); the setting `reembedded_to` holds the last ref that is done. Both change in the transaction
that writes the vectors.

What was embedded by an older Echoic, or without `echoic[languages]`, has zeros where the numbers of a model
belong (memory/embedding/spaces.py), and is found as before at once. A worker fills them in; the setting
`refilled_to` holds the last ref that is done, and goes when all are.
"""

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from echoic.memory.config import MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding.embedder import Embedder, open_embedder
from echoic.memory.errors import MemoryFault, StoreUnavailable
from echoic.memory.store.database import UNAVAILABLE, Connection, Database, unreachable
from echoic.memory.store.queries import query

log = logging.getLogger("echoic.reembed")

LOCK = 0x656D6265  # "embe": one re-embedding at a time
BATCH = 256  # 1-2 s of local embedding: what a kill costs at most
UNFINISHED = " (unfinished)"
REFILL_BATCH = 64  # a second of embedding, behind all questions
REFILL_LIMIT_S = 120.0
AGAIN_S = 60.0

Progress = Callable[[int, int], None]
"""Called with (done, total) after each batch."""


async def reembed(db: Database, embedder: Embedder, on_progress: Progress = lambda done, total: None) -> int:
    """Give every turn and fact a vector of `embedder`; returns how many were embedded now.

    Killed, it continues where it stood.

    `db` must not run the start check, which refuses a half-done state. All other Echoic processes must be
    stopped.

    Raises:
        StoreUnavailable: Postgres cannot be reached, or other Echoic processes are connected.
        ModelUnavailable: the embedding endpoint does not answer; run it again.
    """
    async with db.dedicated() as connection:
        try:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", LOCK):
                raise StoreUnavailable("Another `echoic reembed` is running on this database: wait for it.")
            return await _Reembedding(connection, embedder).run(on_progress)
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


class _Reembedding:
    def __init__(self, connection: asyncpg.Connection, embedder: Embedder) -> None:
        self._connection, self._embedder = connection, embedder
        self._model = f"{embedder.name}:{embedder.dimensions}"

    async def run(self, on_progress: Progress) -> int:
        if await self._setting("embedding") == self._model:
            return 0
        at = await self._begin()
        done, total = 0, await self._connection.fetchval(query("count_after"), at)
        on_progress(done, total)
        while rows := await self._connection.fetch(query("texts_after"), at, BATCH):
            at = await self._embed(rows)
            done += len(rows)
            on_progress(done, max(done, total))
        await self._finish()
        log.info("reembed.done", extra={"rows": done})
        return done

    async def _begin(self) -> int:
        """The last ref that is done.

        The mark comes first and the look at others second: who connects in between sees the mark.
        """
        await self._refuse_others()
        resumed = await self._setting("embedding") == self._model + UNFINISHED
        at = int(await self._setting("reembedded_to") or 0) if resumed else 0
        async with self._connection.transaction():
            await self._put("embedding", self._model + UNFINISHED)
            await self._put("reembedded_to", str(at))
        await self._refuse_others()
        return at

    async def _embed(self, rows: list[asyncpg.Record]) -> int:
        vectors = await self._embedder.embed_batch([row["text"] or "" for row in rows])
        pairs = list(zip(rows, vectors, strict=True))
        async with self._connection.transaction():
            turns = [(row["ref"], vector) for row, vector in pairs if row["is_turn"]]
            facts = [(row["ref"], vector) for row, vector in pairs if not row["is_turn"]]
            await self._connection.executemany(query("replace_turn_vector"), turns)
            await self._connection.executemany(query("replace_fact_vector"), facts)
            await self._put("reembedded_to", str(rows[-1]["ref"]))
        return int(rows[-1]["ref"])

    async def _finish(self) -> None:
        async with self._connection.transaction():
            await self._put("embedding", self._model)
            await self._connection.execute(
                "delete from settings where key in ('reembedded_to', 'refilled_to')"
            )
            # relations have vectors too: the graphs rest until the worker has entered them anew
            await self._connection.execute("update graph_groups set refreshed_at = null")
            await self._connection.execute(query("mark_all_graphs_behind"))

    async def _refuse_others(self) -> None:
        if others := await self._connection.fetchval(query("others_connected")):
            raise StoreUnavailable(
                f"{others} connections of other Echoic processes are open: stop agents, workers and talks, "
                "then run it again."
            )

    async def _setting(self, key: str) -> str | None:
        value: str | None = await self._connection.fetchval("select value from settings where key = $1", key)
        return value

    async def _put(self, key: str, value: str) -> None:
        await self._connection.execute(query("put_setting"), key, value)


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
        vectors = await embedder.embed_batch([row["text"] or "" for row in rows])
        for row, vector in zip(rows, vectors, strict=True):
            name = "refill_turn" if row["is_turn"] else "refill_fact"
            await connection.execute(query(name), row["ref"], vector, e5.installed())
        await connection.execute(query("put_setting"), "refilled_to", str(rows[-1]["ref"]))
        return len(rows)

    return await db.transaction(work, timeout_s=REFILL_LIMIT_S)


async def left_to_refill(connection: Connection) -> int:
    """How many texts have no numbers yet of a model that is there."""
    at = await connection.fetchval("select value from settings where key = 'refilled_to'")
    if at is None:
        return 0
    return int(await connection.fetchval(query("count_to_refill"), int(at), e5.installed()))
