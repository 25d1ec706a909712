"""Open everything that memory needs, wire it, and close it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import platformdirs

from memory.call_memory import CallMemory
from memory.config import MemorySettings
from memory.consent import ConsentStore
from memory.db import Connection, Database
from memory.embed import Embedder, open_embedder
from memory.errors import ConfigInvalid, MemoryFault, SchemaMismatch
from memory.facts import FactStore
from memory.graph_backend import GraphBackend, open_backend
from memory.graph_groups import GraphGroups
from memory.graph_types import TIER as GRAPH
from memory.jobs import JobQueue
from memory.migrate import check_schema
from memory.prompt import forget_texts
from memory.queries import query
from memory.recall import Recaller, Tier
from memory.recorder import Recorder
from memory.search import HybridSearch
from memory.spool import Spool
from memory.turns import TurnStore
from memory.types import Caller
from memory.versions import Versions
from memory.words import clean

log = logging.getLogger("echoic.memory")
MAX_USER_ID_CHARS = 200


@dataclass(slots=True)
class Memory:
    """Everything of one process: the stores, and how they are asked."""

    settings: MemorySettings
    db: Database
    embedder: Embedder
    turns: TurnStore
    facts: FactStore
    search: HybridSearch
    recaller: Recaller
    recorder: Recorder
    spool: Spool
    jobs: JobQueue
    versions: Versions
    consents: ConsentStore
    graph_groups: GraphGroups
    now: Callable[[], datetime]
    graph: GraphBackend | None = None
    """The graph server; None when the graph is off, or its settings are wrong."""
    graph_fault: str = ""
    """What is wrong with those settings, as a sentence."""
    calls: set[CallMemory] = field(default_factory=set)

    def forget_erased(self, user_id: str) -> None:
        """A person was erased: what this process holds of them goes too."""
        self.recaller.forget(user_id)
        self.search.forget(user_id)
        self.graph_groups.forget(user_id)
        forget_texts()
        for call in self.calls:
            if call.caller.user_id == user_id:
                call.recent.clear()

    def forget_items(self, user_id: str, ids: Collection[UUID]) -> None:
        """A person had some turns or facts forgotten: what this process holds of those goes too."""
        self.recaller.forget(user_id)
        self.search.forget_items(user_id, ids)
        self.graph_groups.forget(user_id)
        forget_texts()
        for call in self.calls:
            if call.caller.user_id == user_id:
                call.forget_items(ids)

    async def check_erased(self) -> None:
        """The same for what was erased or forgotten while no notice could be heard."""
        for call in list(self.calls):
            if await self.db.run(partial(_was_erased, call=call)):
                self.forget_erased(call.caller.user_id)
            if gone := await self.db.run(partial(_was_forgotten, call=call)):
                self.forget_items(call.caller.user_id, gone)

    async def open_call(self, caller: Caller, *, kept: bool = True) -> CallMemory:
        """Load what the call needs in process (two short reads). If the stores are down the call starts without, and says so.

        Args:
            kept: False for a caller who is nobody in particular: what is said is known to this call, and never written anywhere.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        call = self.start_call(caller, kept=kept)
        await call.wait_loaded()
        return call

    def start_call(self, caller: Caller, *, kept: bool = True) -> CallMemory:
        """As `open_call`, at once: what earlier calls said is read meanwhile, and turns recorded before wait for that.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        check_user_id(caller.user_id)
        call = CallMemory(self, caller, kept)
        call.load_soon()
        return call


@asynccontextmanager
async def open_memory(
    settings: MemorySettings,
    *,
    embedder: Embedder | None = None,
    need_stores: bool = True,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Memory]:
    """Open memory for one process, and close it without waiting for a hung store.

    Args:
        embedder: instead of the one that the settings name.
        need_stores: False lets a call begin while Postgres is down; it is checked as soon as it answers.
        now: tells what is still true, and what "yesterday" is; for evals that ask about another day.

    Raises:
        ConfigInvalid: Postgres' address is missing, or a setting is wrong. A graph that cannot be used (no address or two of them, a
            server that refuses us or does not answer) is no reason: it is logged, and calls go on without it.
        SchemaMismatch: the database is older or newer than this code, or holds vectors of another embedding model.
        StoreUnavailable: Postgres does not answer, and `need_stores`.
    """
    if not settings.database_url.get_secret_value():
        raise ConfigInvalid("ECHOIC_DATABASE_URL is not set: name a Postgres with pgvector, or use `echoic …`, which starts one.")
    if embedder is None:
        embedder = await asyncio.to_thread(open_embedder, settings)  # a second of loading must not stop the others' calls
    memory = _wire(settings, embedder, now)
    greeting = asyncio.create_task(_greet(memory.graph), name="graph.greet") if memory.graph is not None else None
    try:
        if need_stores:
            await memory.db.ping()
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


def check_user_id(user_id: str) -> None:
    """Raises ConfigInvalid unless the id is 1 to 200 characters of text that every store can hold."""
    if not user_id.strip() or len(user_id) > MAX_USER_ID_CHARS or clean(user_id) != user_id:
        raise ConfigInvalid(f"A user id is 1 to {MAX_USER_ID_CHARS} characters of text, without NUL; got {len(user_id)} characters.")


def spool_folder(settings: MemorySettings) -> Path:
    """Where turns wait while Postgres is down; it must be on a disk that survives a restart."""
    return (settings.data_dir or platformdirs.user_data_path("echoic", appauthor=False)) / "spool"


async def check_embedding(connection: Connection, embedder: Embedder) -> None:
    """Remember the embedding model of an empty database, and refuse to mix its vectors with another's.

    Raises:
        SchemaMismatch: the stored vectors come from another model or have another length.
    """
    wanted = f"{embedder.name}:{embedder.dimensions}"
    select = "select value from settings where key = 'embedding'"
    stored = await connection.fetchval(select)
    if stored is None:
        await connection.execute("insert into settings values ('embedding', $1) on conflict (key) do nothing", wanted)
        stored = await connection.fetchval(select)
    if stored != wanted:
        raise SchemaMismatch(
            f"The stored vectors are from {stored}, the settings say {wanted}: run `echoic reembed`, or set the embedding model back."
        )


async def _was_forgotten(connection: Connection, call: CallMemory) -> set[UUID]:
    rows = await connection.fetch(query("forgotten_since"), call.caller.user_id, call.began)
    return {row["id"] for row in rows} - call.gone


async def _was_erased(connection: Connection, call: CallMemory) -> bool:
    return bool(await connection.fetchval(query("is_void"), call.caller.user_id, call.began))


def _wire(settings: MemorySettings, embedder: Embedder, now: Callable[[], datetime]) -> Memory:
    async def fits(connection: Connection) -> None:
        await check_schema(connection)
        await check_embedding(connection, embedder)

    url = settings.database_url.get_secret_value()
    db = Database(url, pool_size=settings.database_pool_size, timeout_s=settings.store_timeout_s, check=fits)
    turns, facts, versions = TurnStore(db, embedder), FactStore(db, now=now), Versions(db)
    spool = Spool(spool_folder(settings))
    search = HybridSearch(db, versions)
    groups, (backend, fault) = GraphGroups(db, versions), _graph(settings)
    recaller = Recaller(_tiers(search, backend, groups), embedder, versions, settings, extras=(GRAPH,), now=now)
    jobs = JobQueue(settings.redis_url.get_secret_value(), idle_s=settings.learn_idle_s)
    recorder = Recorder(turns, spool, on_embedded=search.embedded)
    consents = ConsentStore(db)
    memory = Memory(settings, db, embedder, turns, facts, search, recaller, recorder, spool, jobs, versions, consents, groups, now)
    memory.graph, memory.graph_fault = backend, fault
    versions.on_erased, versions.on_gap, versions.on_forgotten = memory.forget_erased, memory.check_erased, memory.forget_items
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
    from memory.graph import GraphTier  # only who has a graph needs it

    return [search, GraphTier(backend, groups)]


async def _greet(backend: GraphBackend) -> None:
    """Connect before the first question does, and say what is wrong: a password, an address, a version."""
    try:
        await backend.ping()
    except MemoryFault as exc:
        log.warning("graph.not_usable", extra={"backend": backend.name, "reason": str(exc)})
