"""The routes of Mem0's platform: for `mem0.MemoryClient`, its JavaScript sister, the CLI and Pipecat."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from echoic.api.mem0 import edits, owners
from echoic.api.mem0.additions import add
from echoic.api.mem0.asker import Asker, Asks
from echoic.api.mem0.bodies import (
    AddBody,
    BatchBody,
    FeedbackBody,
    ListBody,
    SearchBody,
    UpdateBody,
)
from echoic.api.mem0.conversation.events import event_of, last_events
from echoic.api.mem0.entities import ANY, FIELDS, names_asked, names_to_forget
from echoic.api.mem0.faults import Mem0Route, unknown
from echoic.api.mem0.memo import Memo
from echoic.api.mem0.views import listed, searched
from echoic.api.problems import Problem

router = APIRouter(route_class=Mem0Route, include_in_schema=False)
PAGE_SIZE = 100
Answer = dict[str, Any]
Page = Annotated[int | None, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int | None, Query(ge=1, le=1_000)]


@router.get("/v1/ping/")
async def mem0_ping(who: Asks) -> Answer:
    """Which project this is: there is one."""
    await who.about_all("self")
    return {"status": "ok", "org_id": "echoic", "project_id": "echoic", "user_email": None}


@router.post("/v3/memories/add/")
async def mem0_add(who: Asks, body: AddBody) -> Answer:
    """Messages become turns, and facts are learned from them behind this answer."""
    answer, _, _ = await add(who, body)
    return answer


@router.post("/v1/memories/")
async def mem0_add_v1(who: Asks, body: AddBody) -> Answer:
    """The same; clients of 2025 read a list of results from it."""
    answer, _, _ = await add(who, body)
    return {"results": [], **answer}


@router.post("/v3/memories/")
@router.post("/v2/memories/")
async def mem0_get_all(
    who: Asks, body: ListBody, request: Request, page: Page = None, page_size: PageSize = None
) -> Answer:
    """Facts that fit, newest first, page by page."""
    found = await listed(who, body)
    number, size = page or body.page or 1, page_size or body.page_size or PAGE_SIZE
    shown = found[(number - 1) * size : number * size]
    return {
        "count": len(found),
        "next": _page_url(request, number + 1, size) if number * size < len(found) else None,
        "previous": _page_url(request, number - 1, size) if number > 1 else None,
        "results": [_with_fields(one.answer(), body.fields) for one in shown],
    }


@router.get("/v1/memories/")
async def mem0_get_all_by_query(who: Asks, request: Request) -> list[Answer]:
    """As clients of 2024 ask for it: a bare list."""
    names = names_asked(request.query_params)
    body = ListBody(**{field: getattr(names, field) for field in FIELDS})
    return [one.answer() for one in await listed(who, body)]


@router.post("/v3/memories/search/")
@router.post("/v2/memories/search/")
async def mem0_search(who: Asks, body: SearchBody) -> Answer:
    """What is near to a question, with its score."""
    found = await searched(who, body)
    return {"results": [_with_fields(one.answer(score), body.fields) for score, one in found]}


@router.post("/v1/memories/search/")
async def mem0_search_v1(who: Asks, body: SearchBody) -> list[Answer]:
    """As clients of 2024 ask for it: a bare list."""
    return [one.answer(score) for score, one in await searched(who, body)]


@router.get("/v1/memories/{memory_id:id}/")
async def mem0_get(who: Asks, memory_id: str) -> Answer:
    """One memory."""
    return (await owners.one_memory(who, memory_id)).answer()


@router.put("/v1/memories/{memory_id:id}/")
async def mem0_update(who: Asks, memory_id: str, body: UpdateBody) -> Answer:
    """Change it; its history keeps what it was."""
    memo = await owners.one_memory(who, memory_id, writes=True)
    return (await edits.update(who.memory, memo, body, who.access.by_whom)).answer()


@router.delete("/v1/memories/{memory_id:id}/")
async def mem0_delete(who: Asks, memory_id: str) -> Answer:
    """Forget it in every store, its history included."""
    await edits.forget_one(who.memory, await owners.one_memory(who, memory_id, writes=True))
    return {"message": "Memory deleted successfully!"}


@router.get("/v1/memories/{memory_id:id}/history/")
async def mem0_history(who: Asks, memory_id: str) -> list[Answer]:
    """What it was, oldest first."""
    return await edits.history(who.memory, await owners.one_memory(who, memory_id))


@router.delete("/v1/memories/")
async def mem0_delete_all(who: Asks, request: Request) -> Answer:
    """Forget what is known of those who are named, and what they said."""
    names = names_to_forget(request.query_params)
    if ANY in (names.user_id, names.agent_id, names.app_id, names.run_id):
        await owners.forget_everybody(who, names)
    else:
        await owners.forget_named(who, names)
    return {"message": "Memories deleted successfully!"}


@router.put("/v1/batch/")
async def mem0_batch_update(who: Asks, body: BatchBody) -> Answer:
    """Change several: all are looked up before the first is changed."""
    memos = await _all_of(who, [one.memory_id for one in body.memories])
    for memo, change in zip(memos, body.memories, strict=True):
        await who.see(memo.person)
        await edits.update(who.memory, memo, change, who.access.by_whom)
    return {"message": f"Successfully updated {len(memos)} memories"}


@router.delete("/v1/batch/")
async def mem0_batch_delete(who: Asks, body: BatchBody) -> Answer:
    """Forget several: all are looked up before the first is forgotten."""
    memos = await _all_of(who, [one.memory_id for one in body.memories])
    for memo in memos:
        await who.see(memo.person)
        await edits.forget_one(who.memory, memo)
    return {"message": f"Successfully deleted {len(memos)} memories"}


@router.post("/v1/feedback/")
async def mem0_feedback(who: Asks, body: FeedbackBody) -> Answer:
    """Keep what somebody thinks of a memory with it."""
    memo = await owners.one_memory(who, body.memory_id, writes=True)
    await edits.give_feedback(who.memory, memo, body, who.access.by_whom)
    return {"id": body.memory_id, "feedback": body.feedback, "feedback_reason": body.feedback_reason}


@router.get("/v1/events/")
async def mem0_events(who: Asks) -> Answer:
    """The last things that users were told to have said, and how far learning is with each."""
    if who.access.user_id is None:
        await who.about_all("look")
    else:
        await who.about(who.access.user_id, "read")
    rows = await last_events(who.memory, who.access.user_id)
    return {"count": len(rows), "next": None, "previous": None, "results": rows}


@router.get("/v1/event/{event_id:id}/")
async def mem0_event(who: Asks, event_id: str) -> Answer:
    """How far learning is with what was added."""
    found_id = owners.read_id(event_id)
    person = await who.owner_of(found_id, "read")
    event = None if person is None else await event_of(who.memory, person, found_id)
    if event is None:
        raise unknown("event")
    return event


@router.get("/v1/entities/")
async def mem0_users(who: Asks) -> Answer:
    """Everybody of whom something is remembered, as far as this key may see them."""
    rows = await owners.entities(who)
    return {"count": len(rows), "next": None, "previous": None, "total_users": len(rows), "results": rows}


@router.delete("/v2/entities/{kind}/{name:id}/")
@router.delete("/v1/entities/{kind}/{name:id}/")
async def mem0_delete_entity(who: Asks, kind: str, name: str) -> Answer:
    """Erase everything about them from every store, for good."""
    return await owners.erase(who, kind, name)


async def _all_of(who: Asker, ids: Sequence[str]) -> list[Memo]:
    checked = [str(owners.read_id(one)) for one in ids]
    return [await owners.one_memory(who, one, writes=True) for one in dict.fromkeys(checked)]


def _page_url(request: Request, page: int, size: int) -> str:
    return str(request.url.include_query_params(page=page, page_size=size))


def _with_fields(answer: Answer, fields: list[str] | None) -> Answer:
    wanted = {*fields, "id", "score"} if fields else answer.keys()
    return {name: value for name, value in answer.items() if name in wanted}


NOT_OFFERED = (
    "/v1/exports/",
    "/v1/exports/get/",
    "/v1/summary/",
    "/v2/entities/user/{name:id}/profile/",
    "/v2/profiles/{rest:path}",
    "/api/v1/orgs/{rest:path}",
    "/api/v1/webhooks/{rest:path}",
)


async def mem0_not_offered(who: Asks) -> Answer:
    """What the platform has and this has not: said plainly, with a status that no client retries."""
    await who.about_all("self")
    raise Problem(501, "not-offered", "Echoic does not offer this: see its page about Mem0.")


for path in NOT_OFFERED:
    router.add_api_route(path, mem0_not_offered, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
