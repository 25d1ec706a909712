"""Everything known about one person, in every store, as JSON that is read and written a page at a time."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg

from echoic.memory.disk.quarantine import SetAside
from echoic.memory.errors import StoreUnavailable, UserUnknown
from echoic.memory.privacy.changes import Change
from echoic.memory.service import Memory
from echoic.memory.settings.links import LinkStore
from echoic.memory.store.database import Snapshot
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact, Turn

STATEMENTS = {
    "facts": "export_facts",
    "turns": "export_turns",
    "batches": "export_batches",
    "consents": "export_consent",
    "fact_changes": "export_changes",
    "forgotten": "export_forgotten",
    "events": "export_events",
    "api_keys": "export_keys",
    "settings": "export_settings",
    "archived_facts": "export_archived",
    "maintenance_runs": "export_runs",
    "undone_calls": "export_undone_calls",
    "episodes": "export_episodes",
    "introduction": "export_introduction",
    "documents": "export_documents",
}
"""What Postgres holds about a person, in the order in which it is told."""
WITH_VECTORS = ("export_facts", "export_turns")
PACKED = ("vector", "recall", "labels", "fact", "tags", "delta", "told", "fields")
"""Columns that come as JSON text; left out where there is nothing in them."""
Rows = AsyncIterator[Any]


async def export_user(memory: Memory, user_id: str, *, vectors: bool = False) -> dict[str, Any]:
    """All that every store holds about one user, as JSON-ready values, closed facts included.

    Of somebody who is linked with other ids, all of them: each row then says whose it is.

    Args:
        vectors: also the numbers that stand for each text; they say nothing that the text does not.

    Raises:
        UserUnknown: no store holds anything.
        StoreUnavailable: Postgres cannot be reached, or the server of this user's graph.
    """
    pieces = [piece async for piece in export_pieces(memory, user_id, vectors=vectors)]
    found: dict[str, Any] = json.loads("".join(pieces))
    return found


async def export_pieces(memory: Memory, user_id: str, *, vectors: bool = False) -> AsyncIterator[str]:
    """`export_user` as JSON text, piece by piece: the first comes when something is known to be there.

    50,000 facts are held a page at a time; one state of Postgres is told, whatever is written meanwhile.
    """
    # read first: what is replayed from here on is in the spool or in Postgres, or in both, never in neither
    ids = await LinkStore(memory.db).ids(user_id)
    spooled = {one: [turn_as_json(turn) for turn in await memory.spool.of_user(one)] for one in ids}
    aside = {one: [_aside_as_json(part) for part in await memory.spool.set_aside(one)] for one in ids}
    async with memory.db.snapshot() as snapshot:
        each: dict[str, Callable[[str], Rows]] = {
            name: partial(_rows, snapshot, sql, vectors) for name, sql in STATEMENTS.items()
        }
        each |= {
            "mem0_rows": partial(_mem0_rows, snapshot),
            "spooled_turns": lambda one: _each(spooled[one]),
            "set_aside": lambda one: _each(aside[one]),
            "jobs": partial(_jobs, memory),
        }
        sections = {name: _of_all(ids, rows) for name, rows in each.items()}
        sections |= {"graphs": _graphs(memory, snapshot, user_id), "links": _links(snapshot, user_id)}
        held, known = "", Known()
        opening = {"user_id": user_id, "exported_at": datetime.now(UTC).isoformat()}
        watched = {name: known.watch(rows) for name, rows in sections.items()}
        async for piece in json_pieces(opening, watched):
            held += piece
            if known.anything:
                yield held
                held = ""
    if not known.anything:
        raise UserUnknown(f"Nothing is known about the user {user_id!r}.")


class Known:
    """Whether any store holds anything: nobody's export is a mistake, and not a file."""

    def __init__(self) -> None:
        self.anything = False

    async def watch(self, rows: Rows) -> Rows:
        """The same rows."""
        async for row in rows:
            self.anything = True
            yield row


async def json_pieces(opening: Mapping[str, str], sections: Mapping[str, Rows]) -> AsyncIterator[str]:
    """One JSON object as text: what it opens with, then a list for each section, an element a piece."""
    yield "{" + ", ".join(f"{json.dumps(name)}: {_text(value)}" for name, value in opening.items())
    comma = ", " if opening else ""
    for name, rows in sections.items():
        yield f"{comma}{json.dumps(name)}: ["
        comma = ""
        async for row in rows:
            yield comma + _text(row)
            comma = ", "
        yield "]"
        comma = ", "
    yield "}"


