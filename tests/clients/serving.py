"""An app behind a real port, as `echoic api` and `echoic mcp --http` serve it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from echoic.api.server import configured


@asynccontextmanager
async def at_a_port(app) -> AsyncIterator[str]:
    """Its address, while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(configured(app))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
