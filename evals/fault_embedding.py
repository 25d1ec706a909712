"""An embedding endpoint that may be slow, hang or be gone, with the model of this machine behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from echoic.memory.config import load_settings
from echoic.memory.embedding.embedder import Embedder, open_embedder

HOST = "127.0.0.1"


class Endpoint:
    """Answers `/v1/embeddings` after `delay_s`; never while it is halted, and it hangs up while it is cut."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self.delay_s = embedder, 0.0
        self._answering = asyncio.Event()
        self._answering.set()
        self._cut = False
        application = web.Application()
        application.router.add_post("/v1/embeddings", self._answer)
        self._runner = web.AppRunner(application, access_log=None)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._runner.addresses[0][1]}/v1"

    async def start(self) -> None:
        """Listen, on a port that the system chooses."""
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()

    def halt(self) -> None:
        """From now on nothing is answered; connections stay open."""
        self._answering.clear()

    def cut(self) -> None:
        """Hang up on whoever asks from now on."""
        self._cut = True

    def mend(self) -> None:
        """Answer again, at once."""
        self.delay_s, self._cut = 0.0, False
        self._answering.set()

    async def close(self) -> None:
        self.mend()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        asked = (await request.json())["input"]
        if self._cut and request.transport is not None:
            request.transport.abort()
        await self._answering.wait()
        await asyncio.sleep(self.delay_s)
        vectors = await self._embedder.embed_batch(asked)
        rows = [
            {"object": "embedding", "index": at, "embedding": vector.tolist()}
            for at, vector in enumerate(vectors)
        ]
        return web.json_response({"object": "list", "data": rows, "model": self._embedder.name})


@asynccontextmanager
async def embedding_endpoint() -> AsyncIterator[Endpoint]:
    """Started, on a port that the system chose."""
    embedder = open_embedder(load_settings(embedding_url=""))
    endpoint = Endpoint(embedder)
    await endpoint.start()
    try:
        yield endpoint
    finally:
        await endpoint.close()
        await embedder.close()
