"""What was said somewhere else is remembered as what was said in a call."""

import hashlib
import json
import uuid

from fastapi import APIRouter

from echoic.api.access.guard import Mind, UserId, WritesUnwalled
from echoic.api.schemas.turns import TurnCreate, TurnsBody, TurnsKept
from echoic.memory.types import Caller

router = APIRouter(tags=["calls"])


# unwalled: while a store is away, what this writes sets off the replay of everybody's turns
@router.post("/users/{user_id:id}/turns")
async def add_turns(user_id: UserId, body: TurnsBody, who: WritesUnwalled, mind: Mind) -> TurnsKept:
    """Store what a person and an agent said to each other; durable when this answers, and learned later."""
    settings, call_id = mind.settings, body.call_id or f"api.{uuid.uuid4().hex}"
    caller = Caller(user_id, body.agent_id or settings.agent_id, call_id, settings.timezone)
    call = await mind.open_call(caller)
    try:
        kept = []
        for place, one in enumerate(body.turns):
            item_id, told = _item_id(caller, place, one), one.said_at is not None
            turn = await call.record(item_id, one.role, one.text, one.said_at, told_now=told)
            kept.append(None if turn is None or call.consent_pending else turn.turn_id)
    finally:
        await call.end(hurry=body.ended)
    return TurnsKept(call_id=call_id, turn_ids=kept)


def _item_id(caller: Caller, place: int, turn: TurnCreate) -> str:
    """Another person's, or another agent's, of the same name is another turn."""
    name = [turn.id] if turn.id is not None else [place, turn.role, turn.text]
    found = json.dumps([caller.user_id, caller.agent_id, *name])
    return f"api:{hashlib.sha256(found.encode()).hexdigest()}"
