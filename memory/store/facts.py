"""What was learned about a caller, in Mem0's own table, so that Mem0 reads it too."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

from echoic.memory.disk.lines import YEARS
from echoic.memory.embedding.embedder import Vector
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.store.turns import counted
from echoic.memory.text.dates.last_day import BEHIND
from echoic.memory.text.people import shown
from echoic.memory.text.words import clean
from echoic.memory.types import About, Caller, Evidence, Fact, FactKind, Precision, Scope

LEARNING = "learning"
"""Who changes facts, unless it is somebody by hand."""
MOST_EVIDENCE = 8
"""Places where a fact was said that are kept; the latest."""
LONGEST_NAME_CHARS = 60
"""What is longer is a sentence that a model took for a name."""
IDS_A_NOTICE = 100
"""A notice of Postgres holds 8,000 bytes."""
ODD = (AttributeError, KeyError, OverflowError, TypeError, ValueError)
"""What a value of another program raises where it is no part of a fact."""
NOBODYS = UUID(int=0)
Facts = list[Fact]  # inside the class, `list` is a method


class FactStore:
    """Facts: read here; added, ended and confirmed in a learner's transaction, which notes each change."""

    def __init__(self, db: Database, *, now: Callable[[], datetime]) -> None:
        self._db, self._now = db, now

    async def list(self, user_id: str, *, include_closed: bool = False) -> Facts:
        """A user's facts, oldest first; live ones only unless asked."""
        rows = await self._db.run(
            lambda connection: connection.fetch(query("list_facts"), user_id, include_closed, self._now())
        )
        return [fact_from(row["id"], row["payload"]) for row in rows]

    async def each(self, user_id: str, *, include_closed: bool = False) -> AsyncIterator[Fact]:
        """As `list`, however many there are: a page of them is in memory at a time."""
        async with self._db.snapshot() as snapshot:
            async for row in snapshot.rows(query("list_facts"), user_id, include_closed, self._now()):
                yield fact_from(row["id"], row["payload"])

    async def past(self, user_id: str) -> Sequence[tuple[Fact, int | None]]:
        """Facts in the archive, and what facts said before somebody edited them, with the change."""

        async def read(connection: Connection) -> Sequence[tuple[Fact, int | None]]:
            archived = await connection.fetch(query("list_archived"), user_id)
            edited = await connection.fetch(query("earlier_versions"), user_id)
            return [
                *((fact_from(row["id"], row["fact"]), None) for row in archived),
                *((fact_from(uuid4(), row["before"]), row["change_id"]) for row in edited),
            ]

        return await self._db.run(read)

    async def profile(self, caller: Caller, limit: int) -> Facts:
        """The most important live facts that this caller's agent may see."""
        now = self._now()
        args = (caller.ids, caller.agent_id, limit, now, now - BEHIND)
        rows = await self._db.run(lambda connection: connection.fetch(query("profile"), *args))
        return [fact_from(row["id"], row["payload"]) for row in rows]

    async def names(self, caller: Caller, limit: int) -> tuple[str, ...]:
        """Names of other people, places and things in those facts, the most important facts' first."""
        args = (caller.ids, caller.agent_id, limit, self._now(), LONGEST_NAME_CHARS)
        rows = await self._db.run(lambda connection: connection.fetch(query("names"), *args))
        return tuple(row["name"] for row in rows)

    async def similar(
        self, user_id: str, agent_id: str, vector: Vector, limit: int, *, ended: bool = False
    ) -> Sequence[tuple[float, Fact]]:
        """The live facts nearest to a vector, each with how far away it is: what a new fact may repeat or
        replace. `ended`: the others instead."""
        args = (user_id, agent_id, vector, limit, self._now(), ended)
        rows = await self._db.run(lambda connection: connection.fetch(query("similar_facts"), *args))
        return [(row["away"], fact_from(row["id"], row["payload"])) for row in rows]

    async def add(
        self,
        connection: Connection,
        facts: Sequence[Fact],
        vectors: Vector,
        *,
        batch_id: UUID | None = None,
        by_whom: str = LEARNING,
    ) -> None:
        """Insert facts with their words, in the caller's transaction.

        Args:
            batch_id: the batch that taught them; None: nobody's, such as a person's own hand.
        """
        for fact, vector in zip(facts, vectors, strict=True):
            fact = replace(fact, said_at=self._db.clock.not_ahead(fact.said_at))
            words, found, counts = counted(shown(fact.text, fact.about))
            await connection.execute(
                query("insert_fact"),
                *(fact.user_id, fact.fact_id, vector, json.dumps(payload_of(fact)), words),
                *(found, counts),
            )
        if facts:
            ids = [fact.fact_id for fact in facts]
            await connection.execute(query("note_added"), facts[0].user_id, ids, batch_id, by_whom)

    async def end(
        self,
        connection: Connection,
        user_id: str,
        fact_id: UUID,
        at: datetime,
        *,
        batch_id: UUID | None = None,
        by_whom: str = LEARNING,
        by: UUID | None = None,
        said_at: datetime | None = None,
    ) -> bool:
        """End a fact at `at`, in the caller's transaction: it is history from then on.

        Args:
            by: the fact that stands in its place.
            said_at: when that was said, if `at` may be still to come; what ends later than that ends at `at`.

        False when it had ended before.
        """
        change = {"valid_until": at.isoformat(), "expiration_date": _last_day(at)}
        args = (connection, user_id, fact_id, change, "ended", batch_id, by_whom)
        return await _change(*args, live_after=min(at, said_at or at), by=by)

    async def confirm(
        self,
        connection: Connection,
        user_id: str,
        fact_id: UUID,
        evidence: Sequence[Evidence],
        *,
        batch_id: UUID | None = None,
        until: datetime | None = None,
    ) -> bool:
        """Add words that say a fact again, in the caller's transaction; False when it is gone.

        Args:
            until: they say that it lasts until then.
        """
        payload = await connection.fetchval(query("fact_payload"), user_id, fact_id)
        if payload is None:
            return False
        fact = fact_from(fact_id, payload)
        told = {one.turn_id for one in fact.evidence}
        more = (*fact.evidence, *(one for one in evidence if one.turn_id not in told))[-MOST_EVIDENCE:]
        turn_ids = list(dict.fromkeys([*fact.turn_ids, *(one.turn_id for one in more)]))
        change: dict[str, Any] = {
            "evidence": _evidence_json(more),
            "turn_ids": [str(one) for one in turn_ids],
        }
        if until is not None:
            change |= {"valid_until": until.isoformat(), "expiration_date": _last_day(until)}
        return await _change(connection, user_id, fact_id, change, "confirmed", batch_id, LEARNING)


