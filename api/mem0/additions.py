"""What `add` does: a conversation is recorded and learned behind, or a statement is kept as it stands."""

from typing import Any
from uuid import UUID, uuid4

from echoic.api.mem0.asker import Asker
from echoic.api.mem0.bodies import AddBody
from echoic.api.mem0.conversation.recording import record
from echoic.api.mem0.conversation.statements import state
from echoic.api.mem0.filters.dates import end_of_day, moment
from echoic.api.mem0.views import told_by
from echoic.memory.text.ids import check_agent_id
from echoic.memory.types import Scope

DONE = "Nothing new was said: what is known stays."
PENDING = "What was said is stored; what it says is being learned."


async def add(asker: Asker, body: AddBody) -> tuple[dict[str, Any], str, UUID | None]:
    """Mem0's answer, about whom it is, and the event that can be followed; None: nothing was to be done.

    Raises:
        Problem: 400 for a request that cannot be read, 403 for somebody else's memory.
        NotRemembered, StoreUnavailable, ModelUnavailable: sent again it counts once.
    """
    names, said = body.names, body.said()
    ends = end_of_day(body.expiration_date) if body.expiration_date else None
    at = None if body.timestamp is None else moment(body.timestamp, "timestamp")
    labels: dict[str, Any] = {**names.labels, **({"metadata": body.metadata} if body.metadata else {})}
    told = told_by(asker, names, said, labels, at)
    check_agent_id(told.agent_id)
    await asker.about(told.person, "write")
    if not said:
        return _answer(DONE, "SUCCEEDED", None, []), told.person, None
    if body.infer is False:
        scope: Scope = "agent" if names.agent_id else "user"
        whose = asker.access.by_whom
        results = await state(asker.memory, told, scope=scope, valid_until=ends, by_whom=whose)
        event_id = UUID(results[-1]["id"])
        return _answer("Stored as it was said.", "SUCCEEDED", event_id, results), told.person, event_id
    if ends is not None:
        labels["valid_until"] = ends.isoformat()
    event_id_or_none = await record(asker.memory, told)
    pending = event_id_or_none is not None
    answer = _answer(
        PENDING if pending else DONE, "PENDING" if pending else "SUCCEEDED", event_id_or_none, []
    )
    return answer, told.person, event_id_or_none


def _answer(
    message: str, status: str, event_id: UUID | None, results: list[dict[str, Any]]
) -> dict[str, Any]:
    """An event that nobody can follow has an id, too: clients read it."""
    return {"message": message, "status": status, "event_id": str(event_id or uuid4()), "results": results}
