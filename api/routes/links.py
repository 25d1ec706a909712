"""Ids that are one person: linked by whoever knows it, and taken back."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from echoic.api.access.guard import Joins, Mind, Reads, UserId
from echoic.api.problems import Problem
from echoic.api.schemas.people import LinkAnswer, LinksAnswer
from echoic.memory.settings.links import LinkStore

router = APIRouter(tags=["users"])
OtherId = Annotated[str, Path(description="Another id of the same person.", examples=["device-7"])]


@router.get("/users/{user_id:id}/links")
async def list_links(user_id: UserId, who: Reads, mind: Mind) -> LinksAnswer:
    """All ids of the person who has this one, and the links that say so."""
    store = LinkStore(mind.db)
    found = [LinkAnswer.model_validate(one) for one in await store.of(user_id)]
    return LinksAnswer(ids=list(await store.ids(user_id)), items=found)


@router.put("/users/{user_id:id}/links/{other_id:id}", status_code=204)
async def link_users(user_id: UserId, other_id: OtherId, who: Joins, mind: Mind) -> Response:
    """From their next call on both are one person: each recalls, lists and exports what is known of both.

    Nothing is moved. Make sure first that they are: whoever calls as one is told what the other said.
    """
    await LinkStore(mind.db).add(user_id, other_id, made_by=who.by_whom)
    return Response(status_code=204)


@router.delete("/users/{user_id:id}/links/{other_id:id}", status_code=204)
async def unlink_users(user_id: UserId, other_id: OtherId, who: Joins, mind: Mind) -> None:
    """Take a link back: each is as if it had never been, with what was said under its own id since."""
    if not await LinkStore(mind.db).remove(user_id, other_id):
        raise Problem(404, "link-unknown", "These two are not linked with each other.")
