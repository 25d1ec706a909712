"""A page on the loopback interface, by which a person at this machine joins a room: it speaks, listens, reads
and writes."""

import http.server
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files
from urllib.parse import urlsplit

import jwt
from livekit import api

from echoic.local.dev.livekit_server import LiveKitServer
from echoic.local.ports import LOOPBACK
from echoic.memory.call import check_user_id
from echoic.memory.errors import MemoryFault

CALL_S = 6 * 3600  # a token is for one call that begins now
MOST_BYTES = 4_096  # of a request to join
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
PAGE = "join.html"
SERVED = frozenset({PAGE, "join.js", "join.css", "livekit-client.umd.js"})
CONTENT_POLICY = "default-src 'self'; img-src data:; connect-src *; media-src blob:; frame-ancestors 'none'"
USER_TOKEN = "echoic.user_token"
AUDIENCE = "echoic"


@dataclass(frozen=True, slots=True)
class Door:
    """What it takes to let somebody in."""

    livekit: LiveKitServer
    identity_secret: str = field(repr=False)
    """Signs who the user is, for the agent (`ECHOIC_IDENTITY_SECRET`)."""
    agent_name: str = ""
    """The agent to dispatch; empty: one that takes every call."""

    def admit(self, user_id: str) -> dict[str, str]:
        """An address, and a token for a room of its own, for one call of this user.

        Raises:
            ConfigInvalid: no such user can be.
        """
        check_user_id(user_id)
        room = f"call-{secrets.token_hex(6)}"
        claims = {"sub": user_id, "aud": AUDIENCE, "room": room, "exp": int(time.time()) + CALL_S}
        token = (
            api.AccessToken(self.livekit.api_key, self.livekit.api_secret)
            .with_identity(f"browser-{secrets.token_hex(4)}")
            .with_name(user_id)
            .with_grants(api.VideoGrants(room_join=True, room=room))
            .with_attributes({USER_TOKEN: jwt.encode(claims, self.identity_secret, "HS256")})
        )
        if self.agent_name:
            dispatch = api.RoomAgentDispatch(agent_name=self.agent_name)
            token = token.with_room_config(api.RoomConfiguration(agents=[dispatch]))
        return {"url": self.livekit.url, "token": token.to_jwt(), "room": room}


@contextmanager
def join_page(door: Door, port: int = 0) -> Iterator[str]:
    """Serve the page while the block runs; gives its address, which holds a key: others on this machine do
    not know it.

    Args:
        port: 0 for one that is free.

    Raises:
        OSError: the port is taken.
    """
    server = _Server(door, port)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="join-page", daemon=True
    )
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}/{server.key}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, door: Door, port: int) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.door, self.key = door, secrets.token_urlsafe(12)

    def handle_error(self, *_: object) -> None:
        """A browser that closed its connection is no news."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """One browser's requests, to one address only: the page's, which begins with the key."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 30.0

    def do_GET(self) -> None:
        name = self._name()
        if name is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        body = files("echoic.local.dev").joinpath("static", name or PAGE).read_bytes()
        self._send(HTTPStatus.OK, TYPES[f".{(name or PAGE).rpartition('.')[2]}"], body)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != f"/{self.server.key}/join" or not self._is_from_here():
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not length.isdigit() or int(length) > MOST_BYTES:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            self._join(self.rfile.read(int(length)))

    def _join(self, body: bytes) -> None:
        try:
            admitted = self.server.door.admit(str(json.loads(body)["user"]))
        except (ValueError, LookupError, TypeError):
            self._refuse(HTTPStatus.BAD_REQUEST)
        except MemoryFault as exc:
            self._send_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(exc)})
        else:
            self._send_json(HTTPStatus.OK, admitted)

    def _name(self) -> str | None:
        """The file that is asked for, empty for the page itself; None if it is not ours to give."""
        path = urlsplit(self.path).path
        name = path.removeprefix(f"/{self.server.key}/")
        return name if self._is_from_here() and name != path and (not name or name in SERVED) else None

    def _is_from_here(self) -> bool:
        """Another site may make a browser ask us, by a name of its own that leads here: the browser then says
        which."""
        here = f"{LOOPBACK}:{self.server.server_port}"
        return self.headers.get("Host") == here and self.headers.get("Origin") in (None, f"http://{here}")

    def _send_json(self, status: HTTPStatus, body: dict[str, str]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._send(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")  # the address is the key
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", CONTENT_POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: the path holds the key."""
