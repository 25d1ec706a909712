"""Health that tells the truth: `GET /` is 200 only while a call could come in and be remembered.

LiveKit's own answer is OK as long as the process runs, also while neither LiveKit nor Postgres can be
reached. `GET /live` says only that the process runs: a platform should restart a worker by that one, since a
restart during an outage would end calls that go on well without Postgres.
"""

import asyncio
import logging
import time
from urllib.parse import urlparse

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from livekit.agents import AgentServer
from livekit.agents.utils.http_server import HttpServer

from echoic.memory.config import load_settings
from echoic.memory.errors import MemoryFault
from echoic.memory.store.database import Database

log = logging.getLogger("echoic.health")

LIMIT_S = (
    2.0  # a probe that gets no answer for this long counts as refused; platforms give up after a few seconds
)
FRESH_S = 1.0  # however often it is asked, the stores are asked once a second


class HealthyServer(AgentServer):
    """LiveKit's server, with an honest `GET /`."""

    async def run(self, *, devmode: bool = False, unregistered: bool = False) -> None:
        """Serve calls until told to stop.

        `unregistered` workers take none from LiveKit, and are healthy without it.
        """
        self._needs_livekit = not unregistered
        self._database = Database(
            load_settings().database_url.get_secret_value(), pool_size=1, timeout_s=LIMIT_S
        )
        self._checking = asyncio.Lock()
        self._checked: tuple[float, list[str]] = (float("-inf"), [])
        try:
            await super().run(devmode=devmode, unregistered=unregistered)
        finally:
            await self._database.close()

    async def problems(self) -> list[str]:
        """What keeps this worker from taking calls or remembering them now, as sentences; empty when all is
        well."""
        async with self._checking:
            checked_at, found = self._checked
            if time.monotonic() - checked_at > FRESH_S:
                answers = await asyncio.gather(self._livekit_problem(), self._database_problem())
                found = [answer for answer in answers if answer]
                self._note(found)
                self._checked = (time.monotonic(), found)
        return found

    def _note(self, found: list[str]) -> None:
        if bool(found) != bool(self._checked[1]):
            log.warning("health.changed", extra={"healthy": not found, "problems": found})

    async def _livekit_problem(self) -> str:
        if not self._needs_livekit:
            return ""
        # private, and LiveKit is pinned: no event tells of a lost connection
        if self.id == "unregistered" or self._connecting:
            return "LiveKit: this worker is not registered."
        address = urlparse(self._ws_url)._replace(path="/", query="")
        url = address._replace(
            scheme={"ws": "http", "wss": "https"}.get(address.scheme, address.scheme)
        ).geturl()
        try:  # a server whose machine is gone is noticed by the connection itself only after 45 s
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session,
                session.get(url),
            ):
                return ""
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return f"LiveKit: the server does not answer ({type(exc).__name__})."

    async def _database_problem(self) -> str:
        try:
            await self._database.ping()
        except MemoryFault as exc:
            return f"Postgres: it does not answer ({type(exc).__name__})."
        return ""

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(text="OK")

    @web.middleware
    async def _honestly(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.path == "/" and response.status == 200 and (found := await self.problems()):
            return web.Response(status=503, text="\n".join(found) + "\n")
        return response

    # LiveKit makes its HTTP server inside run() and starts it there: as it is set, its application is still
    # open.
    @property
    def _http_server(self) -> HttpServer | None:
        return self.__dict__.get("_opened_http_server")

    @_http_server.setter
    def _http_server(self, server: HttpServer | None) -> None:
        self.__dict__["_opened_http_server"] = server
        if server is not None:
            server.app.middlewares.append(self._honestly)
            server.app.router.add_get("/live", self._live)
