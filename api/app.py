"""The app: its routes, its edge, and what they share while it serves."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.routing import Route

from echoic.api.access.door import Door
from echoic.api.access.guard import PREFIX, Gate
from echoic.api.access.wall import open_wall
from echoic.api.channels import characters, dify, whatsapp
from echoic.api.channels.voice_notes import Hear
from echoic.api.config import ApiSettings
from echoic.api.edge import Edge
from echoic.api.gateway import route as gateway
from echoic.api.gateway.model import Model
from echoic.api.mem0 import hosted, self_hosted
from echoic.api.memobase import routes as memobase
from echoic.api.problems import answer_with_problems
from echoic.api.routes import (
    episodes,
    facts,
    health,
    learning,
    links,
    people,
    profile,
    recall,
    system,
    talk,
    turns,
)
from echoic.api.routes.live import events, socket
from echoic.api.routes.setup import keys, models, providers
from echoic.api.routes.setup import settings as chosen
from echoic.api.schemas.common import PROBLEMS
from echoic.api.tasks import Tasks
from echoic.memory.chat.conversations import Conversations
from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.review.events import EventFeed
from echoic.memory.service import Memory
from echoic.memory.settings.model_files import ModelShelf

STATIC = Path(__file__).parent / "static"
PARTING_S = 3.0
"""Longest that the end waits for the last words of the gateway to be stored."""
DESCRIPTION = (
    "Look at, correct, export and forget what a voice agent remembers. Errors are problems (RFC 9457); lists "
    "have a `next` cursor; edits send the ETag that they read; creations may send an Idempotency-Key."
)


def make_app(settings: ApiSettings, *, memobase_alone: bool = False) -> FastAPI:
    """The app without a memory: enough for its OpenAPI document.

    Args:
        memobase_alone: it has Memobase's routes, and those that say how it is, and no others.
    """
    if memobase_alone:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        for part in (health, memobase):
            app.include_router(part.router)
        return _edged(app, settings)
    app = FastAPI(
        title="Echoic memory",
        version="1",
        description=DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    v1 = APIRouter(prefix=PREFIX, responses=PROBLEMS)
    parts = (
        *(people, links, turns, facts, profile, episodes, recall, learning, events),
        *(socket, talk, gateway, system),
    )
    for part in (*parts, chosen, providers, models, keys):
        v1.include_router(part.router)
    app.include_router(v1)
    for other in (health, hosted, self_hosted, memobase, whatsapp, characters, dify):
        app.include_router(other.router)
    _serve_page(app)
    return _edged(app, settings)


def _edged(app: FastAPI, settings: ApiSettings) -> FastAPI:
    answer_with_problems(app)
    app.add_middleware(Edge, host_names=settings.host_names, calls=Door.origins(os.environ))
    return app


@asynccontextmanager
async def serving(
    memory: Memory,
    settings: ApiSettings,
    *,
    development: bool = False,
    environment: MemorySettings | None = None,
    shelf: ModelShelf | None = None,
    hear: Hear | None = None,
    memobase_alone: bool = False,
) -> AsyncIterator[FastAPI]:
    """The app with everything that it needs, while the block runs.

    Args:
        development: whoever sends no key may do everything; for the loopback address alone.
        environment: the settings without what was set in the database; None: as the environment has them now.
        shelf: the model files of this machine; without it nothing is known of any.
        hear: the ears of this machine; without them voice notes are left alone.
        memobase_alone: see `make_app`.

    Raises:
        StoreUnavailable: Postgres does not answer.
        ConfigInvalid: a channel is set up by half.
    """
    app = make_app(settings, memobase_alone=memobase_alone)
    app.state.memory = memory
    app.state.wall = await open_wall(memory.db)
    app.state.gate = Gate(memory, settings.rate_per_minute, development=development)
    app.state.whatsapp = whatsapp.WhatsApp.of(settings, memory, hear)
    app.state.webhook_secret = settings.webhook_secret.get_secret_value()
    app.state.streams = asyncio.Semaphore(settings.streams)
    app.state.environment = environment or load_settings()
    app.state.shelf, app.state.tasks = shelf, Tasks()
    app.state.feed = EventFeed(memory.db)
    app.state.feed.start()
    app.state.model, app.state.conversations = Model(memory.settings), Conversations(memory, "gateway")
    try:
        async with AsyncExitStack() as opened:
            if not memobase_alone:
                app.router.routes.extend(await _mcp(memory, app.state.gate, opened))
            yield app
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_S):
                await app.state.conversations.settle()
        if app.state.whatsapp is not None:
            await app.state.whatsapp.close()
        await app.state.model.close()
        app.state.tasks.close()
        await app.state.feed.close()


async def _mcp(memory: Memory, gate: Gate, opened: AsyncExitStack) -> list[Route]:
    """The tools for MCP clients, where the extra is installed."""
    try:
        from echoic.api.mcp.http import endpoint
    except ImportError:
        return []
    return [await opened.enter_async_context(endpoint(memory, gate))]


def _serve_page(app: FastAPI) -> None:
    if not (STATIC / "index.html").exists():
        return
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")
