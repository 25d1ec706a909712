"""`infer=False`: what is said is kept as it stands, a fact each, and nobody learns from it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from echoic.api.mem0.conversation.recording import Told, choices_of
from echoic.api.mem0.faults import invalid
from echoic.api.mem0.memo import Memo, facts_of
from echoic.memory.review.corrections import create_fact
from echoic.memory.service import Memory
from echoic.memory.types import CALLER, Fact, Scope

MOST_CHARS = 2_000
TOPIC = "other"
Result = dict[str, Any]


async def state(
    memory: Memory, told: Told, *, scope: Scope, valid_until: datetime | None, by_whom: str
) -> list[Result]:
    """Store each message as a fact; one that is known already, word for word, stays the one that it is.

    Raises:
        NotRemembered, StoreUnavailable, ModelUnavailable: what was stored before it stays.
        Problem: 400; a message is too long for a fact, and nothing is stored.
    """
    await choices_of(memory, told.person)
    if any(len(one.text) > MOST_CHARS for one in told.said):
        raise invalid(f"messages: with infer=false a message has at most {MOST_CHARS} characters.")
    known = [one for one in await facts_of(memory, told.person) if one.is_live(memory.now())]
    results: list[Result] = []
    for one in told.said:
        labels = {**told.labels, "role": one.role}
        before = next((held for held in known if _says_it(held, one.text, told.agent_id, labels)), None)
        if before is not None:
            results.append(result(str(before.memory_id), before.text, "NONE"))
            continue
        fact = Fact(
            uuid4(),
            told.person,
            one.text,
            TOPIC,
            0.5,
            scope,
            told.agent_id,
            told.said_at or memory.now(),
            valid_until=valid_until,
            about=CALLER,
            labels=labels,
        )
        made = (await create_fact(memory, fact, by_whom=by_whom)).fact
        results.append(result(str(made.fact_id), made.text, "ADD"))
    return results


def result(memory_id: str, text: str, event: str) -> Result:
    """One memory of an answer, as both of Mem0's servers write it."""
    return {"id": memory_id, "memory": text, "data": {"memory": text}, "event": event}


def _says_it(held: Memo, text: str, agent_id: str, labels: Mapping[str, Any]) -> bool:
    return held.text == text and held.kept_by == agent_id and dict(held.labels) == dict(labels)
