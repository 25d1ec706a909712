"""What was said somewhere else is remembered as what was said in a call."""

import hashlib
import json
import uuid

from fastapi import APIRouter

from echoic.api.access.guard import Mind, UserId, WritesUnwalled
from echoic.api.schemas.turns import TurnCreate, TurnsBody, TurnsKept
from echoic.memory.chat.written import Words, keep_words
from echoic.memory.types import Caller

router = APIRouter(tags=["calls"])


# unwalled: while a store is away, what this writes sets off the replay of everybody's turns
@router.post("/users/{user_id:id}/turns")
async def add_turns(user_id: UserId, body: TurnsBody, who: WritesUnwalled, mind: Mind) -> TurnsKept:
    """Store what a person and an agent said to each other; durable when this answers, and learned later."""
    settings, call_id = mind.settings, body.call_id or f"api.{uuid.uuid4().hex}"
    caller = Caller(user_id, body.agent_id or settings.agent_id, call_id, settings.timezone)
    said = [
        Words(_item_id(caller, place, one), one.role, one.text, one.said_at, one.said_at is not None)
        for place, one in enumerate(body.turns)
    ]
    kept = await keep_words(mind, caller, said, hurry=body.ended)
    return TurnsKept(call_id=call_id, turn_ids=[turn and turn.turn_id for turn in kept])


def _item_id(caller: Caller, place: int, turn: TurnCreate) -> str:
    """Another person's, or another agent's, of the same name is another turn."""
    name = [turn.id] if turn.id is not None else [place, turn.role, turn.text]
    found = json.dumps([caller.user_id, caller.agent_id, *name])
    return f"api:{hashlib.sha256(found.encode()).hexdigest()}"
