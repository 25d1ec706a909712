"""The embedder of a call process: asks the host's embedding server, and starts it again when it has died or
hangs.

A question is never kept waiting for a start: it fails at once, is answered by words alone, and the next one
has a vector again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

import numpy as np

from echoic.memory.config import LOCAL_EMBEDDING_MODEL, MemorySettings
from echoic.memory.embedding.embedder import (
    LOCAL_DIMENSIONS,
    MAX_CHARS,
    Embedder,
    RemoteEmbedder,
    Vector,
    check_local,
)
from echoic.memory.embedding.host import Host, open_host
from echoic.memory.embedding.wire import (
    BATCH,
    CANCEL,
    PING,
    PONG,
    QUESTION,
    VECTORS,
    Frame,
    FrameInvalid,
    Frames,
    pack_texts,
)
from echoic.memory.errors import ConfigInvalid, ModelUnavailable

log = logging.getLogger("echoic.embed")

QUESTION_PATIENCE_S = (
    0.1  # to connect takes 1 ms; longer means that it is being started, and a reply must not wait for that
)
BATCH_PATIENCE_S = 20.0
BATCH_TEXTS = 4  # 27 ms of one thread; a larger batch would keep others' waiting and gains nothing on a CPU
PING_S = 1.0
HUNG_S = 3.0  # a healthy server answers a ping within milliseconds however many questions wait
READY_S = 30.0  # loading takes 0.5 s, and tens of seconds on a machine that is busy tenfold
POLL_S = 0.02
BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 15.0)


def open_shared_embedder(settings: MemorySettings) -> Embedder:
    """The embedder that the settings name; a local model is shared by all processes of this user on this
    host. Loads nothing.

    Raises:
        ConfigInvalid: unknown local model, or no folder for its socket.
    """
    if settings.embedding_url:
        return RemoteEmbedder(settings)
    check_local(settings)
    return SharedEmbedder(open_host(settings.embedding_workers))


@asynccontextmanager
async def embedding_ready(settings: MemorySettings) -> AsyncIterator[None]:
    """For a worker: the host's embedding server runs before the first call, and for as long as the block
    does.

    Raises:
        ConfigInvalid, ModelUnavailable: it does not; a sentence says why.
    """
    embedder = open_shared_embedder(settings)
    try:
        if isinstance(embedder, SharedEmbedder):
            await embedder.wait_ready()
        yield
    finally:
        await embedder.close()


class SharedEmbedder:
    """The host's embedding server, as an embedder.

    It counts as a user of the server from first use until `close`.
    """

    name = LOCAL_EMBEDDING_MODEL
    dimensions = LOCAL_DIMENSIONS

    def __init__(self, host: Host) -> None:
        self._host = host
        self._link: _Link | None = None
        self._linked = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._failure: ConfigInvalid | None = None
        self.restarts = 0
        """How often the connection was lost and made anew."""

    async def wait_ready(self, limit_s: float = READY_S) -> None:
        """Return when the server answers; it is started if need be.

        For a worker's start, before there is a call.

        Raises:
            ConfigInvalid: it cannot run here; the sentence says why.
            ModelUnavailable: it did not answer within `limit_s` seconds.
        """
        self._keep()
        deadline = time.monotonic() + limit_s
        while self._link is None:
            if self._failure is not None:
                raise self._failure
            if time.monotonic() > deadline:
                raise ModelUnavailable(
                    f"The embedding server did not answer within {limit_s:g} s: see "
                    f"{self._host.folder / 'log'}."
                )
            await asyncio.sleep(POLL_S)

    async def embed(self, text: str) -> Vector:
        link = await self._connected(QUESTION_PATIENCE_S)
        return (await link.ask(QUESTION, [text]))[0]

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        """As questions leave room; a server that dies meanwhile is waited for and asked again, once a part."""
        parts = [texts[at : at + BATCH_TEXTS] for at in range(0, len(texts), BATCH_TEXTS)]
        vectors = [await self._embed_part(part) for part in parts]
        return np.concatenate(vectors) if vectors else np.empty((0, self.dimensions), np.float32)

    async def close(self) -> None:
        """Leave the server; the last one to leave lets it end."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None

    async def _embed_part(self, texts: Sequence[str]) -> Vector:
        link = await self._connected(BATCH_PATIENCE_S)
        try:
            return await link.ask(BATCH, texts)
        except ModelUnavailable:
            if not link.lost.done():
                raise
        return await (await self._connected(BATCH_PATIENCE_S)).ask(BATCH, texts)

    async def _connected(self, patience_s: float) -> "_Link":
        self._keep()
        if self._link is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._linked.wait()
        if self._link is None:
            raise ModelUnavailable("The embedding server of this host is being started.")
        return self._link

    def _keep(self) -> None:
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_linked(), name="embed.keep")

    async def _keep_linked(self) -> None:
        """Hold a connection for as long as this process lives, whatever happens to the server."""
        failures = 0
        while True:
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            try:
                link, pid = await self._join()
            except (ConfigInvalid, ModelUnavailable) as exc:
                failures += 1
                self._failure = exc if isinstance(exc, ConfigInvalid) else None
                log.error(
                    "embed.server_unavailable", extra={"error": type(exc).__name__, "failures": failures}
                )
                continue
            failures, self._failure = 0, None
            self._take(link)
            try:
                await self._watch(link, pid)
            finally:
                self._let_go(link)
                link.close()
            self.restarts += 1
            log.warning("embed.server_lost", extra={"restarts": self.restarts})

    def _take(self, link: "_Link") -> None:
        self._link = link
        # before its questions fail: whoever asks again finds no dead link
        link.lost.add_done_callback(lambda _: self._let_go(link))
        self._linked.set()

    def _let_go(self, link: "_Link") -> None:
        if self._link is link:
            self._link = None
            self._linked.clear()

    async def _join(self) -> tuple["_Link", int]:
        """Connect, and start the server if there is none.

        Raises:
            ConfigInvalid: it cannot run here.
            ModelUnavailable: it did not come up in time.
        """
        deadline, started = time.monotonic() + READY_S, False
        while time.monotonic() < deadline:
            if (joined := await self._try_to_connect()) is not None:
                return joined
            if started and (failure := self._host.failure()):
                raise ConfigInvalid(failure)
            if await asyncio.to_thread(self._host.start_if_none):
                if started:
                    raise ModelUnavailable(
                        f"The embedding server ended at its start: see {self._host.folder / 'log'}."
                    )
                started = True
            await asyncio.sleep(POLL_S)
        raise ModelUnavailable(f"The embedding server does not come up: see {self._host.folder / 'log'}.")

    async def _try_to_connect(self) -> "tuple[_Link, int] | None":
        """None when nobody listens.

        A server that accepts but does not answer is ended, so that the next can start.
        """
        pid = self._host.server_pid()
        try:
            _, link = await asyncio.get_running_loop().create_unix_connection(_Link, str(self._host.socket))
        except OSError:
            return None
        try:
            async with asyncio.timeout(HUNG_S):
                return link, await link.ping()
        except ModelUnavailable:
            return None  # it ended at this very moment
        except TimeoutError:
            link.close()
            self._end_hung(pid)
            return None
        except asyncio.CancelledError:
            link.close()
            raise

    async def _watch(self, link: "_Link", pid: int) -> None:
        """Return when the connection is lost; a server that does not answer pings is ended, by one of its
        users."""
        while not link.lost.done():
            try:
                async with asyncio.timeout(HUNG_S):
                    await link.ping()
            except ModelUnavailable:
                return
            except TimeoutError:
                self._end_hung(pid)
                return
            await asyncio.wait({link.lost}, timeout=PING_S)

    def _end_hung(self, pid: int | None) -> None:
        log.error("embed.server_hung", extra={"pid": pid})
        if pid is not None:
            self._host.end(pid)


