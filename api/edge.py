"""What every request passes before a route sees it: names checked, bodies bounded, headers for browsers."""

import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from echoic.api.access.wall import ONLY
from echoic.api.desk import Desk
from echoic.api.patience import Body
from echoic.api.problems import Problem, answer

MOST_BODY_BYTES = 64 * 1024
"""A fact has 2,000 characters at most; a larger body is a mistake."""
LARGER_BODIES = {
    "/v1/chat/completions": 8 * 2**20,  # a conversation grows, and may hold pictures
    **dict.fromkeys(("/v3/memories/add/", "/v1/memories/", "/memories"), 4 * 2**20),  # whole ones, sent again
    "/mcp": 4 * 2**20,  # a text that is too long is the tool's to refuse, in a sentence that a model reads
    "/channels/whatsapp": 3 * 2**20,  # refused, a delivery would come again for days
}
"""Paths at which a body may have more bytes."""
MEMOBASE, MEMOBASE_BYTES = "/api/v1/", 4 * 2**20
"""Conversations and configurations, at paths that hold ids."""
FOR_PROBES = ("/livez", "/readyz")
"""Asked by address, by whoever watches over a container."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'"
)
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}
_PORT = re.compile(r":\d+$")


class Edge:
    """Outermost: refuses what no route should see, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, host_names: frozenset[str], calls: Sequence[str] = ()) -> None:
        """`calls`: origins of the LiveKit server, which the page may connect to."""
        self._app, self._host_names, self._desk = app, host_names, Desk()
        self._headers = HEADERS | {"Content-Security-Policy": " ".join([PAGE_POLICY, *calls])}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        give_back: Callable[[], None] = _nothing

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                give_back()  # what streams has done its asking
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        before = ONLY.set(None)
        try:
            if problem := self._refusal(scope):
                raise problem
            if scope["path"] not in FOR_PROBES:
                give_back = await self._desk.place()
            most_bytes = _most_bytes(scope["path"])
            body = Body(receive, most_bytes, _too_large(most_bytes))
            passed = {**scope, "path": _kept_apart(scope), "echoic.give_back": give_back}
            await self._app(passed, body, send_with_headers)
        except Problem as problem:
            await answer(problem, scope["path"])(scope, receive, send_with_headers)
        finally:
            give_back()
            ONLY.reset(before)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Browsers open sockets to anybody: the origin is checked before one is accepted."""
        if self._refusal(scope):
            await send({"type": "websocket.close", "code": 1008})  # the server answers 403
            return
        before = ONLY.set(None)
        try:
            await self._app({**scope, "path": _kept_apart(scope)}, receive, send)
        finally:
            ONLY.reset(before)

    def _refusal(self, scope: Scope) -> Problem | None:
        """Another host's name is DNS rebinding, another origin is somebody else's page; ids that are not in
        UTF-8 would be one."""
        path, headers = scope["path"], Headers(scope=scope)
        host = headers.get("host", "")
        if path not in FOR_PROBES and _PORT.sub("", host).lower() not in self._host_names:
            return Problem(
                421, "host-unknown", "This API is not reached under this name: see ECHOIC_API_HOSTS."
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return Problem(403, "origin-refused", "Pages of other origins may not ask this API.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _most_bytes(path):
            return Problem(413, "body-too-large", _too_large(_most_bytes(path)))
        if not _is_utf8(scope):
            return Problem(422, "id-not-encoded", "Paths and parameters are percent-encoded, as UTF-8.")
        return None


def _nothing() -> None:
    """There is no place to give back."""


def _most_bytes(path: str) -> int:
    usual = MEMOBASE_BYTES if path.startswith(MEMOBASE) else MOST_BODY_BYTES
    return LARGER_BODIES.get(path, usual)


def _too_large(most_bytes: int) -> str:
    return f"A body has at most {most_bytes} bytes."


def _is_utf8(scope: Scope) -> bool:
    try:
        unquote_to_bytes((scope.get("raw_path") or b"") + b"?" + scope["query_string"]).decode()
    except UnicodeDecodeError:
        return False
    return True


def _kept_apart(scope: Scope) -> str:
    """The path with a slash inside a segment, and a percent sign, as they were sent."""
    raw = scope.get("raw_path")
    if not raw:
        return quote(scope["path"], safe="/", errors="replace")
    segments = raw.decode("ascii", "replace").split("/")
    return "/".join(unquote(one).replace("%", "%25").replace("/", "%2F") for one in segments)
