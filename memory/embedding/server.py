"""The embedding server of one host: one model in memory for every call process, behind a Unix socket.

Questions go before batches, each first in first out; a batch never takes the last thread, so that a question
waits for questions only. It ends when its last user has left. Started by `memory/embedding/host.py`, spoken
to by `memory/embedding/client.py`.
"""

import asyncio
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from echoic.memory.embedding.wire import (
    BATCH,
    CANCEL,
    FAILED,
    PING,
    PONG,
    QUESTION,
    VECTORS,
    Frame,
    FrameInvalid,
    Frames,
    unpack_texts,
)
from echoic.memory.errors import MemoryFault

log = logging.getLogger("echoic.embed_server")

LINGER_S = 2.0  # one call often ends as the next begins; starting anew costs a second
FIRST_USER_S = 20.0  # whoever started it comes at once, or has died
STUCK_S = 30.0  # 16 texts take 0.1 s; a model that needs this long will not come back

Embed = Callable[[list[str]], bytes]
"""Texts -> their vectors, as little-endian float32, one after the other. Runs in a thread."""


@dataclass(slots=True, eq=False)
class _Request:
    user: "_User"
    number: int
    texts: list[str]
    is_batch: bool


class EmbedServer:
    """Everybody's requests, and the threads that work them off."""

    def __init__(
        self, embed: Embed, threads: int, *, linger_s: float = LINGER_S, first_user_s: float = FIRST_USER_S
    ) -> None:
        self._embed, self._threads, self._linger_s, self._first_user_s = (
            embed,
            threads,
            linger_s,
            first_user_s,
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._questions: deque[_Request] = deque()
        self._batches: deque[_Request] = deque()
        self._running = self._running_batches = 0
        self._users: set[_User] = set()
        self._leaving: asyncio.TimerHandle | None = None
        self._ended = asyncio.Event()

    async def run(self, socket: Path) -> None:
        """Serve on `socket` until nobody uses it any more; its file is gone before the last connection could
        be refused."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._ended.set)
        server = await loop.create_unix_server(lambda: _User(self), socket)
        self._leaving = loop.call_later(self._first_user_s, self._ended.set)
        try:
            await self._ended.wait()
        finally:
            _remove(socket)
            server.close()
            for user in list(self._users):
                user.hang_up()
            self._pool.shutdown(wait=False, cancel_futures=True)

    def come(self, user: "_User") -> None:
        self._users.add(user)
        if self._leaving is not None:
            self._leaving.cancel()

    def leave(self, user: "_User") -> None:
        """What it waited for is not computed any more."""
        self._users.discard(user)
        for queue in (self._questions, self._batches):
            for request in [request for request in queue if request.user is user]:
                queue.remove(request)
        if not self._users:
            self._leaving = asyncio.get_running_loop().call_later(self._linger_s, self._ended.set)

    def ask(self, request: _Request) -> None:
        (self._batches if request.is_batch else self._questions).append(request)
        self._start_next()

    def cancel(self, user: "_User", number: int) -> None:
        for queue in (self._questions, self._batches):
            for request in queue:
                if request.user is user and request.number == number:
                    queue.remove(request)
                    return

    def _start_next(self) -> None:
        while self._running < self._threads and (request := self._next()) is not None:
            self._running += 1
            self._running_batches += request.is_batch
            loop = asyncio.get_running_loop()
            stuck = loop.call_later(STUCK_S, _give_up)
            work = loop.run_in_executor(self._pool, self._embed, request.texts)
            work.add_done_callback(partial(self._done, request, stuck))

    def _next(self) -> _Request | None:
        if self._questions:
            return self._questions.popleft()
        if self._batches and self._running_batches < max(1, self._threads - 1):
            return self._batches.popleft()
        return None

    def _done(self, request: _Request, stuck: asyncio.TimerHandle, work: asyncio.Future[bytes]) -> None:
        stuck.cancel()
        self._running -= 1
        self._running_batches -= request.is_batch
        if work.cancelled():
            return
        if error := work.exception():
            log.error("embed.failed texts=%d error=%s", len(request.texts), type(error).__name__)
            request.user.send(Frame(FAILED, request.number))
        else:
            request.user.send(Frame(VECTORS, request.number, work.result()))
        self._start_next()


class _User(asyncio.Protocol):
    """One connection: one process that asks."""

    def __init__(self, server: EmbedServer) -> None:
        self._server, self._frames = server, Frames()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._server.come(self)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._hear(frame)
        except FrameInvalid as exc:
            log.warning("embed.frame_invalid reason=%s", exc)
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.leave(self)

    def send(self, frame: Frame) -> None:
        if self._transport is not None:  # else it has left meanwhile
            self._transport.write(frame.packed())

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _hear(self, frame: Frame) -> None:
        if frame.kind in (QUESTION, BATCH):
            self._server.ask(_Request(self, frame.number, unpack_texts(frame.body), frame.kind == BATCH))
        elif frame.kind == CANCEL:
            self._server.cancel(self, frame.number)
        elif frame.kind == PING:
            self.send(Frame(PONG, frame.number, str(os.getpid()).encode()))
        else:
            raise FrameInvalid(f"kind {frame.kind}")


def main() -> None:
    """`python -m echoic.memory.embedding.server FOLDER LOCK THREADS`, with the lock's open file handed down."""
    folder, lock, threads = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    # before there is any thread: the child is nobody's child, and its starter need not wait for it
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        embed = _load_model()
    except MemoryFault as exc:
        (folder / "failed").write_text(str(exc))
        raise SystemExit(str(exc)) from exc
    asyncio.run(EmbedServer(embed, threads).run(folder / "socket"))


def _load_model() -> Embed:
    from echoic.memory.embedding.embedder import LocalEmbedder  # not before the fork: numpy starts threads

    model = LocalEmbedder(workers=1)
    model.embed_now(["warm"])
    return lambda texts: model.embed_now(texts).astype("<f4").tobytes()


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)


def _give_up() -> None:
    """A thread cannot be ended; the next server starts with new ones."""
    log.error("embed.stuck after_s=%s", STUCK_S)
    os._exit(1)


if __name__ == "__main__":
    main()
