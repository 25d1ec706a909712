"""What is remembered for some words: as a reply would see it, and as a block for a prompt."""

from fastapi import APIRouter

from echoic.api.access.guard import Mind, Reads, UserId
from echoic.api.schemas.recall import ContextBody, RecallAnswer, SearchBody
from echoic.memory.direct import OpenMemory
from echoic.memory.review.context import context_for
from echoic.memory.types import Caller, Recall

router = APIRouter(tags=["recall"])


@router.post("/users/{user_id:id}/search")
async def search(user_id: UserId, body: SearchBody, who: Reads, mind: Mind) -> RecallAnswer:
    """Ask every tier as a call does. A tier that is slow or broken is named in `tiers`."""
    found = await OpenMemory(mind).recall(
        user_id, body.text, scope=body.agent_id, budget_s=body.budget_ms / 1000
    )
    return RecallAnswer.of(found)


@router.post("/users/{user_id:id}/context")
async def build_context(user_id: UserId, body: ContextBody, who: Reads, mind: Mind) -> RecallAnswer:
    """A block for a prompt within a token limit: what answers the text, then the most important facts."""
    settings, choices = mind.settings, await mind.choices.read(user_id)
    if not choices.memory:
        return RecallAnswer.of(Recall())
    caller = choices.applied_to(Caller(user_id, body.agent_id or settings.agent_id, "api", settings.timezone))
    found = await context_for(
        mind,
        caller,
        body.text,
        max_tokens=body.max_tokens,
        max_items=body.max_items,
        topics=frozenset(body.topics),
    )
    return RecallAnswer.of(found)
