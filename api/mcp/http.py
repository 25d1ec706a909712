"""The tools over streamable HTTP: each request carries its key, which says whose memory it is.

There are no sessions, and nothing is streamed: a key that was revoked is refused with the next request, and a
server that was started anew is missed by nobody.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from echoic.api.access.guard import USER_HEADER, Gate, Permission, id_in_header, sent_key
from echoic.api.access.keys import Access
from echoic.api.access.wall import open_wall
from echoic.api.config import ApiSettings
from echoic.api.edge import Edge
from echoic.api.mcp.server import PROFILE, Context, build_server
from echoic.api.mcp.tools import TOOLS
from echoic.api.problems import Problem, answer_with_problems
from echoic.api.routes import health
from echoic.memory.identity.ids import check_user_id
from echoic.memory.service import Memory

PATH = "/mcp"
_USER = "echoic.user_id"


@asynccontextmanager
async def endpoint(memory: Memory, gate: Gate) -> AsyncIterator[Route]:
    """The route, which answers while the block runs."""
    manager = StreamableHTTPSessionManager(build_server(memory, _user_of), json_response=True, stateless=True)
    ready = asyncio.Event()

    async def run() -> None:
        async with manager.run():
            ready.set()
            await asyncio.Event().wait()

    # a task of its own: the manager must end in the task in which it began
    running = asyncio.create_task(run(), name="mcp.manager")
    await ready.wait()
    try:
        yield Route(PATH, _Endpoint(manager, gate), methods=["POST"])  # nothing is streamed
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@asynccontextmanager
async def serving_mcp(memory: Memory, settings: ApiSettings) -> AsyncIterator[FastAPI]:
    """An app with this route, probes and metrics alone.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(health.router)
    answer_with_problems(app)
    app.add_middleware(Edge, host_names=settings.host_names)
    app.state.memory, app.state.gate = memory, Gate(memory, settings.rate_per_minute)
    app.state.wall = await open_wall(memory.db)
    async with endpoint(memory, app.state.gate) as route:
        app.router.routes.append(route)
        yield app


class _Endpoint:
    """Lets in who may ask, for one person's memory, and hands the message on."""

    def __init__(self, manager: StreamableHTTPSessionManager, gate: Gate) -> None:
        self._manager, self._gate = manager, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        access = await self._gate.identify(request, sent_key(request.headers))
        body = await request.body()
        needs, action = _asked(body)
        user_id = _named(request.headers, access)
        await self._gate.allow(access, request, needs, user_id, action)
        await self._manager.handle_request({**scope, _USER: user_id}, _again(body, receive), send)


def _named(headers: Headers, access: Access) -> str:
    """The person whom the key belongs to, or whom the header names.

    Raises:
        Problem: 400; nobody is named. 422: the header is not encoded. ConfigInvalid: this is nobody's id.
    """
    sent = headers.get(USER_HEADER)
    user_id = id_in_header(sent) if sent else access.user_id
    if user_id is None:
        detail = "Say whose memory this is in the header Echoic-User, or use a key of the role `user`."
        raise Problem(400, "user-needed", detail)
    check_user_id(user_id)
    return user_id


def _asked(body: bytes) -> tuple[Permission, str]:
    """What is to be allowed, and what the audit trail calls it; whether it is a message at all is looked at
    later."""
    try:
        message = json.loads(body)
        method, params = message["method"], message.get("params") or {}
        name = params.get("name") if method == "tools/call" else None
        if isinstance(name, str) and name in TOOLS:
            return TOOLS[name].needs, f"MCP {name}"
        if method == "resources/read":
            return "read", f"MCP {PROFILE}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return "read", f"POST {PATH}"


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, then whatever else comes of the connection."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return left.pop() if left else await receive()

    return receive_again


def _user_of(ctx: Context) -> str:
    request: Any = ctx.request
    user_id: str = request.scope[_USER]
    return user_id
