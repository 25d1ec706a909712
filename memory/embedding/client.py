"""The embedder of a call process: asks the embedding server of this host, which is started if there is none
and ended if it hangs.

A question is never kept waiting for a start: it fails at once, is answered by words alone, and the next one
has a vector again.
"""

import asyncio
import hashlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

from echoic.memory.config import LOCAL_DIMENSIONS, LOCAL_EMBEDDING_MODEL, MemorySettings
from echoic.memory.embedding import e5
from echoic.memory.embedding.embedder import MAX_CHARS, Embedder, RemoteEmbedder, pulled_folder
from echoic.memory.embedding.files import whole_origin
from echoic.memory.embedding.hub_models import hub_model
from echoic.memory.embedding.minilm import MODEL_SHA256
from echoic.memory.embedding.spaces import Vector
from echoic.memory.embedding.universal import WEIGHTS_SHA256
from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable
from echoic.memory.hosting.daemon_client import Member
from echoic.memory.hosting.files import lock_holder, runtime_folder
from echoic.memory.hosting.runner import BACK_OFF_S
from echoic.memory.hosting.socket_servers import socket_path, socket_servers
from echoic.memory.hosting.wire import PING, VERSION, Connection, ServerLost, connect

log = logging.getLogger("echoic.embed")

GROUP = "embed"
TITLE = "The embedding server"
LINGER_S = 2.0  # one call often ends as the next begins; starting anew costs a second
# to connect takes 1 ms; longer means that it is being started, and a reply must not wait for that
QUESTION_PATIENCE_S = 0.1
BATCH_PATIENCE_S = 20.0
BATCH_TEXTS = 4  # 27 ms of one thread; a larger batch would keep others' waiting and gains nothing on a CPU
PING_S = 1.0
HUNG_S = 3.0  # a healthy server answers a ping within milliseconds however many questions wait
READY_S = 30.0  # loading takes 0.5 s, and tens of seconds on a machine that is busy tenfold
POLL_S = 0.02  # a look takes 0.1 ms


def open_shared_embedder(settings: MemorySettings) -> Embedder:
    """The embedder that the settings name; a local model is shared by all processes of this user on this
    host. Loads nothing.

    Raises:
        ConfigInvalid: unknown local model, or no folder for its socket.
    """
    if settings.embedding_url:
        return RemoteEmbedder(settings)
    if pulled := pulled_folder(settings):
        return SharedEmbedder(embedding_folder(pulled), settings.embedding_workers, pulled)
    return SharedEmbedder(embedding_folder(), settings.embedding_workers)


