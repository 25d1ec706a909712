"""Open everything that memory needs, wire it, close it; and what one call sees of it."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import platformdirs

from memory.config import MemorySettings
from memory.db import Connection, Database
from memory.embed import Embedder, open_embedder
from memory.errors import ConfigInvalid, MemoryFault, SchemaMismatch
from memory.facts import FactStore
from memory.jobs import JobQueue
from memory.migrate import check_schema
from memory.prompt import estimate_tokens
from memory.queries import query
from memory.recall import Recaller
from memory.recent import PROFILE_FACTS, TURNS_BEFORE, TURNS_NOW, RecentTurns
from memory.recorder import Recorder
from memory.search import HybridSearch
from memory.spool import Spool
from memory.turns import TurnStore, turn_id_for
from memory.types import Caller, Recall, Role, Turn
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
    recaller: Recaller
    recorder: Recorder
    spool: Spool
    jobs: JobQueue
    versions: Versions
    calls: "set[CallMemory]" = field(default_factory=set)

    def forget_erased(self, user_id: str) -> None:
        """A person was erased: what this process holds of them goes too."""
        self.recaller.forget(user_id)
        for call in self.calls:
            if call.caller.user_id == user_id:
                call.recent.clear()

    async def check_erased(self) -> None:
        """The same for erasures whose notice could not be heard."""
        for call in list(self.calls):
            if await self.db.run(partial(_was_erased, call=call)):
                self.forget_erased(call.caller.user_id)

    async def open_call(self, caller: Caller) -> "CallMemory":
        """Load what the call needs in process (two short reads). If the stores are down the call starts without, and says so.

        Raises:
            ConfigInvalid: the user id is empty or too long.
        """
        check_user_id(caller.user_id)
        call = CallMemory(self, caller)
        await call.load()
        return call


@dataclass(slots=True, eq=False)
class CallMemory:
    """The memory of one call: recall for each question, one durable row for each turn."""

    memory: Memory
    caller: Caller
    recent: RecentTurns = field(default_factory=RecentTurns)
    loaded: bool = False
    """False: the stores were down when the call began; what earlier calls said may be missing from tier 1."""
    load_ms: float = 0.0
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _next_position: int = 0
    _unrecorded: dict[str, Turn] = field(default_factory=dict)
    _turns_waiting: int = 0
    _tokens_waiting: int = 0
    _jobs: set[asyncio.Task] = field(default_factory=set)

    async def load(self) -> None:
        """Fill tier 1 with the last turns and the profile."""
        began = time.perf_counter()
        self.memory.versions.own(self.caller.call_id, self.caller.user_id)
        self.memory.calls.add(self)
        try:
            before, profile, now = await asyncio.gather(
                self.memory.turns.before(self.caller, TURNS_BEFORE),
                self.memory.facts.profile(self.caller, PROFILE_FACTS),
                self.memory.turns.of_call(self.caller, TURNS_NOW),
            )
        except MemoryFault as exc:
            log.warning("call.not_loaded", extra={"error": type(exc).__name__})
            return
        self.recent.load(before, profile, now)
        self._next_position = max((turn.position + 1 for turn in now), default=0)
        self.loaded = True
        self.load_ms = round((time.perf_counter() - began) * 1000, 3)

    async def recall(
        self, text: str, *, context_item_ids: Collection[str] = (), previous_user_text: str = "", budget_s: float | None = None
    ) -> Recall:
        """What is remembered for these words, within the budget; never raises a memory fault.

        Args:
            context_item_ids: ids of the conversation items that the model sees anyway.
            previous_user_text: the caller's words before these.
        """
        context = {self._turn_id(item_id) for item_id in context_item_ids}
        return await self.memory.recaller.recall(
            self.caller, text, self.recent, context=context, previous=previous_user_text, budget_s=budget_s
        )

    def prefetch(self, text: str, *, previous_user_text: str = "") -> None:
        """Start looking up words that are still being spoken; returns at once."""
        self.memory.recaller.prefetch(self.caller, text, self.recent, previous=previous_user_text)

    async def record(self, item_id: str, role: Role, text: str, said_at: datetime | None = None, interrupted: bool = False) -> Turn:
        """Return when the turn is durable: its row committed, or its line in the spool fsynced. The same item is stored once.

        Raises:
            StoreUnavailable: neither could take it; the turn is still known to this call.
        """
        turn = self._unrecorded.get(item_id) or self._take_over(item_id, role, text, said_at, interrupted)
        recorded = await self.memory.recorder.record(turn)
        self._unrecorded.pop(item_id, None)
        if recorded:
            self._in_background(self._enqueue(turn), "call.enqueue")
        return turn

    async def end(self) -> None:
        """The call is over: have its turns learned at once, stop its lookups, forget tier 1."""
        await self.memory.jobs.enqueue_learn(self.caller.user_id, hurry=True)
        self.memory.recaller.forget_call(self.caller)
        self.memory.versions.disown(self.caller.call_id)
        self.memory.calls.discard(self)
        for task in list(self._jobs):
            await task

    def _take_over(self, item_id: str, role: Role, text: str, said_at: datetime | None, interrupted: bool) -> Turn:
        """Give the item its place in the call, once, however often it has to be recorded."""
        turn = Turn(
            turn_id=self._turn_id(item_id),
            user_id=self.caller.user_id,
            agent_id=self.caller.agent_id,
            call_id=self.caller.call_id,
            position=self._next_position,
            role=role,
            text=clean(text),
            said_at=said_at or datetime.now(UTC),
            interrupted=interrupted,
        )
        self._next_position += 1
        self.recent.add(turn)
        self._unrecorded[item_id] = turn
        return turn

    async def _enqueue(self, turn: Turn) -> None:
        """Learning begins after a pause, or at once when a whole batch waits."""
        settings = self.memory.settings
        self._turns_waiting += 1
        self._tokens_waiting += estimate_tokens(turn.text)
        full = self._turns_waiting >= settings.learn_turns or self._tokens_waiting >= settings.learn_tokens
        if await self.memory.jobs.enqueue_learn(self.caller.user_id, hurry=full) and full:
            self._turns_waiting = self._tokens_waiting = 0

    def _turn_id(self, item_id: str) -> UUID:
        return turn_id_for(self.caller.call_id, item_id)

    def _in_background(self, work: Coroutine[Any, Any, object], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)


@asynccontextmanager
async def open_memory(settings: MemorySettings, *, embedder: Embedder | None = None, need_stores: bool = True) -> AsyncIterator[Memory]:
    """Open memory for one process, and close it without waiting for a hung store.

    Args:
        embedder: instead of the one that the settings name.
        need_stores: False lets a call begin while Postgres is down; it is checked as soon as it answers.

    Raises:
        ConfigInvalid: an address is missing, or a setting is wrong.
        SchemaMismatch: the database is older or newer than this code, or holds vectors of another embedding model.
        StoreUnavailable: Postgres does not answer, and `need_stores`.
    """
    if not settings.database_url.get_secret_value():
        raise ConfigInvalid("ECHOIC_DATABASE_URL is not set: name a Postgres with pgvector, or use `echoic …`, which starts one.")
    if embedder is None:
        embedder = await asyncio.to_thread(open_embedder, settings)  # a second of loading must not stop the others' calls
    memory = _wire(settings, embedder)
    try:
        if need_stores:
            await memory.db.ping()
            await memory.recorder.wait_replayed()
        memory.versions.start()
        memory.recorder.replay_soon()
        yield memory
    finally:
        await memory.recaller.close()
        await memory.recorder.close()
        await memory.versions.close()
        await memory.jobs.close()
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


async def _was_erased(connection: Connection, call: CallMemory) -> bool:
    return bool(await connection.fetchval(query("is_void"), call.caller.user_id, call.began))


def _wire(settings: MemorySettings, embedder: Embedder) -> Memory:
    async def fits(connection: Connection) -> None:
        await check_schema(connection)
        await check_embedding(connection, embedder)

    url = settings.database_url.get_secret_value()
    db = Database(url, pool_size=settings.database_pool_size, timeout_s=settings.store_timeout_s, check=fits)
    turns, facts, versions = TurnStore(db, embedder), FactStore(db), Versions(db)
    spool = Spool(spool_folder(settings))
    recaller = Recaller([HybridSearch(db)], embedder, versions, settings)
    jobs = JobQueue(settings.redis_url.get_secret_value(), idle_s=settings.learn_idle_s)
    memory = Memory(settings, db, embedder, turns, facts, recaller, Recorder(turns, spool), spool, jobs, versions)
    versions.on_erased, versions.on_gap = memory.forget_erased, memory.check_erased
    return memory
