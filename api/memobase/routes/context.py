"""A context for a prompt, and what an agent may bring up."""

from typing import Annotated

from fastapi import APIRouter, Query

from echoic.api.memobase.asked import FromQuery
from echoic.api.memobase.asker import Reads
from echoic.api.memobase.bodies import ProactiveBody
from echoic.api.memobase.context import Knobs, brought_up, compiled
from echoic.api.memobase.frame import Frame, MemobaseRoute, ok
from echoic.api.memobase.learning import wait_flushed

router = APIRouter(route_class=MemobaseRoute)
TOKENS = 1_000


@router.get("/users/context/{user_id}")
async def memobase_context(
    about: Reads,
    asked: FromQuery,
    profile_event_ratio: float = 0.6,
    time_range_in_days: int = 180,
    event_similarity_threshold: Annotated[float, Query(allow_inf_nan=False)] = 0.2,
    full_profile_and_only_search_event: bool = True,
    fill_window_with_events: bool = False,
    customize_context_prompt: str | None = None,
) -> Frame:
    """The profile by slot, then what answers what is spoken of, then the last of what happened."""
    knobs = Knobs(
        TOKENS if asked.max_token_size is None else asked.max_token_size,
        profile_event_ratio,
        time_range_in_days,
        fill_window_with_events,
        event_similarity_threshold,
        full_profile_and_only_search_event,
        customize_context_prompt or "",
    )
    limits, spoken_of = asked.limits(), asked.spoken_of()
    await wait_flushed(about)
    return ok({"context": await compiled(about, limits, spoken_of, knobs)})


@router.post("/users/roleplay/proactive/{user_id}")
async def memobase_proactive(about: Reads, body: ProactiveBody) -> Frame:
    """What an agent may bring up by itself, if there is anything."""
    prompt = await brought_up(about, body)
    return ok({"action": "continue" if prompt is None else "new_topic", "topic_prompt": prompt})
