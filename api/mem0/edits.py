"""One memory or all of them changed, removed, and what each was before: on the house's facts and turns."""

import json
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from uuid import UUID

from echoic.api.mem0.bodies import FeedbackBody, UpdateBody
from echoic.api.mem0.conversation.events import mem0_event
from echoic.api.mem0.entities import Names
from echoic.api.mem0.faults import invalid, unknown
from echoic.api.mem0.filters.dates import end_of_day, moment
from echoic.api.mem0.memo import Memo, facts_of, memo_of
from echoic.memory.call import CallMemory
from echoic.memory.privacy.forget import forget
from echoic.memory.review import facts, people
from echoic.memory.review.corrections import FactChanged, edit_fact
from echoic.memory.service import Memory
from echoic.memory.store.queries import query
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, ForgetRequest

TRIES = 3
AT_ONCE = 500
"""Turns and facts that are forgotten in one transaction."""
FEEDBACK = ("POSITIVE", "NEGATIVE", "VERY_NEGATIVE")


async def update(memory: Memory, memo: Memo, body: UpdateBody, by_whom: str) -> Memo:
    """The memory as it is after the change.

    Raises:
        Problem: 400; nothing is changed, or the words were said and cannot be edited.
        FactUnknown, FactChanged, StoreUnavailable, ModelUnavailable: it stands as it was.
    """
    fields: dict[str, Any] = {}
    if body.new_text is not None:
        fields["text"] = body.new_text
    if body.timestamp is not None:
        fields["said_at"] = memory.clock.not_ahead(moment(body.timestamp, "timestamp"))
    if "expiration_date" in body.model_fields_set:
        day = body.expiration_date
        fields["valid_until"] = end_of_day(day) if day else None
    if body.metadata is None and not fields:
        raise invalid("Send text, metadata, timestamp or expiration_date.")
    labels = {} if body.metadata is None else {"metadata": body.metadata}
    return await _edit(memory, memo, fields, labels, by_whom)


async def give_feedback(memory: Memory, memo: Memo, body: FeedbackBody, by_whom: str) -> None:
    """Keep what somebody thinks of a memory with it; none takes it back.

    Raises:
        Problem: 400; there is no such feedback.
    """
    feedback = body.feedback.upper() if body.feedback else None
    if feedback is not None and feedback not in FEEDBACK:
        raise invalid(f"feedback is one of {', '.join(FEEDBACK)}, or null.")
    given = {"feedback": feedback, "feedback_reason": body.feedback_reason if feedback else None}
    await _edit(memory, memo, {}, given, by_whom)


async def _edit(
    memory: Memory, memo: Memo, fields: dict[str, Any], labels: dict[str, Any], by_whom: str
) -> Memo:
    """Mem0's clients send no version: what somebody else changes meanwhile is read again, and kept."""
    for _ in range(TRIES):
        if not memo.is_fact:
            raise invalid("These words are not learned yet: they can be forgotten, and not edited.")
        merged = {key: value for key, value in {**memo.labels, **labels}.items() if value is not None}
        changed = fields | ({"labels": merged} if labels else {})
        one, version = (memory, memo.person, memo.memory_id), memo.version
        with suppress(FactChanged):
            await edit_fact(*one, changed, version=version, by_whom=by_whom)
            return await found(*one)
        memo = await found(*one)
    raise FactChanged


async def found(memory: Memory, person: str, memory_id: UUID) -> Memo:
    """Raises Problem: 404; this person has no such memory, or no more."""
    memo = await memo_of(memory, person, memory_id)
    if memo is None:
        raise unknown()
    return memo


async def forget_one(memory: Memory, memo: Memo) -> None:
    """Forget it in every store; words that were said go with what is learned from them meanwhile."""
    ids = frozenset({memo.memory_id})
    wanted = ForgetRequest(fact_ids=ids) if memo.is_fact else ForgetRequest(turn_ids=ids)
    await forget(_as_caller(memory, memo.person, memo.kept_by), wanted)


async def forget_all(memory: Memory, person: str, names: Names) -> int:
    """Forget what is known of a person and what they said, or the part that belongs to an agent, app or run.

    Returns how many memories that were.
    """
    own, agent_id = names.labels, names.agent_id
    mine = [
        one.memory_id
        for one in await facts_of(memory, person)
        if agent_id in (None, one.kept_by) and own.items() <= dict(one.labels).items()
    ]
    rows = await memory.db.run(
        lambda connection: connection.fetch(query("turns_labelled"), person, agent_id, json.dumps(own))
    )
    call = _as_caller(memory, person, memory.settings.agent_id)
    for some in _parts([row["turn_id"] for row in rows]):
        await forget(call, ForgetRequest(turn_ids=some))
    for some in _parts(mine):
        await forget(call, ForgetRequest(fact_ids=some))
    return len(mine)


async def history(memory: Memory, memo: Memo) -> list[dict[str, Any]]:
    """What the memory was, oldest first, with the words that it rests on."""
    fact = await facts.fact(memory.db, memo.person, memo.memory_id)
    changes = [
        one for one in await facts.history(memory.db, memo.person, memo.memory_id) if not one.undone_at
    ]
    said = [] if fact is None else await people.turns_by_id(memory.db, memo.person, [*fact.fact.turn_ids])
    told = [{"role": turn.role, "content": turn.text} for turn in said]
    before = [one.before and shown(one.before.text, one.before.about) for one in changes]
    texts = [*before[1:], memo.text]
    rows = [
        (mem0_event(one.change), old, text, one.changed_at)
        for one, old, text in zip(changes, before, texts, strict=False)
    ] or [("ADD", None, memo.text, memo.created_at)]
    return [
        {
            "id": f"{memo.memory_id}.{number}",
            "memory_id": str(memo.memory_id),
            "input": told,
            "old_memory": before,
            "new_memory": None if event == "DELETE" else text,
            "event": event,
            "user_id": memo.entity("user"),
            "categories": [memo.topic] if memo.topic else None,
            "metadata": memo.metadata,
            "created_at": memo.created_at.isoformat(),
            "updated_at": at.isoformat(),
        }
        for number, (event, before, text, at) in enumerate(rows)
    ]


def _as_caller(memory: Memory, person: str, agent_id: str) -> CallMemory:
    return CallMemory(memory, Caller(person, agent_id, "api"))


def _parts(ids: Collection[UUID]) -> list[frozenset[UUID]]:
    listed = list(ids)
    return [frozenset(listed[start : start + AT_ONCE]) for start in range(0, len(listed), AT_ONCE)]
