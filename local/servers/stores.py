"""Postgres and Redis of one laptop: real servers of a data folder, shared by the processes that name it."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from echoic.local.paths import run_folder
from echoic.memory.errors import StoreStarting, StoreUnavailable
from echoic.memory.hosting.daemon_client import join_servers

ANSWERS_S = 15.0  # a Postgres that was killed replays its log first; one that hangs is not waited for longer
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the embedded stores listen; for `ECHOIC_DATABASE_URL` and `ECHOIC_REDIS_URL`."""

    database_url: str
    """Accepted by asyncpg and psycopg."""
    redis_url: str
    """Accepted by redis-py and arq."""
    data_dir: Path


@contextmanager
def open_stores(data_dir: Path) -> Iterator[Stores]:
    """Share the stores of `data_dir` (created if missing), with an up-to-date schema, until the block ends.

    The first process starts them, the last one to leave stops them, however each of them ends. Nobody but the
    owner of the folder can reach them.

    Raises:
        ConfigInvalid: the folder cannot be used, a wheel is missing, or this system cannot run them.
        StoreUnavailable: they did not start (a full disk, another program on the folder).
        SchemaMismatch: the database is newer than this code.
    """
    with open_servers(data_dir) as stores:
        migrate_now(stores.database_url)
        yield stores


@contextmanager
def open_servers(data_dir: Path) -> Iterator[Stores]:
    """`open_stores` with the schema as it is: for whoever restores it, or looks at an older one."""
    run_dir = run_folder(data_dir)
    with join_servers(run_dir, "stores", ["echoic.local.servers.stores_daemon", str(data_dir)]) as state:
        yield Stores(state.addresses["postgres"], state.addresses["redis"], data_dir)


def migrate_now(database_url: str) -> None:
    """Bring the schema up to date; in a thread of its own, so that it also works where an event loop is
    running.

    A Postgres that its daemon is just starting again is waited for.

    Raises:
        SchemaMismatch: the database is newer than this code.
        StoreUnavailable: it does not answer within 15 s.
    """
    from echoic.memory.store.migrate import migrate  # imports the drivers, which the daemon does without

    with ThreadPoolExecutor(1, thread_name_prefix="migrate") as thread:
        deadline = time.monotonic() + ANSWERS_S
        while True:
            try:
                thread.submit(asyncio.run, migrate(database_url)).result()
                return
            except StoreUnavailable as exc:
                is_starting = isinstance(exc, StoreStarting) or isinstance(exc.__cause__, OSError)
                if not is_starting or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)
