"""What `add` does: a conversation is recorded and learned behind, or a statement is kept as it stands."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from echoic.api.mem0.asker import Asker
from echoic.api.mem0.bodies import AddBody
from echoic.api.mem0.conversation.recording import Told, record
from echoic.api.mem0.conversation.statements import state
from echoic.api.mem0.filters.dates import end_of_day, moment
from echoic.api.mem0.views import whose
from echoic.memory.types import Scope

STATED = "It is stored as it was said."
DONE = "Nothing new was said: what is known stays."
PENDING = "What was said is stored; what it says is being learned."


async def add(asker: Asker, body: AddBody) -> tuple[dict[str, Any], str, UUID | None]:
    """Mem0's answer, about whom it is, and the event that can be followed; None: nothing was to be done.

    Raises:
        Problem: 400 for a request that cannot be read, 403 for somebody else's memory.
        NotRemembered, StoreUnavailable, ModelUnavailable: sent again it counts once.
    """
    told = _told(asker, body)
    ends = end_of_day(body.expiration_date) if body.expiration_date else None
    await asker.about(told.person, "write")
    if not told.said:
        return _answer(DONE, "SUCCEEDED", None), told.person, None
    if body.infer is False:
        scope: Scope = "agent" if body.names.agent_id else "user"
        whose = asker.access.by_whom
        results = await state(asker.memory, told, scope=scope, valid_until=ends, by_whom=whose)
        stated = UUID(results[-1]["id"])
        return _answer(STATED, "SUCCEEDED", stated, results), told.person, stated
    if ends is not None:
        told = replace(told, labels={**told.labels, "valid_until": ends.isoformat()})
    event_id = await record(asker.memory, told)
    answer = _answer(PENDING, "PENDING", event_id) if event_id else _answer(DONE, "SUCCEEDED", None)
    return answer, told.person, event_id


def _told(asker: Asker, body: AddBody) -> Told:
    """What a request tells, about the person whom it names; a person's own key need not name them."""
    names = body.names
    agent_id = names.agent_id or asker.memory.settings.agent_id
    labels: dict[str, Any] = {**names.labels, **({"metadata": body.metadata} if body.metadata else {})}
    at = None if body.timestamp is None else moment(body.timestamp, "timestamp")
    return Told(whose(asker, names), agent_id, names.run_id, body.said(), labels, at)


def _answer(
    message: str, status: str, event_id: UUID | None, results: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """An event that nobody can follow has an id, too: clients read it. What is pending has no results yet."""
    found: dict[str, Any] = {"message": message, "status": status, "event_id": str(event_id or uuid4())}
    return found if status == "PENDING" else found | {"results": list(results)}
