"""Live events as server-sent events: each has an id, from which a stream that was cut off goes on."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from echoic.api.access.guard import Gate, Looks, Mind, ReadsUnwalled, UserId
from echoic.api.problems import Problem
from echoic.memory.review.events import Event, EventFeed, Place, events_after, hash_of, last_place, order
from echoic.memory.service import Memory

router = APIRouter(tags=["events"])
HEARTBEAT_S = 15.0
"""A proxy closes what is silent for a minute; a revoked key is noticed as often."""
QUEUED = 1_000
"""Events that wait for a slow client; past that it is cut off, and goes on from its last id."""
_ID = re.compile(r"(\d{1,18})-(\d{1,18})")
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
    return _streamed(request, mind, await hash_of(mind.db, user_id), last_event_id)


@router.get("/events", response_class=StreamingResponse)
async def follow_all(
    who: Looks, mind: Mind, request: Request, last_event_id: LastId = None
) -> StreamingResponse:
    """The same of all users."""
    return _streamed(request, mind, None, last_event_id)


def _streamed(
    request: Request, mind: Memory, user_hash: str | None, last_id: str | None
) -> StreamingResponse:
    place = _place(last_id)
    streams: asyncio.Semaphore = request.app.state.streams
    if streams.locked():
        raise Problem(
            503, "streams-full", "Too many streams are open: try again later.", headers={"Retry-After": "30"}
        )
    stream = _lines(request, mind, user_hash, place, streams)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _lines(
    request: Request, mind: Memory, user_hash: str | None, place: Place | None, streams: asyncio.Semaphore
) -> AsyncIterator[str]:
    queue: asyncio.Queue[Event] = asyncio.Queue(QUEUED)
    feed: EventFeed = request.app.state.feed
    async with streams:
        leave = feed.subscribe(lambda event: _put(queue, event, user_hash))
        try:
            place = place or await last_place(mind.db)
            yield f": you hear what happens from now on\nid: {place[0]}-{place[1]}\n\n"
            async for event in _missed(mind, place, user_hash):
                place = event.place
                yield _written(event)
            while not queue.full():
                try:
                    event = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    if not await _still_valid(request):
                        return
                    yield ": still here\n\n"
                    continue
                if order(event.place) > order(place):
                    yield _written(event)
        finally:
            leave()


async def _missed(mind: Memory, place: Place, user_hash: str | None) -> AsyncIterator[Event]:
    while found := await events_after(mind.db, place, user_hash=user_hash):
        for event in found:
            place = event.place
            yield event


def _put(queue: asyncio.Queue[Event], event: Event, user_hash: str | None) -> None:
    if user_hash in (None, event.user_hash) and not queue.full():
        queue.put_nowait(event)


def _written(event: Event) -> str:
    data = {"at": event.at.isoformat(), "user_id": event.user_id, **event.data}
    return f"id: {event.event_id}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n"


def _place(last_id: str | None) -> Place | None:
    if last_id is None:
        return None
    found = _ID.fullmatch(last_id)
    if not found:
        raise Problem(400, "event-id-invalid", "This is no id of an event.")
    return found[1], int(found[2])


async def _still_valid(request: Request) -> bool:
    gate: Gate = request.app.state.gate
    return await gate.still_admits(request.headers.get("authorization"))
