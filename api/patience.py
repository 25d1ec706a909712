"""How long the API waits for a request: who sends nothing, or a byte a second, holds no place for long."""

import asyncio
from typing import Any

import h11
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""From a connection, or the first byte of a further request on it, to the end of its headers."""
BODY_S = 10.0
"""For a whole body, which has 64 KiB at most."""
LINGER_S = 10.0
"""The rest of a body that was refused is thrown away for so long: who is cut off at once reads no answer."""
WORDS = b"The request was not complete"
ANSWER = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(WORDS), WORDS)
)


class Patient(H11Protocol):
    """uvicorn's protocol, which by itself waits for headers for ever."""

    _waiting: asyncio.TimerHandle | None = None
    _is_let_go = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._is_let_go:
            return
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before or self.transport.get_protocol() is not self:
            self._stop_waiting()  # the headers are whole, or it is a WebSocket now

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self.loop.call_later(LINGER_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if not self.transport.is_closing():
            self._is_let_go = True
            self.transport.write(ANSWER)
            if self.transport.can_write_eof():  # TLS cannot
                self.transport.write_eof()
            # closed at once, what still arrives would be answered by a reset, which takes the answer with it
            self.loop.call_later(LINGER_S, self.transport.close)


class Body:
    """What a client sends, no longer than it may be, and no slower."""

    def __init__(self, receive: Receive, most_bytes: int, too_large: str) -> None:
        self._receive, self._left, self._too_large = receive, most_bytes, too_large
        self._deadline: float | None = None
        self._more = True

    async def __call__(self) -> Message:
        message = await (self._in_time() if self._more else self._receive())
        self._more = self._more and bool(message.get("more_body"))
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(
                413, self._too_large
            )  # what else is raised here counts as JSON that is broken
        return message

    async def _in_time(self) -> Any:
        now = asyncio.get_running_loop().time()
        self._deadline = self._deadline or now + BODY_S
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"A body is sent within {BODY_S:g} seconds.") from None
