"""Live events as server-sent events: each has an id, from which a stream that was cut off goes on.

What happens is the same for `socket`, which only writes it another way.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from echoic.api.access.guard import Gate, Looks, Mind, ReadsUnwalled, UserId, sent_key
from echoic.api.problems import Problem
from echoic.memory.review.events import (
    Event,
    EventFeed,
    Hashes,
    Place,
    events_after,
    hashes_of,
    last_place,
    order,
)
from echoic.memory.service import Memory

router = APIRouter(tags=["events"])
HEARTBEAT_S = 15.0
"""A proxy closes what is silent for a minute; a revoked key is noticed as often."""
QUEUED = 1_000
"""Events that wait for a slow client; past that it is cut off, and goes on from its last id."""
_ID = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
LastId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=40, description="Go on after this event; they are kept for a day."
    ),
]


@router.get("/users/{user_id:id}/events", response_class=StreamingResponse)
async def follow_user(
    user_id: UserId, who: ReadsUnwalled, mind: Mind, request: Request, last_event_id: LastId = None
) -> StreamingResponse:
    """What happens in one person's memory: turns, learning, facts, erasure. Ids and counts, no words."""
    return await _streamed(request, mind, user_id, last_event_id)


@router.get("/events", response_class=StreamingResponse)
async def follow_all(
    who: Looks, mind: Mind, request: Request, last_event_id: LastId = None
) -> StreamingResponse:
    """The same of all users."""
    return await _streamed(request, mind, None, last_event_id)


async def happenings(
    state: State, mind: Memory, user_id: str | None, place: Place, valid: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[Event | None]:
    """Every event after a place, and None at each heartbeat; it ends when `valid` says no.

    Args:
        state: the app's, with its feed.
        user_id: whose events, under all ids that are linked with this one; None: everybody's.
        valid: asked at each heartbeat, also while events come.
    """
    hashes = None if user_id is None else await hashes_of(mind.db, user_id)
    queue: asyncio.Queue[Event] = asyncio.Queue(QUEUED)
    feed: EventFeed = state.feed
    leave = await feed.subscribe(lambda event: _put(queue, event, hashes))
    try:
        async for event in _missed(mind, place, hashes):
            place = event.place
            if await _is_theirs(mind, event, user_id, hashes):
                yield event
        asked = time.monotonic()
        while not queue.full():
            left_s = asked + HEARTBEAT_S - time.monotonic()
            if left_s <= 0:
                if not await valid():
                    return
                asked = time.monotonic()
                yield None
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    event = await queue.get()
                if order(event.place) > order(place) and await _is_theirs(mind, event, user_id, hashes):
                    yield event
    finally:
        leave()


def free_stream(state: State) -> asyncio.Semaphore:
    """What a stream holds as long as it lasts.

    Raises:
        Problem: 503; as many as there may be are open.
    """
    streams: asyncio.Semaphore = state.streams
    if streams.locked():
        raise Problem(
            503, "streams-full", "Too many streams are open: try again later.", headers={"Retry-After": "30"}
        )
    return streams


def place_of(last_id: str | None) -> Place | None:
    """The place that an id names.

    Raises:
        Problem: 400; it is none.
    """
    if last_id is None:
        return None
    found = _ID.fullmatch(last_id)
    if not found:
        raise Problem(400, "event-id-invalid", "This is no id of an event.")
    return found[1], int(found[2])


def told(event: Event) -> dict[str, Any]:
    """What clients read of an event."""
    return {"at": event.at.isoformat(), "user_id": event.user_id, **event.data}


async def _streamed(
    request: Request, mind: Memory, user_id: str | None, last_id: str | None
) -> StreamingResponse:
    lines = _lines(request, mind, user_id, place_of(last_id))
    streams = free_stream(request.app.state)
    await streams.acquire()  # at once: it is free
    return _Stream(lines, streams)


class _Stream(StreamingResponse):
    """Gives its place back when it ends; it took it before it was answered, so that nobody else hears 200."""

    def __init__(self, lines: AsyncIterator[str], streams: asyncio.Semaphore) -> None:
        super().__init__(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.release()


async def _lines(
    request: Request, mind: Memory, user_id: str | None, place: Place | None
) -> AsyncIterator[str]:
    gate: Gate = request.app.state.gate
    key = sent_key(request.headers)
    place = place or await last_place(mind.db)
    yield f": you hear what happens from now on\nid: {place[0]}-{place[1]}\n\n"
    events = happenings(request.app.state, mind, user_id, place, lambda: gate.still_admits(key))
    async with aclosing(events):
        async for event in events:
            yield ": still here\n\n" if event is None else _written(event)


async def _is_theirs(mind: Memory, event: Event, user_id: str | None, hashes: Hashes | None) -> bool:
    """Links are looked up anew: one that was taken back since the stream began shows nothing of the other id,
    however the event came."""
    if user_id is None or hashes is None or len(hashes) == 1:
        return True
    return event.user_hash in await hashes_of(mind.db, user_id)


async def _missed(mind: Memory, place: Place, hashes: Hashes | None) -> AsyncIterator[Event]:
    while found := await events_after(mind.db, place, user_hashes=hashes):
        for event in found:
            place = event.place
            yield event


def _put(queue: asyncio.Queue[Event], event: Event, hashes: Hashes | None) -> None:
    if (hashes is None or event.user_hash in hashes) and not queue.full():
        queue.put_nowait(event)


def _written(event: Event) -> str:
    return f"id: {event.event_id}\nevent: {event.kind}\ndata: {json.dumps(told(event))}\n\n"
