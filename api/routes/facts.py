"""Facts: listed with filters, made, corrected and forgotten by hand, with their history and evidence."""

import hashlib
import re
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, Query, Response

from echoic.api.access.guard import Mind, Reads, UserId, Writes
from echoic.api.access.keys import Access
from echoic.api.paging import CursorText, Limit, cursor_of, cut, read_cursor
from echoic.api.problems import Problem
from echoic.api.schemas.common import EDITS
from echoic.api.schemas.facts import (
    ChangeAnswer,
    EvidenceAnswer,
    EvidenceOfFact,
    FactAnswer,
    FactCreate,
    FactEdit,
    FactPage,
    HistoryAnswer,
    When,
)
from echoic.api.schemas.people import TurnAnswer
from echoic.memory.call import CallMemory
from echoic.memory.privacy.forget import forget
from echoic.memory.review import facts, people
from echoic.memory.review.corrections import FactChanged, FactUnknown, Once, create_fact, edit_fact
from echoic.memory.review.facts import FactFilter, StoredFact, Validity
from echoic.memory.service import Memory
from echoic.memory.types import About, Caller, Fact, ForgetRequest

router = APIRouter(tags=["facts"])
NOBODY = UUID(int=0)
"""Stands for the key of a request without one, in development."""
Filter = Annotated[str | None, Query(max_length=200)]
IfMatch = Annotated[
    str | None,
    Header(max_length=200, description="ETag of the fact as it was read.", examples=['"9f2c6a1e"']),
]
_ETAG = re.compile(r'"([^"]*)"')


@router.get("/users/{user_id:id}/facts")
async def list_facts(
    user_id: UserId,
    who: Reads,
    mind: Mind,
    agent_id: Filter = None,
    scope: Literal["user", "agent"] | None = None,
    topic: Filter = None,
    about: Annotated[
        str | None,
        Query(max_length=200, description='Role and name, such as "sister Maria"; empty: the caller.'),
    ] = None,
    q: Annotated[str | None, Query(max_length=200, description="A part of the text, in either case.")] = None,
    validity: Annotated[Validity, Query(description="True at that time, over by then, or either.")] = "live",
    at: Annotated[When | None, Query(description="As it was then; default: now.")] = None,
    call_id: Annotated[str | None, Query(max_length=200, description="Learned from this call.")] = None,
    cursor: CursorText = None,
    limit: Limit = 50,
) -> FactPage:
    """What is known about one person, newest first."""
    (before,) = read_cursor("facts", cursor, int) or (None,)
    wanted = FactFilter(agent_id, scope, topic, about, q, validity, call_id)
    found = await facts.facts(mind.db, user_id, wanted, at or mind.now(), before, limit + 1)
    page, following = cut(found, limit, lambda one: cursor_of("facts", one.ref))
    return FactPage(items=[FactAnswer.of(one) for one in page], next=following)


@router.post("/users/{user_id:id}/facts", status_code=201)
async def add_fact(
    user_id: UserId,
    body: FactCreate,
    who: Writes,
    mind: Mind,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="Sent twice with the same body, it counts once."),
    ] = None,
) -> FactAnswer:
    """Store a fact that somebody states by hand."""
    fact = Fact(
        uuid4(),
        user_id,
        body.text,
        body.topic,
        body.importance,
        body.scope,
        body.agent_id or mind.settings.agent_id,
        mind.now(),
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        about=About(body.about.role, body.about.name),
        sub_topic=body.sub_topic,
    )
    once = _once(who, idempotency_key, body) if idempotency_key else None
    made = await create_fact(mind, fact, by_whom=who.by_whom, once=once)
    return _tagged(made, response)


