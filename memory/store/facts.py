"""What was learned about a caller, in Mem0's own table, so that Mem0 reads it too."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from echoic.memory.embedding.embedder import Vector
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.store.turns import counted
from echoic.memory.text.words import clean
from echoic.memory.types import Caller, Fact

Facts = list[Fact]  # inside the class, `list` is a method


class FactStore:
    """Facts: read here; added and closed inside a learner's own transaction."""

    def __init__(self, db: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db, self._now = db, now

    async def list(self, user_id: str, *, include_closed: bool = False) -> Facts:
        """A user's facts, oldest first; live ones only unless asked."""
        rows = await self._db.run(
            lambda connection: connection.fetch(query("list_facts"), user_id, include_closed, self._now())
        )
        return [fact_from(row["id"], row["payload"]) for row in rows]

    async def profile(self, caller: Caller, limit: int) -> Facts:
        """The most important live facts that this caller's agent may see."""
        args = (caller.user_id, caller.agent_id, limit, self._now())
        rows = await self._db.run(lambda connection: connection.fetch(query("profile"), *args))
        return [fact_from(row["id"], row["payload"]) for row in rows]

    async def similar(self, user_id: str, agent_id: str, vector: Vector, limit: int) -> Facts:
        """The live facts nearest to a vector: what a new fact may repeat or replace."""
        args = (user_id, agent_id, vector, limit, self._now())
        rows = await self._db.run(lambda connection: connection.fetch(query("similar_facts"), *args))
        return [fact_from(row["id"], row["payload"]) for row in rows]

    async def add(self, connection: Connection, facts: Sequence[Fact], vectors: Vector) -> None:
        """Insert facts with their words, in the caller's transaction."""
        for fact, vector in zip(facts, vectors, strict=True):
            words, found, counts = counted(fact.text)
            await connection.execute(
                query("insert_fact"),
                *(
                    fact.user_id,
                    fact.fact_id,
                    vector,
                    json.dumps(payload_of(fact)),
                    words,
                    list(fact.turn_ids),
                    found,
                    counts,
                ),
            )

    async def close(self, connection: Connection, user_id: str, fact_id: UUID, closed_at: datetime) -> bool:
        """End a fact at `closed_at`, in the caller's transaction: it is history from then on.

        False when it had ended before.
        """
        expired = (min(closed_at, _now()) - timedelta(days=1)).date().isoformat()
        args = (user_id, fact_id, closed_at, closed_at.isoformat(), expired, _now().isoformat())
        done = await connection.execute(query("close_fact"), *args)
        return done == "UPDATE 1"


def payload_of(fact: Fact) -> dict[str, Any]:
    """Mem0's payload of a fact, with our keys beside Mem0's own."""
    now, text = _now().isoformat(), clean(fact.text)
    payload: dict[str, Any] = {
        "data": text,
        "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "text_lemmatized": " ".join(counted(text)[1]),
        "user_id": fact.user_id,
        "created_at": now,
        "updated_at": now,
        "topic": fact.topic,
        "sub_topic": fact.sub_topic,
        "importance": fact.importance,
        "scope": fact.scope,
        "kept_by": fact.agent_id,
        "said_at": fact.said_at.isoformat(),
        "turn_ids": [str(turn_id) for turn_id in fact.turn_ids],
    }
    if fact.valid_from is not None:
        payload["valid_from"] = fact.valid_from.isoformat()
    if fact.valid_until is not None:
        payload["valid_until"] = fact.valid_until.isoformat()
        payload["expiration_date"] = (fact.valid_until - timedelta(days=1)).date().isoformat()
    return payload


def fact_from(fact_id: UUID, payload: str) -> Fact:
    """A row of Mem0's table as a fact; what Mem0 itself wrote lacks our keys and gets plain defaults."""
    data = json.loads(payload)
    return Fact(
        fact_id=fact_id,
        user_id=data["user_id"],
        text=data.get("data", ""),
        topic=data.get("topic", ""),
        sub_topic=data.get("sub_topic", ""),
        importance=float(data.get("importance") or 0.5),
        scope=data.get("scope", "user"),
        agent_id=data.get("kept_by", ""),
        said_at=_time(data.get("said_at") or data.get("created_at")) or _now(),
        valid_from=_time(data.get("valid_from")),
        valid_until=_time(data.get("valid_until")),
        turn_ids=tuple(UUID(turn_id) for turn_id in data.get("turn_ids", ())),
    )


async def notify(connection: Connection, user_id: str, call_id: str = "") -> None:
    """Tell every process, when this transaction commits, that this user's memory changed."""
    await connection.execute(query("notify"), user_id, call_id)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)
