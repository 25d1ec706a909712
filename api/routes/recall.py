"""What is remembered for some words: as a reply would see it, and as a block for a prompt."""

from fastapi import APIRouter

from echoic.api.access.guard import Mind, Reads, UserId
from echoic.api.schemas.recall import ContextBody, RecallAnswer, SearchBody, SectionsBody
from echoic.memory.direct import OpenMemory
from echoic.memory.profile.context import Shape, sections_for
from echoic.memory.profile.profile import Limits
from echoic.memory.review.context import context_for
from echoic.memory.review.reader import reader
from echoic.memory.types import Recall

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
    """A block for a prompt within a token limit: what answers the text, then the most important facts.

    With `sections` the profile by slot, then what happened: what answers the text, and the last.
    """
    caller, choices = await reader(mind, user_id, body.agent_id, call_id="api")
    if not choices.memory:
        return RecallAnswer.of(Recall())
    if body.sections is not None:
        shape = _shape(body, body.sections, choices.language_code)
        return RecallAnswer.of(await sections_for(mind, caller, body.text, shape))
    found = await context_for(
        mind,
        caller,
        body.text,
        max_tokens=body.max_tokens,
        max_items=body.max_items,
        topics=frozenset(body.topics),
    )
    return RecallAnswer.of(found)


def _shape(body: ContextBody, asked: SectionsBody, language: str) -> Shape:
    only = tuple(body.topics) or None
    limits = Limits(only, tuple(asked.prefer), asked.slots_a_topic, asked.slots_of)
    shares = (body.max_tokens, asked.profile_share, asked.days, asked.fill)
    return Shape(*shares, limits, asked.feature, asked.language or language, asked.template)
