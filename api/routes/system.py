"""The system: statistics, queues, what was given up, who asked for what, whose key this is."""

from uuid import UUID

from fastapi import APIRouter, Query

from echoic.api.access.guard import ROLES, IsKnown, Looks, Mind, Operates
from echoic.api.access.trail import requests
from echoic.api.paging import CursorText, Limit, cursor_of, cut, read_cursor
from echoic.api.problems import Problem
from echoic.api.schemas.system import (
    AllCounts,
    AuditAnswer,
    AuditPage,
    DaysAnswer,
    JobAnswer,
    JobsAnswer,
    MaintenanceAnswer,
    Me,
    QueueAnswer,
    QueuesAnswer,
    Retried,
)
from echoic.memory.errors import StoreUnavailable
from echoic.memory.given_up import given_up, rerun
from echoic.memory.privacy.maintenance import maintenance_totals
from echoic.memory.review import people
from echoic.memory.service import Memory
from echoic.memory.store.batches import backlog

router = APIRouter(tags=["system"])
LAST_HOUR_S = 3600.0


@router.get("/me")
async def read_me(who: IsKnown) -> Me:
    """Whose key this is, and what it may do."""
    return Me(name=who.name, role=who.role, user_id=who.user_id, may=sorted(ROLES[who.role]))


@router.get("/statistics")
async def read_all_statistics(who: Looks, mind: Mind) -> AllCounts:
    """How much there is of all users."""
    return AllCounts.model_validate(await people.statistics(mind.db, mind.now()))


@router.get("/statistics/days")
async def read_days(
    who: Looks, mind: Mind, last: int = Query(30, ge=1, le=366, description="How many days.")
) -> DaysAnswer:
    """How much was said, learned and recalled day by day, and how the tiers fared in the last hour."""
    now = mind.now()
    found = await people.days(mind.db, now, last), await people.tiers(mind.db, now, LAST_HOUR_S)
    return DaysAnswer.model_validate({"days": found[0], "tiers": found[1]})


@router.get("/queues")
async def read_queues(who: Operates, mind: Mind) -> QueuesAnswer:
    """What waits to be learned, how long, and how long learning took."""
    turns, oldest_s = await backlog(mind.db)
    durations = [QueueAnswer.model_validate(one) for one in await people.batch_durations(mind.db)]
    nights = MaintenanceAnswer.model_validate(await maintenance_totals(mind))
    return QueuesAnswer(
        waiting_turns=turns,
        oldest_s=oldest_s,
        queued_jobs=await _depth(mind),
        batches=durations,
        maintenance=nights,
    )


@router.get("/jobs")
async def list_jobs(who: Operates, mind: Mind) -> JobsAnswer:
    """What was given up in any queue, with the reason."""
    return JobsAnswer(items=[JobAnswer.model_validate(one) for one in await given_up(mind.db, mind.spool)])


@router.post("/jobs/retry", status_code=202)
async def retry_all_jobs(who: Operates, mind: Mind) -> Retried:
    """Try everything again that was given up; a worker takes it next."""
    return Retried(retried=len(await rerun(mind)))


@router.post("/jobs/{batch_id}/retry", status_code=202)
async def retry_job(batch_id: UUID, who: Operates, mind: Mind) -> Retried:
    """Try one of those again."""
    again = await rerun(mind, batch_id)
    if not again:
        raise Problem(404, "job-unknown", "Nothing of this id was given up.")
    return Retried(retried=len(again))


@router.get("/audit")
async def read_audit(
    who: Operates,
    mind: Mind,
    user_id: str | None = Query(None, max_length=200, description="Only about this person."),
    cursor: CursorText = None,
    limit: Limit = 50,
) -> AuditPage:
    """Who asked for what, newest first; refusals too."""
    (before,) = read_cursor("audit", cursor, int) or (None,)
    found = [AuditAnswer.model_validate(one) for one in await requests(mind.db, user_id, before, limit + 1)]
    page, following = cut(found, limit, lambda one: cursor_of("audit", one.audit_id))
    return AuditPage(items=page, next=following)


async def _depth(mind: Memory) -> int | None:
    try:
        return await mind.jobs.depth()
    except StoreUnavailable:
        return None
