"""A call from the page: a ticket to a LiveKit room, for one person."""

import os

from fastapi import APIRouter

from echoic.api.access.door import Door
from echoic.api.access.guard import UserId, Writes
from echoic.api.schemas.people import TicketAnswer

router = APIRouter(tags=["calls"])


@router.post("/users/{user_id:id}/talk", status_code=201)
async def talk(user_id: UserId, who: Writes) -> TicketAnswer:
    """A token for one call of this person with their agent; it must be joined within ten minutes."""
    return TicketAnswer.model_validate(Door.of(os.environ).admit(user_id))
