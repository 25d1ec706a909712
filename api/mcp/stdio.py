"""`echoic mcp`: one client, one user, over the process's own streams."""

import asyncio
import os
import signal

from mcp.server.stdio import stdio_server

from echoic.api.mcp.server import build_server
from echoic.memory.config import MemorySettings
from echoic.memory.service import Memory, open_memory


async def serve_stdio(settings: MemorySettings, user_id: str) -> None:
    """Serve this user's memory until the client closes the stream; standard output is the protocol's.

    SIGTERM and SIGINT end the process in here, once memory is closed.

    Raises:
        StoreUnavailable, SchemaMismatch: Postgres does not answer, or does not fit.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_memory(settings) as memory:
        serving = asyncio.create_task(_serve(memory, user_id), name="mcp.serve")
        stopping = asyncio.create_task(stopped.wait(), name="mcp.stop")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        os._exit(0)  # a thread waits for the client's next line, and nothing else would wake it
    stopping.cancel()
    await serving


async def _serve(memory: Memory, user_id: str) -> None:
    server = build_server(memory, lambda _: user_id)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
