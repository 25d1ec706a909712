"""The Postgres pool; asyncpg's errors become ours here, and nothing waits longer than its hard limit."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TypeAlias, TypeVar

import asyncpg
import pgvector.asyncpg

from echoic.memory.clock import Clock, moment
from echoic.memory.errors import (
    MemoryFault,
    SchemaMismatch,
    StoreRefused,
    StoreStarting,
    StoreTimeout,
    StoreUnavailable,
)

log = logging.getLogger("echoic.db")
T = TypeVar("T")
STARTING_S, STARTING_POLL_S = 15.0, 0.2
"""A Postgres that was killed replays its log before it lets anybody in."""
PARTING_S = 0.5  # a healthy connection closes in a millisecond; a hung one is dropped
PAGE_ROWS, PAGE_S = 500, 15.0
"""Of a long reading: rows in memory at a time, and how long they may take."""
Connection: TypeAlias = asyncpg.Connection  # what a pool lends behaves like one
Check = Callable[[asyncpg.Connection], Awaitable[None]]

APPLICATION = "echoic"
"""Name of every connection in pg_stat_activity; `reembed` counts them."""

UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,  # disk full, out of memory
    asyncpg.PostgresSystemError,  # its files cannot be read or written
    asyncpg.InternalClientError,
    asyncio.TimeoutError,
)
"""What a driver raises when the store, not our statement, is at fault."""


class Database:
    """A bounded pool.

    `run` gives a connection to a function and drops that connection when the hard limit passes.
    """

    def __init__(
        self, url: str, *, pool_size: int = 4, timeout_s: float = 2.0, check: Check | None = None
    ) -> None:
        """`check` sees every new connection and raises when the database does not fit; nothing else is run on
        it before."""
        self._url, self._pool_size, self._timeout_s, self._check = url, pool_size, timeout_s, check
        self.clock = Clock()
        self.fence: Callable[[Connection], AbstractAsyncContextManager[object]] = nullcontext
        """Entered around what is run on a lent connection: the API's second wall between users."""
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._running: set[asyncio.Task] = set()
        self._answered = 0  # connections that were given back, their work done

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None) -> T:
        """Run `work(connection)` and return what it returns.

        A hung server does not answer a cancel either, so `asyncio.wait_for` would hang with it (measured:
        still blocked after 12 s). Past the limit the connection is terminated instead, which ends the
        statement at once on our side. The pool's hard limit is for the answer: who waits for a connection
        waits on while others are given back, since a crowd on a busy machine is no store that hangs.

        Raises:
            StoreTimeout: over `timeout_s` in all, or the pool's hard limit on a connection or waiting for one
                while none is given back.
            StoreUnavailable: not reachable, shutting down, or out of resources.
            StoreRefused: it answers, and this statement or value will not do.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        held: list[tuple[Connection, float]] = []
        task = asyncio.create_task(self._on_connection(work, held), name="db.run")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        now_s = asyncio.get_running_loop().time
        since_s = now_s()
        try:
            while not task.done() and (left_s := since_s + limit_s - now_s()) > 0:
                answered = self._answered
                await asyncio.wait({task}, timeout=left_s)
                if timeout_s is None and held:
                    since_s = held[0][1]  # when it was lent
                elif timeout_s is None and self._answered > answered:
                    since_s = now_s()
        except asyncio.CancelledError:
            self._abandon(task, held)
            raise
        if task.done():
            return task.result()
        self._abandon(task, held)
        raise StoreTimeout(f"Postgres did not answer within {limit_s:g} s")

    async def transaction(
        self, work: Callable[[Connection], Awaitable[T]], *, timeout_s: float | None = None
    ) -> T:
        """`run`, inside one transaction that is rolled back when `work` raises."""

        async def in_transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(in_transaction, timeout_s=timeout_s)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Snapshot"]:
        """One state of the database, to be read page by page; what is written meanwhile is not in it.

        Raises:
            StoreUnavailable: it cannot be reached.
        """
        async with _ended_as_begun(), AsyncExitStack() as stack:
            try:
                pool = await self._opened()
                connection = await stack.enter_async_context(pool.acquire())
                await stack.enter_async_context(
                    connection.transaction(isolation="repeatable_read", readonly=True)
                )
                await stack.enter_async_context(self.fence(connection))
            except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
                raise fault_of(exc) from exc
            yield Snapshot(connection)

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside the pool, for a session-level lock or LISTEN; closed at the end, by force if
        it hangs."""
        connection = await self._connect()
        try:
            await pgvector.asyncpg.register_vector(connection)
            await self._tell_time(connection)
            yield connection
        finally:
            await _part(connection)

    async def _connect(self) -> asyncpg.Connection:
        """Shielded: asyncpg leaks the socket of a connection whose making is cancelled."""
        making = asyncio.create_task(asyncpg.connect(self._url, timeout=self._timeout_s), name="db.connect")
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(_hang_up)
            raise
        except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
            raise fault_of(exc) from exc

    async def ping(self) -> None:
        """Return when Postgres answers.

        Raises:
            StoreUnavailable: it does not.
        """
        await self.run(lambda connection: connection.fetchval("select 1"))

    async def wait_started(self) -> None:
        """Return when Postgres answers; one that says that it is just starting is given a moment.

        Raises:
            StoreUnavailable: it does not answer.
        """
        deadline = asyncio.get_running_loop().time() + STARTING_S
        while True:
            try:
                return await self.ping()
            except StoreStarting:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(STARTING_POLL_S)

    async def close(self) -> None:
        """Close every connection; never waits for a hung server."""
        for task in list(self._running):
            task.cancel()
        pool, self._pool = self._pool, None
        if pool is None:
            return
        closing = asyncio.create_task(pool.close(), name="db.close")
        done, _ = await asyncio.wait({closing}, timeout=PARTING_S)
        if not done:
            pool.terminate()
            closing.cancel()
            closing.add_done_callback(_read_error)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the loop's next round

    async def _on_connection(
        self, work: Callable[[Connection], Awaitable[T]], held: list[tuple[Connection, float]]
    ) -> T:
        try:
            pool = await self._opened()
            # no timeout of its own, which costs a task: `run` has the limit
            async with pool.acquire() as connection:
                held.append((connection, asyncio.get_running_loop().time()))
                async with self.fence(connection):
                    result = await work(connection)
            self._answered += 1
            return result
        except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
            raise fault_of(exc) from exc

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._pool_size,
                    init=self._prepare,
                    timeout=self._timeout_s,
                    # nothing here changes a session, and the default reset costs each release a round trip
                    reset=_keep_session,
                    server_settings={"application_name": APPLICATION, "jit": "off"},
                )
            return self._pool

    async def _prepare(self, connection: asyncpg.Connection) -> None:
        await pgvector.asyncpg.register_vector(connection)
        if self._check is not None:
            await self._check(connection)
        await self._tell_time(connection)

    async def _tell_time(self, connection: asyncpg.Connection) -> None:
        asked_s = moment()
        self.clock.set(await connection.fetchval("select clock_timestamp()"), asked_s)

    def _abandon(self, task: asyncio.Task, held: list[tuple[Connection, float]]) -> None:
        for connection, _ in held:
            try:
                connection.terminate()
            except asyncpg.InterfaceError:
                log.debug("db.already_released")
        task.cancel()
        task.add_done_callback(_read_error)


