"""Stores for tests: one real Postgres and Redis a session, and a database of its own for each test.

The databases are copies of a migrated template. A real FalkorDB is there for those that ask for it.

And a real FalkorDB for those that ask for it.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from echoic.local.servers.graph_server import open_graph
from echoic.local.servers.stores import Stores, open_stores
from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings, load_settings
from echoic.memory.embedding import e5, minilm
from echoic.memory.embedding import embedder as embedder_module
from echoic.memory.embedding.embedder import LocalEmbedder

OWN_VARIABLES = ("ECHOIC_", "OPENAI_", "OLLAMA_", "LIVEKIT_", "DEEPGRAM_", "PG")
REDIS_DATABASES = 15  # beside 0, which is the template's, so to speak
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
_numbers = count(1)


@pytest.fixture(scope="session", autouse=True)
def model_loaded_once() -> Iterator[None]:
    """All embedders of this process share what is loaded from disk, which takes a second and 100 MB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minilm, "_load", cache(minilm._load))
        patch.setattr(embedder_module, "load_universal", cache(embedder_module.load_universal))
        patch.setattr(e5, "load_e5", cache(e5.load_e5))
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have keys and addresses set: no test may use them by accident."""
    for name in [name for name in os.environ if name.startswith(OWN_VARIABLES)]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """The session's embedded stores. Its database is the template: connect to `database_url` instead."""
    with _quick_folder(tmp_path_factory) as folder, open_stores(folder) as opened:
        _need_not_outlive_the_machine(opened)
        yield opened


@pytest.fixture
def database_url(stores: Stores) -> Iterator[str]:
    """An empty, migrated database of the test's own."""
    with new_database(stores) as url:
        yield url


@contextmanager
def new_database(stores: Stores) -> Iterator[str]:
    """The same, while the block runs."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(stores.database_url.replace("/echoic?", "/postgres?"), autocommit=True) as admin:
        admin.execute(f"create database {name} template echoic strategy file_copy")
        try:
            yield stores.database_url.replace("/echoic?", f"/{name}?")
        finally:
            admin.execute(f"drop database {name} with (force)")


@contextmanager
def _quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room.

    A database has 300 files: made for each test, that takes 25 ms there, and 80 to 300 on a disk (ext4).
    """
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        with TemporaryDirectory(prefix="echoic-tests-", dir=MEMORY) as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("stores")


def _need_not_outlive_the_machine(stores: Stores) -> None:
    """Only a machine without power loses something by it, and a database is made in half the time."""
    with psycopg.connect(stores.database_url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes"):
            admin.execute(f"alter system set {setting} = off")
        admin.execute("select pg_reload_conf()")


@pytest.fixture
def redis_url(stores: Stores) -> Iterator[str]:
    """An empty Redis database, the test's own while it runs."""
    url = stores.redis_url.replace("?db=0", f"?db={1 + next(_numbers) % REDIS_DATABASES}")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        try:
            yield url
        finally:
            client.flushdb()


@pytest.fixture(scope="session")
def falkordb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's embedded FalkorDB, started for the first test that asks for it.

    Its address is `unix:///…`, which redis-py's `from_url` takes. All tests share it, each with own groups.
    """
    with open_graph(tmp_path_factory.mktemp("graph")) as url:
        yield url


@pytest.fixture(scope="session")
def embedder() -> Iterator[LocalEmbedder]:
    """The local model in this process, for `open_memory(settings, embedder=embedder)`, loaded once."""
    shared = LocalEmbedder()
    shared.embed_now(["all is loaded"])
    closing, shared.close = shared.close, _stay_open  # type: ignore[method-assign]
    yield shared
    asyncio.run(closing())


async def _stay_open() -> None:
    """Closed by its fixture, not by the memories that use it."""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder of the test's own: spool and models, no stores."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def memory_settings(
    database_url: str, redis_url: str, data_dir: Path, clean_environment: None
) -> MemorySettings:
    """Settings that point at the test's own stores, with the local embedding model.

    A scripted model learns without a trial. Recall and stores may take what a busy machine needs: with the
    150 ms and 2 s that users have, what was not found was often only late.
    """
    return load_settings(
        recall_budget_ms=10_000,
        store_timeout_ms=10_000,
        database_url=database_url,
        redis_url=redis_url,
        data_dir=data_dir,
        embedding_model=LOCAL_EMBEDDING_MODEL,
        llm_grade="full",
    )