@router.get("/users/{user_id:id}/facts/{fact_id}", response_model=FactAnswer)
async def read_fact(
    user_id: UserId,
    fact_id: UUID,
    who: Reads,
    mind: Mind,
    response: Response,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> FactAnswer | Response:
    """One fact, with its ETag; 304 if it is still the one that is held."""
    found = await _existing(mind, user_id, fact_id)
    if if_none_match == f'"{found.version}"':
        return Response(status_code=304, headers={"ETag": if_none_match})
    return _tagged(found, response)


@router.patch("/users/{user_id:id}/facts/{fact_id}", responses=EDITS)
async def change_fact(
    user_id: UserId,
    fact_id: UUID,
    body: FactEdit,
    who: Writes,
    mind: Mind,
    response: Response,
    if_match: IfMatch = None,
) -> FactAnswer:
    """Change some fields of a fact; 412 when somebody else has changed it since it was read."""
    version = version_in(if_match)
    if version is None:
        raise Problem(428, "if-match-needed", "Send the fact's ETag as If-Match, so that no change is lost.")
    before = (await _existing(mind, user_id, fact_id)).fact
    begins, ends = (
        getattr(body, name) if name in body.model_fields_set else getattr(before, name)
        for name in ("valid_from", "valid_until")
    )
    if begins and ends and ends <= begins:
        raise Problem(422, "invalid-request", "valid_until is not after valid_from.")
    changed = await edit_fact(mind, user_id, fact_id, body.fields(), version=version, by_whom=who.by_whom)
    return _tagged(changed, response)


@router.delete("/users/{user_id:id}/facts/{fact_id}", status_code=204, responses=EDITS)
async def forget_fact(
    user_id: UserId, fact_id: UUID, who: Writes, mind: Mind, if_match: IfMatch = None
) -> None:
    """Forget a fact in every store, its history included. What was said stays, and is not learned again."""
    found = await _existing(mind, user_id, fact_id)
    if if_match is not None and version_in(if_match) != found.version:
        raise FactChanged
    caller = Caller(found.fact.user_id, found.fact.agent_id, "api")
    await forget(CallMemory(mind, caller), ForgetRequest(fact_ids=frozenset({fact_id})))


@router.get("/users/{user_id:id}/facts/{fact_id}/history")
async def read_history(user_id: UserId, fact_id: UUID, who: Reads, mind: Mind) -> HistoryAnswer:
    """Every change of a fact, oldest first; also of one that was taken back."""
    found = await facts.history(mind.db, user_id, fact_id)
    if not found:
        await _existing(mind, user_id, fact_id)
    return HistoryAnswer(items=[ChangeAnswer.of(one) for one in found])


@router.get("/users/{user_id:id}/facts/{fact_id}/evidence")
async def read_evidence(user_id: UserId, fact_id: UUID, who: Reads, mind: Mind) -> EvidenceOfFact:
    """The words that a fact rests on, and the turns in which they were said."""
    fact = (await _existing(mind, user_id, fact_id)).fact
    said = await people.turns_by_id(
        mind.db, user_id, [*fact.turn_ids, *(one.turn_id for one in fact.evidence)]
    )
    return EvidenceOfFact(
        evidence=[EvidenceAnswer.model_validate(one) for one in fact.evidence],
        turns=[TurnAnswer.model_validate(one) for one in said],
    )


async def _existing(mind: Memory, user_id: str, fact_id: UUID) -> StoredFact:
    found = await facts.fact(mind.db, user_id, fact_id)
    if found is None:
        raise FactUnknown
    return found


def _tagged(fact: StoredFact, response: Response) -> FactAnswer:
    response.headers["ETag"] = f'"{fact.version}"'
    return FactAnswer.of(fact)


def version_in(if_match: str | None) -> str | None:
    """An ETag without its quotes; one that is none of ours matches nothing."""
    found = if_match and _ETAG.fullmatch(if_match.strip())
    return found[1] if found else if_match


def _once(who: Access, key: str, body: FactCreate) -> Once:
    return Once(who.key_id or NOBODY, key, hashlib.sha256(body.model_dump_json().encode()).digest())
