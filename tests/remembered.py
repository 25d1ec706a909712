"""What a test's caller says and what is known of them, written as an agent and a learner leave it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import notify
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, Fact, Role, Turn

NOW = datetime.now(UTC)


def caller(user_id: str = "ana", agent_id: str = "echoic", call_id: str | None = None) -> Caller:
    """Somebody in a call; by default in a new one."""
    return Caller(user_id, agent_id, call_id or uuid4().hex)


def fact(text: str, user_id: str = "ana", **fields: Any) -> Fact:
    """Learned now from words to the default agent, unless `fields` say otherwise."""
    known: dict[str, Any] = {
        "topic": "t",
        "importance": 0.5,
        "scope": "user",
        "agent_id": "echoic",
        "said_at": NOW,
    }
    return Fact(uuid4(), user_id, text, **known | fields)


async def learn(memory: Memory, *facts: Fact) -> None:
    """Put facts into Postgres, and tell every process that holds these users' memories."""
    # the first vector starts the host's server, which takes longer than a transaction may
    vectors = await memory.embedder.embed_batch([shown(fact.text, fact.about) for fact in facts])

    async def add(connection: Connection) -> None:
        await memory.facts.add(connection, facts, vectors)
        for fact in facts:
            await notify(connection, fact.user_id)

    await memory.db.transaction(add)


async def said_of(memory: Memory, user_id: str) -> list[tuple[str, str, bool]]:
    """Who said what, and whether it was cut off: every turn, once all are in Postgres.

    On a busy machine one is on the disk first.
    """
    async with asyncio.timeout(30):
        while memory.spool.waiting:
            await memory.recorder.wait_replayed()
    return [(turn.role, turn.text, turn.interrupted) for turn in await memory.turns.list(user_id)]


async def say(
    memory: Memory,
    *texts: str,
    user_id: str = "ana",
    role: Role = "user",
    agent_id: str = "echoic",
    call_id: str = "call",
    said_at: datetime | None = None,
) -> Sequence[Turn]:
    """Turns of one call as rows, a millisecond apart, nothing learned from them yet."""
    said_at = said_at or datetime.now(UTC)
    turns = []
    for place, text in enumerate(texts):
        turn_id = turn_id_for(call_id, uuid4().hex)
        turns.append(
            Turn(
                turn_id,
                user_id,
                agent_id,
                call_id,
                place,
                role,
                text,
                said_at + timedelta(milliseconds=place),
            )
        )
        await memory.turns.record(turns[-1])
    return turns
