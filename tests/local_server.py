"""Servers for tests, in a thread of this process: agents of other processes may ask while a test waits."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import WSMsgType, web

LIMIT_S = 30.0
T = TypeVar("T")


class Server:
    """Serves HTTP and sockets while the block runs."""

    def __init__(self) -> None:
        self._changed, self._stop = asyncio.Condition(), asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(LIMIT_S), "the server did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def routes(self) -> list[web.RouteDef]:
        """What is served."""
        raise NotImplementedError

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the server's thread, to its end."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    async def note(self, kept: list[T], one: T) -> None:
        """Keep what arrived, and tell whoever waits for it; in the server's thread."""
        async with self._changed:
            kept.append(one)
            self._changed.notify_all()

    async def wait(self, true: Callable[[], bool], complaint: str, limit_s: float = LIMIT_S) -> None:
        """Return once it is true of what has arrived."""

        async def until() -> None:
            async with asyncio.timeout(limit_s), self._changed:
                await self._changed.wait_for(true)

        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(until(), self._loop))
        except TimeoutError:
            raise AssertionError(f"{complaint} within {limit_s:g} s") from None

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.add_routes(self.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._loop, self._port = asyncio.get_running_loop(), runner.addresses[0][1]
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()


async def messages_of(socket: web.WebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    """What the other side sends, until it leaves."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            yield json.loads(message.data)
