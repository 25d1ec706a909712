"""A language model that says what a test tells it to, over real HTTP: scripted here and nowhere else."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
Scripted = str | dict[str, Any] | int | bytes | Callable[[Request], "Scripted"]
"""Text; an object, sent as JSON text; a number, which is an HTTP status; bytes, the whole body; or a
function of the request."""
LONGEST_HOLD_S = 60.0


class ScriptedModel:
    """An OpenAI-compatible server on this machine: `/v1/chat/completions` (streaming too) and `/v1/models`.

    Each request takes the next scripted answer; when none is left, `otherwise`. Other processes may ask, too.
    """

    def __init__(self, *answers: Scripted, otherwise: Scripted = "ok", name: str = "scripted") -> None:
        self.answers: list[Scripted] = list(answers)
        self.otherwise, self.name = otherwise, name
        self.requests: list[Request] = []
        """The bodies of all chat requests, oldest first."""
        self.refuses: Callable[[Request], str] = lambda _request: ""
        """Gives the text of an HTTP 400 for requests that this endpoint does not understand."""
        self._lock = threading.Lock()
        self._asked = threading.Condition()
        self._free = threading.Event()
        self._free.set()
        self._server = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> "ScriptedModel":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._free.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Requests that arrive meanwhile get their answer only when the block ends."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def wait_asked(self, count: int = 1, timeout_s: float = 30.0) -> None:
        """Return once that many chat requests have arrived in all. Raises TimeoutError."""
        with self._asked:
            if not self._asked.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests after {timeout_s} s")

    def asked(self, number: int = -1) -> str:
        """The last message of one request: what the model was asked."""
        return str(self.requests[number]["messages"][-1]["content"])

    def answer_to(self, request: Request) -> Scripted:
        with self._asked:
            self.requests.append(request)
            self._asked.notify_all()
        self._free.wait(LONGEST_HOLD_S)
        with self._lock:
            answer = self.answers.pop(0) if self.answers else self.otherwise
        while callable(answer):
            answer = answer(request)
        return answer


def facts(*texts: str, turn: int = 1, ended: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    """What a model answers to the default extractor: these facts are new, and those known ones are over.

    Args:
        turn: the turn of the portion that they rest on, from 1.
        ended: numbers of known facts, from 1.
        fields: of every operation, such as `about` or `topic`.
    """
    told = [operation(text, turn=turn, **fields) for text in texts]
    over = [operation("", turn=turn, **fields | {"op": f"end {number}"}) for number in ended]
    return {"operations": [*told, *over]}


def operation(fact: str, *, turn: int = 1, **fields: Any) -> dict[str, Any]:
    """One element of such an answer: the whole turn is the evidence, unless `fields` hold a quote."""
    plain = {"quote": "", "about": "caller", "said": "stated", "op": "add"}
    return {"turns": [turn], "fact": fact, **plain, "topic": "person", "weight": 5, "when": ""} | fields


def on_known(*operations: dict[str, Any]) -> Callable[[Request], Scripted]:
    """An answer that names known facts by their text, "replace Lives in Leeds", whatever their numbers are.

    One that is not shown has no number.
    """

    def answer(request: Request) -> Scripted:
        shown = str(request["messages"][-1]["content"]).partition("Call on")[0].splitlines()
        numbers = {text: number for number, _, text in (line.partition(". ") for line in shown)}
        kinds = (one["op"].partition(" ") for one in operations)
        ops = [f"{kind} {numbers.get(text, '')}".strip() for kind, _, text in kinds]
        return {"operations": [one | {"op": op} for one, op in zip(operations, ops, strict=True)]}

    return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that hung up or was killed: the test looks at the client."""


def _handler_of(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _send(self, 200, {"object": "list", "data": [{"id": model.name, "object": "model"}]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if refusal := model.refuses(request):
                _send(self, 400, {"error": {"message": refusal, "type": "invalid_request_error"}})
                return
            answer = model.answer_to(request)
            if isinstance(answer, int):
                _send(self, answer, {"error": {"message": "scripted", "type": "scripted"}})
                return
            if isinstance(answer, bytes):
                _send_bytes(self, answer)
                return
            text = answer if isinstance(answer, str) else json.dumps(answer)
            if request.get("stream"):
                _stream(self, model.name, text)
            else:
                _send(self, 200, _completion(model.name, text))

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler


def _completion(name: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [choice],
        "usage": usage,
    }


def _stream(handler: BaseHTTPRequestHandler, name: str, text: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.send_header("Connection", "close")
    handler.end_headers()
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in text.splitlines(keepends=True) or [""]]
    for delta, reason in [*deltas, ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {
            "id": "scripted",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": name,
            "choices": [choice],
        }
        handler.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
    handler.wfile.write(b"data: [DONE]\n\n")
    handler.close_connection = True


def _send(handler: BaseHTTPRequestHandler, status: int, body: object) -> None:
    _send_bytes(handler, json.dumps(body).encode(), status)


def _send_bytes(handler: BaseHTTPRequestHandler, data: bytes, status: int = 200) -> None:
    handler.send_response(status)
    kind = {b"<": "text/html", b"d": "text/event-stream"}.get(data[:1], "application/json")
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