async def _change(
    connection: Connection,
    user_id: str,
    fact_id: UUID,
    change: dict[str, Any],
    kind: str,
    batch_id: UUID | None,
    by_whom: str,
    *,
    live_after: datetime | None = None,
    by: UUID | None = None,
) -> bool:
    merged = json.dumps(change | {"updated_at": _now().isoformat()})
    args = (user_id, fact_id, merged, batch_id, kind, by_whom, live_after, by)
    return bool(await connection.execute(query("change_fact"), *args) != "INSERT 0 0")


def payload_of(fact: Fact) -> dict[str, Any]:
    """Mem0's payload of a fact, with our keys beside Mem0's own."""
    now, text = _now().isoformat(), clean(fact.text)
    payload: dict[str, Any] = {
        "data": text,
        "hash": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
        "text_lemmatized": " ".join(counted(shown(text, fact.about))[1]),
        "user_id": fact.user_id,
        "created_at": now,
        "updated_at": now,
        "topic": fact.topic,
        "importance": fact.importance,
        "scope": fact.scope,
        "kept_by": fact.agent_id,
        "said_at": fact.said_at.isoformat(),
        "turn_ids": [str(turn_id) for turn_id in fact.turn_ids],
        "evidence": _evidence_json(fact.evidence),
        "names": list(fact.names),
    }
    if fact.about is not None:
        payload["about"] = {"role": fact.about.role, "name": fact.about.name}
    if fact.sub_topic:
        payload["sub_topic"] = fact.sub_topic
    if fact.precision:
        payload["precision"] = fact.precision
    if fact.kind != "fact":
        payload["kind"] = fact.kind
    if fact.labels:
        payload["labels"] = dict(fact.labels)
    if fact.due is not None:
        payload["due"] = fact.due.isoformat()
    if fact.valid_from is not None:
        payload["valid_from"] = fact.valid_from.isoformat()
    if fact.valid_until is not None:
        payload["valid_until"] = fact.valid_until.isoformat()
        payload["expiration_date"] = _last_day(fact.valid_until)
    return payload


