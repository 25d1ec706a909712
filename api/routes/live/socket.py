"""Live events over a WebSocket: the same as the streams, for clients that have no server-sent events.

Browsers cannot send a key with a socket, and an address is written to logs: the key is in the first message.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from echoic.api.access.guard import Gate, Permission
from echoic.api.problems import Problem, of_fault
from echoic.api.routes.live.events import free_stream, happenings, place_of, told
from echoic.memory.errors import MemoryFault
from echoic.memory.identity.ids import check_user_id
from echoic.memory.review.events import last_place
from echoic.memory.service import Memory

router = APIRouter()
HELLO_S = 10.0
"""For the first message; longer is nobody who means it."""
LEFT, RESTARTS = 1000, 1012


class Hello(BaseModel):
    """The first message of a client."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(None, max_length=200)
    last_event_id: str | None = Field(None, max_length=40)


@router.websocket("/users/{user_id:id}/socket")
async def socket_of_user(socket: WebSocket, user_id: str) -> None:
    """What happens in one person's memory."""
    await _served(socket, "read", user_id)


@router.websocket("/socket")
async def socket_of_all(socket: WebSocket) -> None:
    """The same of all users."""
    await _served(socket, "look", None)


async def _served(socket: WebSocket, needs: Permission, user_id: str | None) -> None:
    try:
        hello = await _greeted(socket)
        gate: Gate = socket.app.state.gate
        await gate.admit(socket, hello.key, needs)
        if user_id is not None:
            check_user_id(user_id)
        async with free_stream(socket.app.state):
            await _follow(socket, hello, user_id)
    except Problem as problem:
        await _refuse(socket, problem)
    except MemoryFault as fault:
        await _refuse(socket, of_fault(fault))
    except WebSocketDisconnect:
        return


async def _greeted(socket: WebSocket) -> Hello:
    """Who has not said a key yet takes no place from the streams."""
    greeting: asyncio.Semaphore = socket.app.state.gate.greeting
    if greeting.locked():
        raise Problem(503, "streams-full", "Too many sockets are waiting to begin: try again later.")
    async with greeting:
        await socket.accept()
        return await _hello(socket)


async def _follow(socket: WebSocket, hello: Hello, user_id: str | None) -> None:
    sending = asyncio.create_task(_send(socket, hello, user_id), name="socket.send")
    leaving = asyncio.create_task(_left(socket), name="socket.left")
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        ended = await asyncio.gather(sending, leaving, return_exceptions=True)
    for one in ended:
        if isinstance(one, Exception):
            raise one


async def _hello(socket: WebSocket) -> Hello:
    try:
        async with asyncio.timeout(HELLO_S):
            message = await socket.receive()
    except TimeoutError:
        raise Problem(408, "hello-missing", "The first message was not sent in time.") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", LEFT))
    try:
        return Hello.model_validate_json(message.get("text") or "")
    except ValidationError:
        detail = 'The first message is {"key": "KEY", "last_event_id": null}, as JSON.'
        raise Problem(400, "hello-invalid", detail) from None


async def _send(socket: WebSocket, hello: Hello, user_id: str | None) -> None:
    mind: Memory = socket.app.state.memory
    gate: Gate = socket.app.state.gate
    place = place_of(hello.last_event_id) or await last_place(mind.db)
    await socket.send_json({"event": "stream.began", "id": f"{place[0]}-{place[1]}"})
    events = happenings(socket.app.state, mind, user_id, place, lambda: gate.still_admits(hello.key))
    async with aclosing(events):
        async for event in events:
            if event is not None:  # the server's own pings keep a silent socket open
                await socket.send_json({"event": event.kind, "id": event.event_id, "data": told(event)})
    if not await gate.still_admits(hello.key):
        raise Problem(401, "key-needed", "This key is not valid any more.")
    await socket.close(RESTARTS, "too slow: go on from the last id")


async def _left(socket: WebSocket) -> None:
    """Return when the client is gone, or says what nobody asked."""
    message = await socket.receive()
    if message["type"] != "websocket.disconnect":
        raise Problem(400, "message-unexpected", "After the first message only the API speaks.")


async def _refuse(socket: WebSocket, problem: Problem) -> None:
    """Close with 4000 and the status; what is wrong stands in a last message, and its name in the reason."""
    said: dict[str, Any] = {"event": "refused", "status": problem.status, "detail": problem.detail}
    with suppress(WebSocketDisconnect, RuntimeError):  # gone meanwhile
        if socket.application_state.name == "CONNECTING":
            await socket.accept()
        await socket.send_json(said)
        await socket.close(4000 + problem.status, problem.name)