@asynccontextmanager
async def embedding_ready(settings: MemorySettings) -> AsyncIterator[None]:
    """The host's embedding server runs before the first question, and for as long as the block does.

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


def embedding_folder(pulled: Path | None = None) -> Path:
    """Where the host's embedding server has its socket: one for each user, set of models, and version of what
    is said on it.

    Args:
        pulled: the folder of a model that was pulled, instead of the local ones.

    Raises:
        ConfigInvalid: the folder belongs to somebody else or cannot be made, or no whole model is in it.
    """
    if pulled:
        told = f"{pulled.absolute()} {whole_origin(pulled)}"
        return runtime_folder(f"{GROUP}-{hashlib.sha256(told.encode()).hexdigest()[:12]}-{VERSION}")
    models = (MODEL_SHA256, WEIGHTS_SHA256, e5.MODEL_SHA256 if e5.installed() else "")
    return runtime_folder(f"{GROUP}-{''.join(one[:4] for one in models)}-{VERSION}")


def server_pid(folder: Path) -> int | None:
    """Process number of the embedding server; None when there is none."""
    return lock_holder(folder / f"{GROUP}.lock")


class SharedEmbedder:
    """The host's embedding server, as an embedder.

    It counts as a user of the server from first use until `close`.

    Args:
        threads: texts embedded at the same time; what the first user says holds until the server ends.
        pulled: the folder of a model that was pulled, instead of the local ones.
    """

    def __init__(self, folder: Path, threads: int, pulled: Path | None = None) -> None:
        program = ["echoic.memory.embedding.server", str(threads)]
        self.name, self.dimensions = LOCAL_EMBEDDING_MODEL, LOCAL_DIMENSIONS
        if pulled:
            model = hub_model(pulled.name)
            assert model is not None  # `pulled_folder` says so
            self.name, self.dimensions = pulled.name, model.dimensions
            program.append(str(pulled))
        self._folder, self._servers = folder, socket_servers(folder, TITLE, {GROUP: program})
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
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
        while self._connection is None:
            if isinstance(self._failure, ConfigInvalid):
                raise self._failure
            if time.monotonic() > deadline:
                raise ModelUnavailable(
                    f"{TITLE} did not answer within {limit_s:g} s: see {self._folder / GROUP}.log."
                )
            await asyncio.sleep(POLL_S)

    async def embed(self, text: str, *, across: bool = False) -> Vector:
        return (await self._ask([text], urgent=True, question=True, across=across))[0]

    async def embed_batch(self, texts: Sequence[str]) -> Vector:
        """Yields to single queries. If the server dies, waits for its restart and retries each part once."""
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
        try:
            return await self._ask(texts, urgent=False)
        except ServerLost:
            return await self._ask(texts, urgent=False)

    async def _ask(self, texts: Sequence[str], *, urgent: bool, **how: bool) -> Vector:
        """Vectors of some texts, shape (len(texts), dimensions)."""
        connection = await self._wait_connected(QUESTION_PATIENCE_S if urgent else BATCH_PATIENCE_S)
        asked = {"texts": [text[:MAX_CHARS] for text in texts], "urgent": urgent, **how}
        _, vectors = await connection.ask(asked)
        return np.frombuffer(vectors, "<f4").astype(np.float32).reshape(len(texts), self.dimensions)

    async def _wait_connected(self, patience_s: float) -> Connection:
        self._keep()
        if self._connection is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._connected.wait()
        if self._connection is None:
            raise ModelUnavailable(f"{TITLE} is being started.")
        return self._connection

    def _keep(self) -> None:
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep_connected(), name="embed.keep")

    async def _keep_connected(self) -> None:
        """Hold a connection for as long as this process lives, whatever happens to the server."""
        member, failures = Member(self._folder, GROUP, self._servers, LINGER_S), 0
        try:
            while True:
                pause_s = POLL_S
                try:
                    if await asyncio.to_thread(member.look) and await self._hold_connection():
                        failures = 0
                except (MemoryFault, OSError) as exc:
                    failures, self._failure = failures + 1, exc
                    pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
                    log.error(
                        "embed.server_unavailable", extra={"error": type(exc).__name__, "failures": failures}
                    )
                await asyncio.sleep(pause_s)
        finally:
            member.leave()

    async def _hold_connection(self) -> bool:
        """Connect to the server, and return when the connection is lost or the server hangs; False if it did
        not answer at all."""
        pid = server_pid(self._folder)
        try:
            connection = await connect(socket_path(self._folder, GROUP), TITLE)
        except OSError:
            return False  # its daemon is starting it again
        # before its questions fail: whoever asks again finds no dead connection
        connection.lost.add_done_callback(lambda _: self._forget(connection))
        try:
            if not await self._answers(connection, pid):
                return False
            self._connection, self._failure = connection, None
            self._connected.set()
            while await self._answers(connection, pid):
                await asyncio.wait({connection.lost}, timeout=PING_S)
        finally:
            self._forget(connection)
            connection.hang_up()
        self.restarts += 1
        log.warning("embed.server_lost", extra={"restarts": self.restarts})
        return True

    async def _answers(self, connection: Connection, pid: int | None) -> bool:
        """Whether the server answers; one that hangs is killed by one of its users, and started again by its
        daemon."""
        try:
            async with asyncio.timeout(HUNG_S):
                await connection.ask(PING)
            return True
        except ModelUnavailable:
            return False  # it has just ended
        except TimeoutError:
            log.error("embed.server_hung", extra={"pid": pid})
            if pid is not None and pid == server_pid(self._folder):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return False

    def _forget(self, connection: Connection) -> None:
        if self._connection is connection:
            self._connection = None
            self._connected.clear()
