"""How far learning is with what was added: an event of Mem0's is the turn, or the fact, that it ends with."""

import asyncio
from typing import Any
from uuid import UUID

from echoic.api.mem0.conversation.statements import result
from echoic.api.mem0.memo import facts_of
from echoic.memory.service import Memory
from echoic.memory.store.queries import query

STATES = {"open": "PENDING", "learning": "RUNNING", "learned": "SUCCEEDED", "dead": "FAILED"}
CHANGES = {"added": "ADD", "edited": "UPDATE", "refiled": "UPDATE", "confirmed": "NONE"}
"""Any other change of a fact ends it: DELETE, in Mem0's words."""
POLL_S = 0.1
MOST_EVENTS = 50


async def event_of(memory: Memory, person: str, event_id: UUID) -> dict[str, Any] | None:
    """The event as Mem0's clients poll it; None: this person has none of this id.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    row = await memory.db.run(
        lambda connection: connection.fetchrow(query("learning_of_turn"), person, event_id)
    )
    facts = {one.memory_id: one for one in await facts_of(memory, person)}
    if row is not None:
        changed = zip(row["fact_ids"], row["changes"], strict=True)
        results = [
            result(str(fact_id), facts[fact_id].text, mem0_event(change))
            for fact_id, change in changed
            if fact_id in facts
        ]
        return _event(event_id, STATES[row["state"]], results, row["said_at"].isoformat(), row["error"])
    if event_id in facts:
        one = facts[event_id]
        return _event(
            event_id, "SUCCEEDED", [result(str(event_id), one.text, "ADD")], one.created_at.isoformat(), ""
        )
    return None


async def last_events(memory: Memory, person: str | None) -> list[dict[str, Any]]:
    """The last ones, newest first, without their results.

    Args:
        person: whose; None: everybody's.
    """
    args = person, "mem0.", MOST_EVENTS
    rows = await memory.db.run(lambda connection: connection.fetch(query("turns_of_calls_named"), *args))
    return [
        _event(row["turn_id"], STATES[row["state"]], [], row["recorded_at"].isoformat(), "") for row in rows
    ]


async def wait_learned(memory: Memory, person: str, event_id: UUID, limit_s: float) -> list[dict[str, Any]]:
    """What was learned, once it is; nothing when that takes longer than `limit_s` seconds."""
    try:
        async with asyncio.timeout(limit_s):
            while True:
                event = await event_of(memory, person, event_id)
                if event is None or event["status"] in ("SUCCEEDED", "FAILED"):
                    return event["results"] if event else []
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        return []


def mem0_event(change: str) -> str:
    """A change of a fact in Mem0's words."""
    return CHANGES.get(change, "DELETE")


def _event(
    event_id: UUID, status: str, results: list[dict[str, Any]], created_at: str, error: str
) -> dict[str, Any]:
    return {
        "id": str(event_id),
        "event_id": str(event_id),
        "event_type": "ADD",
        "status": status,
        "results": results,
        "created_at": created_at,
        "updated_at": created_at,
        "error": error or None,
    }
