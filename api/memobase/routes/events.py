"""What happened: listed, looked for, written over, taken out of the list."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from echoic.api.memobase import events
from echoic.api.memobase.asker import Id, Reads, Writes
from echoic.api.memobase.bodies import EventBody
from echoic.api.memobase.frame import Frame, MemobaseRoute, ok
from echoic.api.memobase.learning import wait_flushed
from echoic.memory.profile.episodes import drop_episode
from echoic.memory.text.words import capped, clean

router = APIRouter(route_class=MemobaseRoute)


def _sought(
    query: str,
    similarity_threshold: Annotated[float, Query(allow_inf_nan=False)] = 0.2,
    time_range_in_days: int = 180,
    topk: int = 10,
) -> tuple[str, float, int, int]:
    return capped(clean(query)), similarity_threshold, time_range_in_days, topk


Sought = Annotated[tuple[str, float, int, int], Depends(_sought)]
"""What is looked for by meaning, how near it must be, of how many days, and how much of it."""


@router.get("/users/event/{user_id}")
async def memobase_events(
    about: Reads, topk: int = 10, max_token_size: int | None = None, need_summary: bool = False
) -> Frame:
    """The last events of three weeks, newest first."""
    await wait_flushed(about)
    return ok({"events": await events.listed(about, topk, max_token_size), "gists": []})


@router.put("/users/event/{user_id}/{event_id}")
async def memobase_update_event(about: Writes, event_id: Id, body: EventBody) -> Frame:
    """Write over what is told of an event."""
    await events.change(about, event_id, body)
    return ok()


@router.delete("/users/event/{user_id}/{event_id}")
async def memobase_delete_event(about: Writes, event_id: Id) -> Frame:
    """Take an event and its gists out of the list; what was learned stays."""
    await drop_episode(about.memory.db, about.user_id, event_id)
    return ok()


@router.get("/users/event/search/{user_id}")
async def memobase_search_events(about: Reads, sought: Sought) -> Frame:
    """Events that are near to a text, nearest first."""
    await wait_flushed(about)
    return ok({"events": await events.searched(about, *sought), "gists": []})


@router.get("/users/event_gist/search/{user_id}")
async def memobase_search_gists(about: Reads, sought: Sought) -> Frame:
    """The same for gists. JavaScript's and Go's clients look for them among `events`."""
    await wait_flushed(about)
    found = await events.gists(about, *sought)
    return ok({"gists": found, "events": found})


@router.get("/users/event_tags/search/{user_id}")
async def memobase_search_tags(
    about: Reads, tags: str | None = None, tag_values: str | None = None, topk: int = 10
) -> Frame:
    """The last events with all of these tags and values."""
    await wait_flushed(about)
    return ok({"events": await events.tagged(about, tags, tag_values, topk)})
