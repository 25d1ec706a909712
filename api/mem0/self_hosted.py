"""The routes of Mem0's self-hosted server: no version in the path, and clients wait for what is learned."""

from math import inf
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from echoic.api.mem0 import edits, owners
from echoic.api.mem0.additions import add
from echoic.api.mem0.asker import Asks
from echoic.api.mem0.bodies import AddBody, ListBody, SearchBody, UpdateBody
from echoic.api.mem0.conversation.events import wait_learned
from echoic.api.mem0.entities import FIELDS, names_in, names_to_forget
from echoic.api.mem0.faults import Mem0Route
from echoic.api.mem0.views import listed, searched

router = APIRouter(route_class=Mem0Route, include_in_schema=False)
WAIT_S = 5.0
"""Longest wait for a worker; what it learns later is found by a search."""
Answer = dict[str, Any]


@router.post("/memories")
async def own_mem0_add(who: Asks, body: AddBody) -> Answer:
    """As `add`, and it waits for a worker a while."""
    answer, person, event_id = await add(who, body)
    if answer["status"] == "PENDING" and event_id is not None:
        await who.memory.jobs.enqueue_learn(person, hurry=True)
        who.request.scope["echoic.give_back"]()  # others are answered while this waits
        answer["results"] = await wait_learned(who.memory, person, event_id, WAIT_S)
    return answer


@router.get("/memories")
async def own_mem0_get_all(
    who: Asks,
    request: Request,
    top_k: Annotated[int, Query(ge=0, le=1_000)] = 100,
    show_expired: bool = False,
) -> Answer:
    """Facts of those who are named."""
    names = names_in(request.query_params)
    body = ListBody(show_expired=show_expired, **{field: getattr(names, field) for field in FIELDS})
    return {"results": [one.answer() for one in (await listed(who, body))[:top_k]]}


@router.post("/search")
async def own_mem0_search(who: Asks, body: SearchBody) -> Answer:
    """What is near to a question, with its score."""
    return {"results": [one.answer(score) for score, one in await searched(who, body)]}


@router.get("/memories/{memory_id:id}")
async def own_mem0_get(who: Asks, memory_id: str) -> Answer:
    """One memory."""
    return (await owners.one_memory(who, memory_id)).answer()


@router.put("/memories/{memory_id:id}")
async def own_mem0_update(who: Asks, memory_id: str, body: UpdateBody) -> Answer:
    """Change it."""
    memo = await owners.one_memory(who, memory_id, writes=True)
    changed = await edits.update(who.memory, memo, body, who.access.by_whom)
    return {"message": "Memory updated successfully!", **changed.answer()}


@router.delete("/memories/{memory_id:id}")
async def own_mem0_delete(who: Asks, memory_id: str) -> Answer:
    """Forget it."""
    await edits.forget_one(who.memory, await owners.one_memory(who, memory_id, writes=True))
    return {"message": "Memory deleted successfully"}


@router.get("/memories/{memory_id:id}/history")
async def own_mem0_history(who: Asks, memory_id: str) -> list[Answer]:
    """What it was, oldest first."""
    return await edits.history(who.memory, await owners.one_memory(who, memory_id))


@router.delete("/memories")
async def own_mem0_delete_all(who: Asks, request: Request) -> Answer:
    """Forget what is known of those who are named, and what they said."""
    await owners.forget_named(who, names_to_forget(request.query_params))
    return {"message": "All relevant memories deleted"}


@router.post("/reset")
async def own_mem0_reset(who: Asks) -> Answer:
    """Erase everybody."""
    await who.about_all("operate")
    for one in await owners.entities(who, most=inf):
        await owners.erase(who, one["type"], one["name"])
    return {"message": "All memories reset"}


@router.get("/entities")
async def own_mem0_entities(who: Asks) -> list[Answer]:
    """Everybody of whom something is remembered."""
    return [one | {"id": one["name"]} for one in await owners.entities(who)]


@router.delete("/entities/{kind}/{name:id}")
async def own_mem0_delete_entity(who: Asks, kind: str, name: str) -> Answer:
    """Erase everything about them."""
    return await owners.erase(who, kind, name)
