"""A web server on this machine for tests: answers what it is told, and can break off midway."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, object]
"""Status and JSON body."""


@contextmanager
def web_server(handle: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serves GET and POST requests by `handle` while the block runs; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hung up: the test looks at the client."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def json_server(answers: dict[str, Answer]) -> Iterator[str]:
    """Answers each path with its JSON, others with 404."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        status, body = answers.get(request.path, (404, {}))
        send(request, status, json.dumps(body).encode())

    with web_server(handle) as address:
        yield address


@contextmanager
def garbage_server() -> Iterator[str]:
    """Answers every request for a model's reply politely, with something else; gives its address."""

    def handle(request: BaseHTTPRequestHandler) -> None:
        body = b"data: {not json at all: My dog is called Biscuit\n\ndata: <html>\n\n"
        send(request, 200, body, kind="text/event-stream")

    with web_server(handle) as address:
        yield f"{address}/v1"


def send(
    request: BaseHTTPRequestHandler, status: int, body: bytes, *, kind: str = "application/json"
) -> None:
    """The whole answer to a request."""
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@dataclass
class Download:
    """A file behind HTTP as a hub serves it: with ranges, and a connection that may break."""

    data: bytes
    breaks_after: int | None = None
    """Bytes sent in each answer before the connection breaks; None: never."""
    breaks: int = 10**9
    """How many answers break."""
    knows_ranges: bool = True
    status: int = 200
    starts: list[int] = field(default_factory=list)
    """First byte asked for, in each request."""
    held: threading.Event | None = None
    """It answers once this is set."""

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        if self.held is not None:
            self.held.wait(30)
        wanted = request.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.knows_ranges else 0
        self.starts.append(start)
        if self.status != 200 or start >= len(self.data):
            request.send_error(self.status if self.status != 200 else 416)
            return
        rest = self.data[start:]
        request.send_response(206 if wanted and self.knows_ranges else 200)
        if wanted and self.knows_ranges:
            request.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        if self.breaks_after is not None and self.breaks > 0:
            self.breaks -= 1
            rest = rest[: self.breaks_after]
        request.wfile.write(rest)
