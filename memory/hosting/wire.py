"""What processes say to the servers that they share, on a Unix socket: numbered questions, and answers in any
order.

A frame is a header, a JSON object, and bytes beside it (audio, vectors). A frame without an object cancels
the question of its number; the end of a connection cancels all of its questions. An answer with a `fault`
names the class of what went wrong, never its text, which may quote a caller.
"""

import asyncio
import json
import logging
import struct
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from echoic.memory.errors import ModelUnavailable

log = logging.getLogger("echoic.wire")

VERSION = 2
"""Part of the name of a folder that processes of several versions could share; each version has its own."""
BUFFER_BYTES = 65_536
LIMIT_BYTES = 16_000_000  # eight minutes of audio; four times the longest batch of texts
PING = {"ping": True}
"""A question that every server answers by itself at once, however many others wait."""
_HEADER = struct.Struct("<III")  # number, bytes of JSON, bytes beside it
_JSON = json.JSONEncoder(ensure_ascii=False)

Message = tuple[dict[str, Any], bytes]
Answer = Callable[[dict[str, Any], bytes], Awaitable[Message]]


class ServerLost(ModelUnavailable):
    """The server ended while it was asked."""


class FrameInvalid(ValueError):
    """These bytes are not a frame."""


def pack(number: int, content: dict[str, Any] | None, data: bytes = b"") -> bytes:
    """A frame. Half a surrogate pair in a text, which no encoding knows, becomes a question mark."""
    text = b"" if content is None else _JSON.encode(content).encode(errors="replace")
    return _HEADER.pack(number, len(text), len(data)) + text + data


class Frames:
    """Cuts what arrives on a connection into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, arrived: bytes | memoryview) -> Iterator[tuple[int, dict[str, Any] | None, bytes]]:
        """Number, object and bytes of the frames that are complete now; the rest is kept for the next call.

        Raises:
            FrameInvalid: more than the limit is announced, or what should be JSON is no object.
        """
        self._held += arrived
        while len(self._held) >= _HEADER.size:
            number, text_bytes, data_bytes = _HEADER.unpack_from(self._held)
            if text_bytes + data_bytes > LIMIT_BYTES:
                raise FrameInvalid(f"a frame of {text_bytes + data_bytes} bytes")
            text_end = _HEADER.size + text_bytes
            end = text_end + data_bytes
            if len(self._held) < end:
                return
            text, data = bytes(self._held[_HEADER.size : text_end]), bytes(self._held[text_end:end])
            del self._held[:end]
            yield number, _parsed(text) if text else None, data


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (RecursionError, ValueError) as exc:
        raise FrameInvalid("not JSON") from exc
    if not isinstance(content, dict):
        raise FrameInvalid("not an object")
    return content


class _End(asyncio.BufferedProtocol):
    """One end of a connection.

    With a buffer of its own: asyncio makes one of 256 kB for each piece, which can cost 10 µs (measured).
    """

    def __init__(self) -> None:
        self._frames, self._buffer = Frames(), memoryview(bytearray(BUFFER_BYTES))
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        try:
            for frame in self._frames.feed(self._buffer[:nbytes]):
                self._receive(*frame)
        except FrameInvalid as exc:
            log.warning("wire.frame_invalid", extra={"reason": str(exc)})
            self.hang_up()

    def hang_up(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, number: int, content: dict[str, Any] | None, data: bytes = b"") -> None:
        if self._transport is not None:  # else nobody is there any more
            self._transport.write(pack(number, content, data))

    def _receive(self, number: int, content: dict[str, Any] | None, data: bytes) -> None:
        raise NotImplementedError


async def connect(socket: Path, title: str) -> "Connection":
    """A connection to the server on `socket`, called `title` in what its faults say.

    Raises:
        OSError: nobody listens.
    """
    loop = asyncio.get_running_loop()
    return (await loop.create_unix_connection(lambda: Connection(title), str(socket)))[1]


class Connection(_End):
    """A client's end: as many questions at once as one likes."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._title, self._numbers = title, count()
        self._waiting: dict[int, asyncio.Future[Message]] = {}

    async def ask(self, question: dict[str, Any], data: bytes = b"") -> Message:
        """Put a question and wait for its answer; cancelling it stops the work on the other side.

        Raises:
            ServerLost: the connection is lost. ModelUnavailable: the server could not answer.
        """
        if self._transport is None:
            raise self._loss()
        number = next(self._numbers) % 2**32
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(number, question, data)
        try:
            answer, data = await waiting
        except asyncio.CancelledError:
            self._send(number, None)
            raise
        finally:
            self._waiting.pop(number, None)
        if fault := answer.get("fault"):
            raise ModelUnavailable(f"{self._title} failed: {fault}.")
        return answer, data

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.lost.done():
            self.lost.set_result(None)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(self._loss())

    def _receive(self, number: int, content: dict[str, Any] | None, data: bytes) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():  # else nobody waits for it any more
            waiting.set_result((content or {}, data))

    def _loss(self) -> ServerLost:
        return ServerLost(f"{self._title} ended; it is being started again.")


async def serve(socket: Path, answer: Answer) -> None:
    """Answer questions on `socket` until a signal ends the process.

    What `answer` returns is cancelled when its question is, or when the one who asked hangs up. An exception
    of it becomes an answer that names its class.
    """
    server = await asyncio.get_running_loop().create_unix_server(lambda: _Asker(answer), str(socket))
    async with server:
        await server.serve_forever()


class _Asker(_End):
    """A server's end: one process that asks."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self._work: dict[int, asyncio.Future[Message]] = {}

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for work in list(self._work.values()):
            work.cancel()

    def _receive(self, number: int, content: dict[str, Any] | None, data: bytes) -> None:
        if content == PING:
            self._send(number, {})
        elif content is not None:
            work = self._work[number] = asyncio.ensure_future(self._answer(content, data))
            work.add_done_callback(partial(self._reply, number))
        elif number in self._work:
            self._work[number].cancel()

    def _reply(self, number: int, work: asyncio.Future[Message]) -> None:
        self._work.pop(number, None)
        if work.cancelled():
            return
        if error := work.exception():
            log.error("wire.answer_failed", extra={"error": type(error).__name__})
            self._send(number, {"fault": type(error).__name__})
        else:
            self._send(number, *work.result())
