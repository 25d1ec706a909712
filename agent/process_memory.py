"""One open memory for all sessions of a process that have the same settings; closed with the last of them."""

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.client import SharedEmbedder, open_shared_embedder
from echoic.memory.errors import MemoryFault
from echoic.memory.in_memory import open_in_memory
from echoic.memory.service import Memory, open_memory
from echoic.memory.settings.overrides import CALL_S, with_stored

log = logging.getLogger("echoic")

NO_ADDRESS = (
    "Nothing is remembered in this session: ECHOIC_DATABASE_URL is not set. Start your agent with `echoic "
    "run -- python src/agent.py dev`, which brings stores of its own, or name a Postgres with pgvector."
)

Key = tuple[asyncio.AbstractEventLoop, MemorySettings, bool]
"""Event loop, settings, and whether those of the database count before them."""


@dataclass(slots=True)
class _Open:
    memory: Memory
    stack: AsyncExitStack
    users: int = 0
    warming: asyncio.Task[None] | None = None


@dataclass(slots=True)
class SharedMemory:
    """One session's share in the memory of this process."""

    memory: Memory
    fault: str = ""
    """Why nothing is remembered, as a sentence; empty while all is well."""
    _key: Key | None = None
    _closed: bool = field(default=False)

    async def close(self) -> None:
        """Give the share back; the last one closes the stores."""
        if self._key is None or self._closed:
            return
        self._closed = True
        held = _open[self._key]
        held.users -= 1
        if not held.users:
            del _open[self._key]
            if held.warming is not None:
                held.warming.cancel()
            await held.stack.aclose()


_open: dict[Key, _Open] = {}
_opening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""Two sessions of a loop open one memory. What another loop is opening is no concern of theirs, and that loop
may be gone: a process that is forked meanwhile would wait for ever.
"""


async def share_memory(settings: MemorySettings | None = None) -> SharedMemory:
    """Open memory, or share what this process has open.

    Args:
        settings: None: those of the environment, with what was set in the database when it is opened.

    Never raises for stores that are away or settings that are wrong: the session then remembers for as long
    as it lasts, and `fault` says why.
    """
    given, settings = settings, settings or load_settings()
    if not settings.database_url.get_secret_value():
        log.error(NO_ADDRESS)
        return SharedMemory(open_in_memory(settings), NO_ADDRESS)
    loop = asyncio.get_running_loop()
    key = loop, settings, given is None
    try:
        async with _opening.setdefault(loop, asyncio.Lock()):
            held = _open.get(key)
            if held is None:
                held = await _opened(given or await with_stored(settings, limit_s=CALL_S))
            _open[key] = held
    except MemoryFault as exc:
        log.error("Nothing is remembered in this session: %s", exc)
        return SharedMemory(open_in_memory(settings), str(exc))
    held.users += 1
    return SharedMemory(held.memory, "", key)


async def _opened(settings: MemorySettings) -> _Open:
    stack = AsyncExitStack()
    embedder = open_shared_embedder(settings)
    memory = await stack.enter_async_context(open_memory(settings, embedder=embedder, need_stores=False))
    held = _Open(memory, stack)
    # the embedding server of this host takes a second to start: before the first question, not with it
    held.warming = asyncio.create_task(_warm(memory), name="memory.warm")
    return held


async def _warm(memory: Memory) -> None:
    try:
        if isinstance(memory.embedder, SharedEmbedder):  # a question would give up before it has started
            await memory.embedder.wait_ready()
        await memory.embedder.embed("hello")
    except MemoryFault as exc:
        log.info("embed.not_warm", extra={"error": type(exc).__name__})