class Snapshot:
    """What `Database.snapshot` gives."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str, *args: object) -> AsyncIterator[asyncpg.Record]:
        """The rows of a statement, of which a page at a time is in memory; as `pages`."""
        async for page in self.pages(sql, *args):
            for row in page:
                yield row

    async def pages(self, sql: str, *args: object) -> AsyncIterator[list[asyncpg.Record]]:
        """The rows of a statement, a page at a time.

        Raises:
            StoreTimeout: a page took longer than PAGE_S.
            StoreUnavailable: Postgres went away.
        """
        cursor = await self._within(self._connection.cursor(sql, *args))
        while page := await self._within(cursor.fetch(PAGE_ROWS)):
            yield page

    async def _within(self, asked: Awaitable[T]) -> T:
        """A hung server does not answer a cancel either: its connection is given up."""
        task = asyncio.ensure_future(asked)
        try:
            done, _ = await asyncio.wait({task}, timeout=PAGE_S)
            if done:
                return task.result()
        except (*UNAVAILABLE, asyncpg.PostgresError) as exc:
            raise fault_of(exc) from exc
        finally:
            if not task.done():
                self._connection.terminate()
                task.cancel()
                task.add_done_callback(_read_error)
        raise StoreTimeout(f"Postgres did not answer within {PAGE_S:g} s")


@asynccontextmanager
async def _ended_as_begun() -> AsyncIterator[None]:
    """A connection that was lost or given up cannot end its transaction: what befell it before is told."""
    try:
        yield
    except asyncpg.InterfaceError as exc:
        before: BaseException | None = exc
        while before is not None and not isinstance(before, MemoryFault):
            before = before.__context__
        raise before or fault_of(exc) from exc


async def _part(connection: asyncpg.Connection) -> None:
    """Say goodbye, or hang up."""
    try:
        await connection.close(timeout=PARTING_S)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
        await asyncio.sleep(0)


async def _keep_session(connection: asyncpg.Connection) -> None:
    """Leave the session as it is between two uses."""


SENTENCES: tuple[
    tuple[type[BaseException] | tuple[type[BaseException], ...], type[MemoryFault], str], ...
] = (
    (
        asyncpg.CannotConnectNowError,
        StoreStarting,
        "Postgres is just starting or stopping: try again in a moment.",
    ),
    (asyncpg.DiskFullError, StoreUnavailable, "The disk of Postgres is full: free some space."),
    (
        asyncpg.TooManyConnectionsError,
        StoreUnavailable,
        "Postgres has no connection left: raise max_connections.",
    ),
    (
        asyncpg.InsufficientResourcesError,
        StoreUnavailable,
        "Postgres has no memory or other means left for this.",
    ),
    (
        asyncpg.PostgresSystemError,
        StoreUnavailable,
        "Postgres cannot read or write its files: check its disk.",
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        StoreUnavailable,
        "This Postgres can only be read: name the primary.",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        StoreUnavailable,
        "Postgres refuses this user or password.",
    ),
    (
        asyncpg.InvalidCatalogNameError,
        StoreUnavailable,
        "Postgres has no database of this name: create it first.",
    ),
    (
        (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError),
        StoreTimeout,
        "Postgres gave up after its own limit.",
    ),
    (
        asyncpg.UndefinedTableError,
        SchemaMismatch,
        "The database has no Echoic tables yet: run `echoic migrate`.",
    ),
    (
        (asyncpg.DataCorruptedError, asyncpg.IndexCorruptedError),
        StoreRefused,
        "A part of the database is damaged on its disk: check the disk, and restore a backup.",
    ),
)
"""What a driver raises -> what that is for us, and what it means; the first that fits counts."""


def fault_of(exc: BaseException) -> MemoryFault:
    """A driver's error as ours, with a sentence that holds no words, rows or passwords."""
    for kind, fault, sentence in SENTENCES:
        if isinstance(exc, kind):
            return fault(f"{sentence} ({type(exc).__name__})")
    if isinstance(exc, UNAVAILABLE):
        return StoreUnavailable(
            f"Postgres cannot be reached ({type(exc).__name__}): check ECHOIC_DATABASE_URL, or run `echoic "
            "doctor`."
        )
    return StoreRefused(f"Postgres refuses this ({type(exc).__name__}).")


def unreachable(exc: BaseException) -> str:
    """The sentence of `fault_of`."""
    return str(fault_of(exc))


def _hang_up(making: asyncio.Task[asyncpg.Connection]) -> None:
    """Nobody waits for this connection any more."""
    if not making.cancelled() and making.exception() is None:
        making.result().terminate()


def _read_error(task: asyncio.Task) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.debug("db.abandoned_failed", extra={"error": type(task.exception()).__name__})