class _Link(asyncio.Protocol):
    """One connection: questions under way, by number."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frames, self._numbers = Frames(), count()
        self._waiting: dict[int, asyncio.Future[Frame]] = {}
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                answer = self._waiting.pop(frame.number, None)
                if answer is not None and not answer.done():  # else nobody waits for it any more
                    answer.set_result(frame)
        except FrameInvalid:
            log.error("embed.frame_invalid")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(
                    ModelUnavailable("The embedding server ended; it is being started again.")
                )
        self._waiting.clear()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def ask(self, kind: int, texts: Sequence[str]) -> Vector:
        """Vectors of some texts, shape (len(texts), dimensions).

        Raises:
            ModelUnavailable: the connection is lost, or the model failed on these texts.
        """
        answer = await self._answer(kind, pack_texts([text[:MAX_CHARS] for text in texts]))
        if answer.kind != VECTORS or len(answer.body) != 4 * LOCAL_DIMENSIONS * len(texts):
            raise ModelUnavailable("The embedding server could not embed this text.")
        return np.frombuffer(answer.body, "<f4").astype(np.float32).reshape(len(texts), LOCAL_DIMENSIONS)

    async def ping(self) -> int:
        """Process number of the server, which is there.

        Raises ModelUnavailable when the connection is lost.
        """
        answer = await self._answer(PING, b"")
        if answer.kind != PONG or not answer.body.isdigit():
            raise ModelUnavailable("What listens there is not an embedding server.")
        return int(answer.body)

    async def _answer(self, kind: int, body: bytes) -> Frame:
        if self._transport is None:
            raise ModelUnavailable("The embedding server ended; it is being started again.")
        number = next(self._numbers) % 2**32
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._transport.write(Frame(kind, number, body).packed())
        try:
            return await answer
        except asyncio.CancelledError:
            self._waiting.pop(number, None)
            if self._transport is not None and kind != PING:
                self._transport.write(Frame(CANCEL, number).packed())
            raise
