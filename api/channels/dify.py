"""Dify's external knowledge API: one person's memory as a knowledge base, whose id is the user's id."""

from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from echoic.api.access.guard import Gate, Mind, sent_key
from echoic.api.access.wall import ONLY
from echoic.api.channels.conditions import Conditions
from echoic.api.problems import Problem, misfits
from echoic.api.schemas.common import Said
from echoic.memory.embedding.spaces import likeness
from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id
from echoic.memory.recall.prompt import compose
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.review import people
from echoic.memory.review.context import SEARCH_S
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory
from echoic.memory.text.people import shown
from echoic.memory.types import Item

router = APIRouter(prefix="/channels", include_in_schema=False)
MOST_TOKENS = 100_000
"""Dify cuts by `top_k`."""
MOST_RECORDS = 50
NO_BEARER, NOT_ALLOWED, NO_KNOWLEDGE, NOT_FITTING = 1001, 1002, 2001, 1000


class Setting(BaseModel):
    """How much is wanted."""

    top_k: Annotated[int, Field(ge=1, le=1_000)] = 5
    score_threshold: Annotated[float, Field(ge=0, le=1)] = 0.0


class Retrieval(BaseModel):
    """What Dify sends."""

    model_config = ConfigDict(extra="ignore")

    knowledge_id: str
    query: Said
    retrieval_setting: Setting = Field(default_factory=Setting)
    metadata_condition: Conditions | None = None


class Refused(Exception):
    """An answer in Dify's own form."""

    def __init__(self, status: int, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


@router.post("/dify/retrieval")
async def retrieve(request: Request, mind: Mind) -> JSONResponse:
    """What is remembered for a query, with its nearness in meaning as the score."""
    try:
        wanted = await _allowed(request, mind)
        return JSONResponse({"records": await _records(mind, wanted)})
    except Refused as refused:
        body = {"error_code": refused.code, "error_msg": refused.sentence}
        return JSONResponse(body, refused.status)


async def _allowed(request: Request, memory: Memory) -> Retrieval:
    key = sent_key(request.headers)
    if key is None:
        raise Refused(403, NO_BEARER, "Invalid Authorization header: send `Bearer KEY`.")
    gate: Gate = request.app.state.gate
    try:
        access = await gate.identify(request, key)
        wanted = _read(await request.body())
        await gate.allow(access, request, "read", wanted.knowledge_id)
    except Problem as problem:
        if problem.status in (401, 403):
            raise Refused(403, NOT_ALLOWED, f"Authorization failed. {problem.detail}") from None
        raise
    ONLY.set(wanted.knowledge_id)
    if await people.person(memory.db, wanted.knowledge_id) is None:
        raise Refused(404, NO_KNOWLEDGE, "The knowledge does not exist: nothing is known about this user.")
    return wanted


def _read(body: bytes) -> Retrieval:
    try:
        wanted = Retrieval.model_validate_json(body)
        check_user_id(wanted.knowledge_id)
    except ValidationError as exc:
        wrong = "; ".join(f"{one['at'] or 'body'}: {one['problem']}" for one in misfits(exc)[:5])
        raise Refused(400, NOT_FITTING, f"The request does not fit: {wrong}.") from None
    except ConfigInvalid:
        raise Refused(404, NO_KNOWLEDGE, "The knowledge does not exist: this is no user's id.") from None
    return wanted


async def _records(memory: Memory, wanted: Retrieval) -> list[dict[str, Any]]:
    caller, choices = await reader(memory, wanted.knowledge_id, call_id="dify")
    if not choices.memory:
        return []
    found = await memory.recaller.recall(caller, wanted.query, RecentTurns(), budget_s=SEARCH_S)
    _, used = compose(
        [item for result in found.tiers.values() for item in result.items],
        [],
        [],
        question=wanted.query,
        context=frozenset[UUID](),
        now=memory.now(),
        zone=ZoneInfo(caller.timezone),
        max_tokens=MOST_TOKENS,
        max_items=min(wanted.retrieval_setting.top_k, MOST_RECORDS),
    )
    return await _scored(memory, wanted, used)


async def _scored(memory: Memory, wanted: Retrieval, items: tuple[Item, ...]) -> list[dict[str, Any]]:
    """Scores of tiers cannot be compared: each record has the cosine of its words and the query's."""
    if not items:
        return []
    question = await memory.embedder.embed(wanted.query, across=True)
    vectors = await memory.embedder.embed_batch([shown(item.text, item.about) for item in items])
    scores = likeness(question, vectors).clip(0, 1)
    records = [_record(item, float(score)) for item, score in zip(items, scores, strict=True)]
    conditions = wanted.metadata_condition or Conditions()
    least = wanted.retrieval_setting.score_threshold
    kept = [one for one in records if one["score"] >= least and conditions.fit(one["metadata"])]
    return sorted(kept, key=lambda one: -one["score"])


def _record(item: Item, score: float) -> dict[str, Any]:
    day = f"{item.said_at:%Y-%m-%d}"
    metadata = {"id": str(item.id), "kind": item.kind, "role": item.role, "day": day}
    return {
        "content": shown(item.text, item.about),
        "score": round(score, 4),
        "title": f"{item.kind} of {day}",
        "metadata": metadata | {"said_at": f"{item.said_at:%Y-%m-%dT%H:%M:%SZ}"},
    }