def fact_as_json(fact: Fact) -> dict[str, Any]:
    """A fact as `echoic memories --json` prints it."""
    return {
        "id": str(fact.fact_id),
        "text": fact.text,
        "topic": fact.topic,
        "importance": fact.importance,
        "scope": fact.scope,
        "said_at": fact.said_at.isoformat(),
        "valid_from": fact.valid_from and fact.valid_from.isoformat(),
        "valid_until": fact.valid_until and fact.valid_until.isoformat(),
        "turn_ids": [str(turn_id) for turn_id in fact.turn_ids],
        "about": fact.about and str(fact.about),
        "evidence": [{"turn_id": str(one.turn_id), "quote": one.quote} for one in fact.evidence],
        "precision": fact.precision,
        "kind": fact.kind,
        "due": fact.due and fact.due.isoformat(),
        "names": list(fact.names),
        "sub_topic": fact.sub_topic,
    }


def change_as_json(change: Change) -> dict[str, Any]:
    """A change as `echoic diff --json` prints it."""
    return {
        "fact_id": str(change.fact_id),
        "change": change.kind,
        "changed_at": change.changed_at.isoformat(),
        "by": change.by_whom,
        "before": change.before and fact_as_json(change.before),
        "now": change.now and fact_as_json(change.now),
        "undone": change.undone_at is not None,
        "call_id": change.call_id,
    }


def turn_as_json(turn: Turn) -> dict[str, Any]:
    """A turn as `echoic memories --json` prints it."""
    return {
        "turn_id": str(turn.turn_id),
        "role": turn.role,
        "text": turn.text,
        "said_at": turn.said_at.isoformat(),
        "interrupted": turn.interrupted,
        "state": turn.state,
        "timezone": turn.timezone,
    }


async def _of_all(ids: Sequence[str], rows: Callable[[str], Rows]) -> Rows:
    """Of each id in its turn; a row says whose it is where there are several."""
    for one in ids:
        async for row in rows(one):
            yield {"of": one, **_as_object(row)} if len(ids) > 1 else row


def _as_object(row: Any) -> dict[str, Any]:
    return row if isinstance(row, dict) else {"job": row}


async def _links(snapshot: Snapshot, user_id: str) -> Rows:
    async for row in snapshot.rows(query("links_of"), user_id):
        yield _plain(row, vectors=False)


async def _rows(snapshot: Snapshot, sql: str, vectors: bool, user_id: str) -> Rows:
    as_json = _fact_row if sql == "export_facts" else _plain
    args = (user_id, vectors) if sql in WITH_VECTORS else (user_id,)
    async for row in snapshot.rows(query(sql), *args):
        yield as_json(row, vectors)


async def _mem0_rows(snapshot: Snapshot, user_id: str) -> Rows:
    """What Mem0 keeps beside its facts."""
    tables = [row[0] async for row in snapshot.rows(query("mem0_collections"))]
    for table in tables:
        sql = f"select payload from {table} where payload ->> 'user_id' = $1"
        async for row in snapshot.rows(sql, user_id):
            yield {"table": table, **json.loads(row["payload"])}


async def _jobs(memory: Memory, user_id: str) -> Rows:
    for job in await memory.jobs.of_user(user_id):
        yield job


async def _graphs(memory: Memory, snapshot: Snapshot, user_id: str) -> Rows:
    """Each with the agent that was told it."""
    async for row in snapshot.rows(query("user_graphs"), user_id):
        if memory.graph is None:
            raise StoreUnavailable(
                "This user has a graph, and none is open here: set ECHOIC_GRAPH=on with its address, and "
                "export again."
            )
        graph = await memory.graph.export(row["group_id"])
        yield {"agent_id": row["agent_id"], "group_id": row["group_id"], **graph}


async def _each(rows: Iterable[dict[str, Any]]) -> Rows:
    for row in rows:
        yield row


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _aside_as_json(element: SetAside) -> dict[str, Any]:
    """What was set aside from the spool, readable as far as it is."""
    return {
        "id": str(element.element_id),
        "reason": element.reason,
        "set_aside_at": element.set_aside_at and element.set_aside_at.isoformat(),
        "turns": [turn_as_json(line.turn) for line in element.lines if line.turn],
        "damaged": [line.raw.decode(errors="replace") for line in element.lines if not line.turn],
    }


def _fact_row(row: asyncpg.Record, vectors: bool) -> dict[str, Any]:
    payload = json.loads(row["payload"])
    learned = {
        "agent_id": payload.get("kept_by"),
        "created_at": payload.get("created_at"),
        "updated_at": payload.get("updated_at"),
    }
    labels = {"labels": payload["labels"]} if payload.get("labels") else {}
    vector = {"vector": json.loads(row["vector"])} if vectors else {}
    return fact_as_json(fact_from(row["id"], row["payload"])) | learned | labels | vector


def _plain(row: asyncpg.Record, vectors: bool) -> dict[str, Any]:
    fields = {name: _json_ready(value) for name, value in row.items() if name not in PACKED}
    packed = [name for name in PACKED if row.get(name) and (vectors or name != "vector")]
    return fields | {name: json.loads(row[name]) for name in packed}


def _json_ready(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_json_ready(one) for one in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
