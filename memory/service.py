"""Open everything that memory needs, wire it, and close it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from threading import Thread

from echoic.memory.call import CallMemory, start_call
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.embedder import Embedder, open_embedder
from echoic.memory.errors import ConfigInvalid, MemoryFault, SchemaMismatch
from echoic.memory.graph.backend import GraphBackend, open_backend
from echoic.memory.graph.groups import GraphGroups
from echoic.memory.hosting.one_thread import compute_on_one_thread
from echoic.memory.privacy.forget import PostgresForgetter
from echoic.memory.profile.slots import configured
from echoic.memory.recall.facts_tier import HybridSearch
from echoic.memory.recall.pending import Tier
from echoic.memory.recall.recaller import Recaller
from echoic.memory.settings.links import LinkStore
from echoic.memory.settings.personal import PersonalStore
from echoic.memory.store.consent import ConsentStore
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import FactStore
from echoic.memory.store.jobs import JobQueue
from echoic.memory.store.migrate import check_schema
from echoic.memory.store.recorder import Recorder
from echoic.memory.store.spool import Spool
from echoic.memory.store.turns import TurnStore
from echoic.memory.store.versions import Versions
from echoic.memory.stores import Stores
from echoic.memory.text.dates.words import time_words
from echoic.memory.text.words import asked_terms, is_small_talk
from echoic.memory.types import GRAPH_TIER, Caller

log = logging.getLogger("echoic.memory")


class Memory(Stores):
    """The memory of one process; made by `open_memory`."""

    __slots__ = ()

    async def open_call(self, caller: Caller, *, persistent: bool = True) -> CallMemory:
        """Load what the call needs in process (two short reads).

        If the stores are down the call starts without, and says so.

        Args:
            persistent: False for an anonymous caller: what is said is known to this call, and never written.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        call = self.start_call(caller, persistent=persistent)
        await call.wait_loaded()
        return call

    def start_call(self, caller: Caller, *, persistent: bool = True) -> CallMemory:
        """As `open_call`, at once: what earlier calls said is read meanwhile, and turns recorded before wait
        for that.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        return start_call(self, caller, persistent=persistent)


@asynccontextmanager
async def open_memory(
    settings: MemorySettings,
    *,
    embedder: Embedder | None = None,
    need_stores: bool = True,
    now: Callable[[], datetime] | None = None,
) -> AsyncIterator[Memory]:
    """Open memory for one process, and close it without waiting for a hung store.

    From then on numpy computes on one thread in this process (`compute_on_one_thread` says why).

    Args:
        embedder: instead of the one that the settings name.
        need_stores: False lets a call begin while Postgres is down; it is checked as soon as it answers.
        now: tells what is still true, and what "yesterday" is, instead of the database's clock; for evals
            that ask about another day.

    Raises:
        ConfigInvalid: Postgres' address is missing, or a setting is wrong. A graph that cannot be used (no
            address or two of them, a server that refuses us or does not answer) is no reason: it is logged,
            and calls go on without it. SchemaMismatch: the database is older or newer than this code, or
            holds vectors of another embedding model. StoreUnavailable: Postgres does not answer, and
            `need_stores`.
    """
    if not settings.database_url.get_secret_value():
        raise ConfigInvalid(
            "ECHOIC_DATABASE_URL is not set: name a Postgres with pgvector, or use `echoic …`, which starts "
            "one."
        )
    configured(settings.profile_file)
    compute_on_one_thread()
    if embedder is None:
        # a second of loading must not stop the others' calls
        embedder = await asyncio.to_thread(open_embedder, settings)
    memory = _wire(settings, embedder, now)
    greeting = (
        asyncio.create_task(_greet(memory.graph), name="graph.greet") if memory.graph is not None else None
    )
    try:
        if need_stores:
            await memory.db.wait_started()
            await memory.recorder.wait_replayed()
        memory.versions.start()
        memory.recorder.replay_soon()
        yield memory
    finally:
        await memory.recaller.close()
        await memory.search.close()
        await memory.recorder.close()
        await memory.versions.close()
        await memory.jobs.close()
        if greeting is not None:
            greeting.cancel()
            await asyncio.wait({greeting})
        if memory.graph is not None:
            await memory.graph.close()
        await memory.spool.close()
        await memory.db.close()
        await embedder.close()


def spool_folder(settings: MemorySettings) -> Path:
    """Where turns wait while Postgres is down; it must be on a disk that survives a restart."""
    return settings.folder / "spool"


async def check_embedding(connection: Connection, embedder: Embedder) -> None:
    """Remember the embedding model of an empty database, and refuse to mix its vectors with another's.

    Raises:
        SchemaMismatch: the stored vectors come from another model or have another length.
    """
    wanted = f"{embedder.name}:{embedder.dimensions}"
    select = "select value from settings where key = 'embedding'"
    stored = await connection.fetchval(select)
    if stored is None:
        await connection.execute(
            "insert into settings values ('embedding', $1) on conflict (key) do nothing", wanted
        )
        stored = await connection.fetchval(select)
    if stored != wanted:
        raise SchemaMismatch(
            f"The stored vectors are from {stored}, the settings say {wanted}: run `echoic reembed`, or set "
            "the embedding model back."
        )


def _read_patterns() -> None:
    time_words("")
    is_small_talk("yes")


def _wire(settings: MemorySettings, embedder: Embedder, now: Callable[[], datetime] | None) -> Memory:
    async def fits(connection: Connection) -> None:
        await check_schema(connection)
        await check_embedding(connection, embedder)

    url = settings.database_url.get_secret_value()
    db = Database(url, pool_size=settings.database_pool_size, timeout_s=settings.store_timeout_s, check=fits)
    now = db.clock.asked_at = now or db.clock.now
    turns, facts, versions = TurnStore(db, embedder), FactStore(db, now=now), Versions(db)
    spool = Spool(spool_folder(settings))
    search = HybridSearch(db, versions)
    groups, (backend, fault) = GraphGroups(db, versions), _graph(settings)
    asked_terms("")  # word lists are read now, in 0.1 s, and not while the first question waits
    Thread(target=_read_patterns, name="language patterns", daemon=True).start()  # 0.2 s more
    recaller = Recaller(
        _tiers(search, backend, groups),
        embedder,
        versions,
        settings,
        extras=(GRAPH_TIER,),
        across=search.may_hold_other_languages,
        held={search.name: search.answers_from_here},
        now=now,
    )
    jobs = JobQueue(settings.redis_url.get_secret_value(), idle_s=settings.learn_idle_s)
    recorder = Recorder(turns, spool, on_embedded=search.embedded, clock=db.clock)
    consents = ConsentStore(db)
    memory = Memory(
        settings,
        db,
        embedder,
        turns,
        facts,
        search,
        recaller,
        recorder,
        spool,
        jobs,
        versions,
        consents,
        groups,
        PostgresForgetter(db),
        now,
    )
    memory.graph, memory.graph_fault, memory.clock = backend, fault, db.clock
    memory.choices, memory.links = PersonalStore(db), LinkStore(db)
    versions.on_changed = search.read_changed
    versions.on_erased, versions.on_reconnect, versions.on_forgotten, versions.on_unlinked = (
        memory.forget_erased,
        memory.check_erased,
        memory.forget_items,
        memory.forget_links,
    )
    return memory


def _graph(settings: MemorySettings) -> tuple[GraphBackend | None, str]:
    """The graph; or why its settings are wrong: facts and turns answer without it."""
    try:
        return open_backend(settings), ""
    except ConfigInvalid as exc:
        log.error("graph.not_usable", extra={"backend": "none", "reason": str(exc)})
        return None, str(exc)


def _tiers(search: HybridSearch, backend: GraphBackend | None, groups: GraphGroups) -> list[Tier]:
    if backend is None:
        return [search]
    from echoic.memory.graph.tier import GraphTier  # only who has a graph needs it

    return [search, GraphTier(backend, groups)]


async def _greet(backend: GraphBackend) -> None:
    """Connect before the first question does, and say what is wrong: a password, an address, a version."""
    try:
        await backend.ping()
    except MemoryFault as exc:
        log.warning("graph.not_usable", extra={"backend": backend.name, "reason": str(exc)})
