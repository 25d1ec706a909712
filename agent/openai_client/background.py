"""The event loop in which a process's open memory lives: clients of any thread and any loop hand their work
over to it."""

import asyncio
import concurrent.futures
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from echoic.agent.process_memory import SharedMemory, share_memory
from echoic.memory.chat.conversations import Conversations, Said
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.in_memory import InMemory
from echoic.memory.service import Memory

log = logging.getLogger("echoic.openai")
T = TypeVar("T")
Work = Callable[[Conversations], Coroutine[Any, Any, T]]
Opening = Callable[[], Awaitable[SharedMemory]]
NO_ADDRESS = (
    "ECHOIC_DATABASE_URL is not set: name a Postgres with pgvector, or start your program with `echoic run "
    "-- python …`, which brings one."
)
SETTLE_S, EXIT_S = 5.0, 7.0
"""Longest that a process waits at its end: for what was said to be durable, and in all. A database that hangs
takes two and a half seconds of it, until the disk has the words."""


class Background:
    """Memory in one loop; whatever is asked of it may be asked from anywhere."""

    def __init__(self, loop: asyncio.AbstractEventLoop, opening: Opening, settings: MemorySettings) -> None:
        """`settings` count until memory is open, and has its own."""
        self.loop, self.settings = loop, settings
        self._thread_id = 0
        self._conversations: Conversations | None = None
        self._early: list[Said] = []
        self._shared: SharedMemory | None = None
        self._opened: asyncio.Future[Conversations] = loop.create_future()
        self._opening = asyncio.run_coroutine_threadsafe(self._open(opening), loop)

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's own thread: who waits in it waits for nothing."""
        return self._thread_id == threading.get_ident()

    def submit(self, work: Work[T]) -> "concurrent.futures.Future[T]":
        """Do it once memory is open; what it raises is in the future."""
        return asyncio.run_coroutine_threadsafe(self._do(work), self.loop)

    def record(self, said: Said) -> None:
        """Have it stored; nobody waits."""
        self.loop.call_soon_threadsafe(self._record, said)

    async def _open(self, opening: Opening) -> None:
        self._thread_id = threading.get_ident()
        try:
            self._shared = await opening()
            if self._shared.fault:
                raise MemoryFault(self._shared.fault)  # the log has said it
        except BaseException as exc:
            log.error("openai.nothing_is_remembered", extra={"error": type(exc).__name__})
            self._opened.set_exception(exc)
            self._opened.exception()  # is read here: nobody else may ask
            return
        self.settings = self._shared.memory.settings
        self._conversations = Conversations(self._shared.memory, "openai")
        self._opened.set_result(self._conversations)
        for said in self._early:
            self._conversations.record_soon(said)

    def _record(self, said: Said) -> None:
        if self._conversations is not None:
            self._conversations.record_soon(said)
        elif not self._opened.done():
            self._early.append(said)

    async def _do(self, work: Work[T]) -> T:
        return await work(await asyncio.shield(self._opened))

    async def close(self) -> None:
        """Return when everything said is durable, or it took too long, and the stores are closed."""
        try:
            async with asyncio.timeout(SETTLE_S):
                await (await asyncio.shield(self._opened)).settle()
        except Exception as exc:
            log.warning("openai.not_settled", extra={"error": type(exc).__name__})
        if self._shared is not None:
            await self._shared.close()


class _Thread:
    """The loop of one process, in a thread that ends with it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.opened: dict[MemorySettings | None, Background] = {}
        """By the settings that were given; None: those of the environment."""
        threading.Thread(target=self.loop.run_forever, name="echoic.openai", daemon=True).start()
        # before threads can no longer be started, which is earlier than `atexit`
        getattr(threading, "_register_atexit", _no_exit)(self._leave)

    def _leave(self) -> None:
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(EXIT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def _close(self) -> None:
        await asyncio.gather(*(one.close() for one in self.opened.values()), return_exceptions=True)


_threads: dict[int, _Thread] = {}
"""Process -> its thread: one that was forked has none of its parent's."""
_starting = threading.Lock()


def background_of(settings: MemorySettings | None) -> Background:
    """The one of this process for these settings; None: those of the environment.

    Raises:
        ConfigInvalid: a setting is wrong, or Postgres' address is missing.
    """
    with _starting:
        thread = _thread()
        if settings not in thread.opened:
            now = settings or load_settings()
            if not now.database_url.get_secret_value():
                raise ConfigInvalid(NO_ADDRESS)
            thread.opened[settings] = Background(thread.loop, lambda: share_memory(settings), now)
        return thread.opened[settings]


def background_around(memory: Memory) -> Background:
    """One for a memory that is open: its connections belong to the loop that opened it.

    Raises:
        ConfigInvalid: no loop runs here.
    """

    async def opened() -> SharedMemory:
        return SharedMemory(memory)

    if isinstance(memory, InMemory):  # it has no connections
        with _starting:
            return Background(_thread().loop, opened, memory.settings)
    try:
        return Background(asyncio.get_running_loop(), opened, memory.settings)
    except RuntimeError:
        detail = "An open memory belongs to the event loop that opened it: wrap the client there."
        raise ConfigInvalid(detail) from None


def _thread() -> _Thread:
    if os.getpid() not in _threads:
        _threads[os.getpid()] = _Thread()
    return _threads[os.getpid()]


def _no_exit(_leave: Callable[[], None]) -> None:
    """This Python cannot be asked: what was handed over in the last moments may be missing."""
