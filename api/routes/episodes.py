"""What happened: events listed and looked for, written over, taken out of the list."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from echoic.api.access.guard import Mind, Reads, UserId, Writes
from echoic.api.paging import CursorText, Limit, cursor_of, cut, read_cursor
from echoic.api.schemas.facts import When
from echoic.api.schemas.profile import (
    MOST_TAGS,
    EpisodeAnswer,
    EpisodeEdit,
    EpisodePage,
    GistAnswer,
    GistsAnswer,
    Tag,
)
from echoic.memory.profile import episodes
from echoic.memory.profile.episodes import EpisodeFilter

router = APIRouter(tags=["episodes"])
AgentName = Annotated[str | None, Query(max_length=200)]
Meant = Annotated[
    str | None, Query(min_length=1, max_length=2_000, description="Looked for by meaning; then no `cursor`.")
]
Least = Annotated[float, Query(ge=-1, le=1, description="Nearer than this, where `q` is given.")]
Tags = Annotated[
    list[Tag] | None,
    Query(
        max_length=MOST_TAGS, description="`mood`: with any value; `mood=glad`: with this one. All of them."
    ),
]


@router.get("/users/{user_id:id}/episodes")
async def list_episodes(
    user_id: UserId,
    who: Reads,
    mind: Mind,
    q: Meant = None,
    least: Least = 0.2,
    tag: Tags = None,
    since: Annotated[When | None, Query(description="Said since.")] = None,
    until: Annotated[When | None, Query(description="Said before.")] = None,
    agent_id: AgentName = None,
    cursor: CursorText = None,
    limit: Limit = 50,
) -> EpisodePage:
    """What happened, newest first; with `q` what is near to it, nearest first."""
    pairs = dict(one.split("=", 1) for one in tag or () if "=" in one)
    names = [one for one in tag or () if "=" not in one]
    wanted = EpisodeFilter(agent_id, since, until, pairs, names)
    if q is not None:
        vector = (await mind.embedder.embed_batch([q]))[0]
        near = await episodes.episodes_near(mind.db, user_id, vector, wanted, least, limit)
        return EpisodePage(items=[EpisodeAnswer.of(one) for one in near])
    place = read_cursor("episodes", cursor, datetime, UUID)
    before = None if place is None else (place[0], place[1])
    found = await episodes.episodes(mind.db, user_id, wanted, before, limit + 1)
    page, following = cut(found, limit, lambda one: cursor_of("episodes", one.ended_at, one.episode_id))
    return EpisodePage(items=[EpisodeAnswer.of(one) for one in page], next=following)


@router.get("/users/{user_id:id}/episodes/{episode_id}")
async def read_episode(user_id: UserId, episode_id: UUID, who: Reads, mind: Mind) -> EpisodeAnswer:
    """One event."""
    return EpisodeAnswer.of(await episodes.episode(mind.db, user_id, episode_id))


@router.patch("/users/{user_id:id}/episodes/{episode_id}")
async def change_episode(
    user_id: UserId, episode_id: UUID, body: EpisodeEdit, who: Writes, mind: Mind
) -> EpisodeAnswer:
    """Write over its summary or its tags; its facts are changed by themselves, and stay as they are."""
    change = episodes.change_episode(mind.db, user_id, episode_id, summary=body.summary, tags=body.tags)
    return EpisodeAnswer.of(await change)


@router.delete("/users/{user_id:id}/episodes/{episode_id}", status_code=204)
async def drop_episode(user_id: UserId, episode_id: UUID, who: Writes, mind: Mind) -> None:
    """Take an event and its gists out of the list. What was learned stays: forget its facts to forget it."""
    await episodes.drop_episode(mind.db, user_id, episode_id)


@router.get("/users/{user_id:id}/gists")
async def list_gists(
    user_id: UserId,
    who: Reads,
    mind: Mind,
    q: Meant = None,
    least: Least = 0.2,
    since: Annotated[When | None, Query(description="Said since.")] = None,
    agent_id: AgentName = None,
    limit: Limit = 50,
) -> GistsAnswer:
    """The facts that events taught, each one alone: the last ones, or what is near to `q`."""
    if q is None:
        found = await episodes.gists(mind.db, user_id, agent_id, since, limit)
    else:
        vector, wanted = (await mind.embedder.embed_batch([q]))[0], EpisodeFilter(agent_id, since)
        found = await episodes.gists_near(mind.db, user_id, vector, wanted, least, limit)
    return GistsAnswer(items=[GistAnswer.of(one) for one in found])
