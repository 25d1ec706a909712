"""`echoic api`: the app behind uvicorn, until it is stopped."""

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from echoic.api.app import serving
from echoic.api.channels.voice_notes import Hear
from echoic.api.config import LOOPBACK, ApiSettings
from echoic.api.edge import MOST_BODY_BYTES
from echoic.api.patience import Patient
from echoic.memory.config import MemorySettings
from echoic.memory.embedding.client import embedding_ready, open_shared_embedder
from echoic.memory.errors import ConfigInvalid
from echoic.memory.service import open_memory
from echoic.memory.settings.model_files import ModelShelf

log = logging.getLogger("echoic.api")
PARTING_S = 3
"""Streams of events never end by themselves."""
KEEP_S = 20
"""For a further request on a connection. Clients keep theirs for 5 s (httpx) or 15 (aiohttp): a server that
hangs up first may do so just as they ask again, and they read nothing."""
BACKLOG = 2_048


async def serve(
    settings: MemorySettings,
    api: ApiSettings,
    *,
    development: bool,
    say: Callable[[str], None],
    shelf: ModelShelf | None = None,
    hear: Hear | None = None,
    memobase_alone: bool = False,
) -> None:
    """Serve the API until SIGINT or SIGTERM.

    Args:
        development: nobody needs a key; only on the loopback address, which no other machine reaches.
        say: told what runs where, and what does not.
        shelf: the model files of this machine.
        hear: its ears, for voice notes.
        memobase_alone: Memobase's interface, and no other.

    Raises:
        ConfigInvalid: the address cannot be used, or is open to others in development.
        StoreUnavailable, SchemaMismatch: Postgres does not answer, or does not fit.
        ModelUnavailable: the local embedding model does not start.
    """
    if development and api.host not in (*LOOPBACK, "::1"):
        raise ConfigInvalid("--dev lets everybody in, so it is for 127.0.0.1 only: make keys instead.")
    with _listening(api.host, api.port) as listener:
        async with (
            embedding_ready(settings),
            open_memory(settings, embedder=open_shared_embedder(settings)) as memory,
            serving(
                *(memory, api),
                development=development,
                shelf=shelf,
                hear=hear,
                memobase_alone=memobase_alone,
            ) as app,
        ):
            address = _address(listener)
            say(
                f"For Memobase's clients: project_url={address}, and an API key."
                if memobase_alone
                else f"The memory API is at {address}, its description at /v1/openapi.json."
            )
            say(
                "Development: whoever reaches this address may do everything, without a key."
                if development
                else "Every request needs a key: `echoic keys add`."
            )
            if not app.state.wall:
                say(
                    "No second wall: this database user may not make the role echoic_api. As a superuser: "
                    "`create role echoic_api; grant echoic_api to <user>;`."
                )
            await _run(app, listener)


async def serve_mcp(settings: MemorySettings, api: ApiSettings, *, say: Callable[[str], None]) -> None:
    """Serve the tools for MCP clients, and nothing else, until SIGINT or SIGTERM; raises as `serve`."""
    from echoic.api.mcp.http import PATH, serving_mcp  # needs the extra `mcp`

    with _listening(api.host, api.port) as listener:
        async with open_memory(settings) as memory, serving_mcp(memory, api) as app:
            say(f"The MCP server is at {_address(listener)}{PATH}; every request needs a key.")
            await _run(app, listener)


def configured(app: FastAPI) -> uvicorn.Config:
    """How the app is served."""
    return uvicorn.Config(
        app,
        http=Patient,
        log_config=None,
        access_log=False,  # paths hold user ids
        server_header=False,
        proxy_headers=False,  # anybody could name an address
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=PARTING_S,
        lifespan="off",
        ws_max_size=MOST_BODY_BYTES,
        ws_per_message_deflate=False,  # events are short, and what unpacks may be large
    )


async def _run(app: FastAPI, listener: socket.socket) -> None:
    await uvicorn.Server(configured(app)).serve(sockets=[listener])
    await asyncio.sleep(0)  # what was cancelled ends in the loop's next round


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, or asyncio leaves Nagle's algorithm on: each answer took 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as exc:
        listener.close()
        why = getattr(exc, "strerror", None) or type(exc).__name__
        raise ConfigInvalid(
            f"The API cannot listen at {host}:{port} ({why}): choose another address or port."
        ) from exc
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