def fact_from(fact_id: UUID, payload: str) -> Fact:
    """A row of Mem0's table as a fact; what Mem0 itself wrote lacks our keys and gets plain defaults.

    So does what cannot be read: other programs write here too, and one odd value would cost its person all.
    """
    data = json.loads(payload)
    try:
        return _fact(fact_id, data)
    except ODD:
        whose = {"user_id": data["user_id"]}
        return _fact(fact_id, {name: data[name] for name in data if _reads({**whose, name: data[name]})})


def _reads(data: dict[str, Any]) -> bool:
    try:
        return bool(_fact(NOBODYS, data))
    except ODD:
        return False


def _fact(fact_id: UUID, data: dict[str, Any]) -> Fact:
    return Fact(
        fact_id=fact_id,
        user_id=data["user_id"],
        text=_text(data.get("data", "")),
        topic=_text(data.get("topic", "")),
        importance=float(data.get("importance") or 0.5),
        scope=_one_of(get_args(Scope), data.get("scope", "user")),
        agent_id=_text(data.get("kept_by", "")),
        said_at=_time(data.get("said_at") or data.get("created_at")) or _now(),
        valid_from=_time(data.get("valid_from")),
        valid_until=_time(data.get("valid_until")),
        turn_ids=tuple(UUID(turn_id) for turn_id in data.get("turn_ids", ())),
        about=_about(data["about"]) if "about" in data else None,
        evidence=tuple(
            Evidence(UUID(one["turn_id"]), _text(one["quote"])) for one in data.get("evidence", ())
        ),
        precision=_one_of(get_args(Precision), data.get("precision", "")),
        kind=_one_of(get_args(FactKind), data.get("kind", "fact")),
        due=_time(data.get("due")),
        names=tuple(map(_text, data.get("names", ()))),
        labels=dict(data.get("labels") or {}),
        sub_topic=_text(data.get("sub_topic", "")),
    )


def about_from(value: Any) -> About | None:
    """Whose a fact is, as its payload has it; None where another program has put something else there."""
    try:
        return _about(value)
    except ODD:
        return None


def _about(data: Mapping[str, Any]) -> About:
    return About(**{key: _text(one) for key, one in data.items()})


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("no text")


def _one_of(known: tuple[str, ...], value: Any) -> Any:
    if value in known:
        return value
    raise ValueError("a word of another program")


async def notify(connection: Connection, user_id: str, call_id: str = "") -> None:
    """Tell every process, when this transaction commits, that this user's memory changed."""
    await connection.execute(query("notify"), user_id, call_id)


async def tell_forgotten(connection: Connection, user_id: str, ids: Sequence[UUID]) -> None:
    """Tell every process, when this transaction commits, that these turns and facts are gone."""
    for start in range(0, len(ids), IDS_A_NOTICE):
        await connection.execute(query("notify_forgotten"), user_id, ids[start : start + IDS_A_NOTICE])


def _evidence_json(evidence: Sequence[Evidence]) -> list[dict[str, str]]:
    return [{"turn_id": str(one.turn_id), "quote": clean(one.quote)} for one in evidence]


def _last_day(until: datetime) -> str:
    """The last whole day: Mem0 hides a memory after its expiration date."""
    return (until - timedelta(days=1)).date().isoformat()


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    when = datetime.fromisoformat(text)
    if when.year not in YEARS:
        raise ValueError("too far away")
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)
