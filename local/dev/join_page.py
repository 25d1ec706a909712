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
from echoic.memory.errors import ConfigInvalid, MemoryFault
from echoic.memory.types import RESERVED

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
            ConfigInvalid: no such user can be, or none that can be named.
        """
        check_user_id(user_id)
        if user_id.startswith(RESERVED):
            raise ConfigInvalid(
                f"A name may not begin with {', '.join(RESERVED[:-1])} or {RESERVED[-1]} (these are made by "
                "Echoic, for callers who have no name): take another one."
            )
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
    default_request_version = "HTTP/1.0"  # of a request that cannot be read; by 0.9 it would get no status
    timeout = 30.0

    def do_GET(self) -> None:
        name = self._name()
        if name is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        body = files("echoic.local.dev").joinpath("static", name or PAGE).read_bytes()
        self._send(HTTPStatus.OK, TYPES[f".{(name or PAGE).rpartition('.')[2]}"], body)

    def do_POST(self) -> None:
        if self._path() != f"/{self.server.key}/join" or not self._is_from_here():
            self._refuse(HTTPStatus.NOT_FOUND)
        elif (length := self._length()) is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
        else:
            self._join(length)

    def _length(self) -> int | None:
        """How many bytes follow; None for a length that is none, or too much."""
        said = self.headers.get("Content-Length", "")
        usable = said.isascii() and said.isdigit() and len(said) <= len(str(MOST_BYTES))
        return int(said) if usable and int(said) <= MOST_BYTES else None

    def _join(self, length: int) -> None:
        try:
            admitted = self.server.door.admit(_user_in(self.rfile.read(length)))
        except TimeoutError:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        except MemoryFault as exc:
            self._send_json(HTTPStatus.UNPROCESSABLE_ENTITY, {"error": str(exc)})
        else:
            self._send_json(HTTPStatus.OK, admitted)

    def _name(self) -> str | None:
        """The file that is asked for, empty for the page itself; None if it is not ours to give."""
        path = self._path()
        name = path.removeprefix(f"/{self.server.key}/")
        return name if self._is_from_here() and name != path and (not name or name in SERVED) else None

    def _path(self) -> str:
        try:
            return urlsplit(self.path).path
        except ValueError:  # such as `http://[`
            return ""

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


def _user_in(body: bytes) -> str:
    """Who wants to join.

    Raises:
        ValueError: the body does not say it.
    """
    try:
        said = json.loads(body)
    except RecursionError as exc:
        raise ValueError("too deep") from exc
    if not isinstance(said, dict) or not isinstance(said.get("user"), str):
        raise ValueError("no user")
    return said["user"]
