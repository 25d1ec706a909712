"""Blobs: messages are turns of the house, told under the blob's id; texts that nobody said are documents.

A conversation goes on, blob after blob, until nothing is told for half an hour or the next was said at
another time: what belongs together is learned together.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
from pydantic import BaseModel, ValidationError

from echoic.api.access.wall import ONLY
from echoic.api.memobase.asker import About
from echoic.api.memobase.bodies import BlobBody, Chat, Doc, Message, Summary, moment
from echoic.api.memobase.frame import failed
from echoic.memory.call import CallMemory
from echoic.memory.chat.written import Words, keep_words
from echoic.memory.privacy.forget import forget
from echoic.memory.review.corrections import NotRemembered
from echoic.memory.service import Memory
from echoic.memory.store.queries import query
from echoic.memory.types import Caller, ForgetRequest

TALK = "memobase.talk:"
"""How ids of such calls begin."""
REST = timedelta(minutes=30)
NOBODY = "There is no such user."
LABEL = "memobase"
"""Name of what is kept with a turn, so that a blob can be given back."""
Kind = TypeVar("Kind", bound=BaseModel)
DOCUMENTS: dict[str, type[BaseModel]] = {"doc": Doc, "summary": Summary}


@dataclass(frozen=True, slots=True)
class Blob:
    """One that was told."""

    kind: str
    data: dict[str, Any]
    fields: dict[str, Any] | None
    created_at: datetime
    turn_ids: frozenset[UUID] = frozenset()

    def answer(self) -> dict[str, Any]:
        """As Memobase's clients read it."""
        times = {"created_at": self.created_at, "updated_at": self.created_at}
        return {"blob_type": self.kind, "blob_data": self.data, "fields": self.fields, **times}


async def insert(about: About, body: BlobBody) -> UUID:
    """Durable when this returns; a conversation is learned later, and a document is not.

    Raises:
        Problem: 500, as Memobase has it: it cannot be read, or nothing is known of this type.
        NotRemembered: nothing is kept of this person.
        StoreUnavailable: not all of it is stored; told again, it is told twice.
    """
    blob_id = uuid4()
    if not await about.exists():
        raise failed(500, NOBODY)
    if body.blob_type == "chat":
        await _record(about, blob_id, body, _read(Chat, body).messages)
        return blob_id
    kind = DOCUMENTS.get(body.blob_type)
    if kind is None:
        raise failed(500, f"Blobs of the type {body.blob_type} are not implemented.")
    data = _read(kind, body).model_dump_json()
    fields = None if body.fields is None else json.dumps(body.fields)
    args = (about.user_id, blob_id, body.blob_type, data, fields, body.created_at)

    async def add(connection: asyncpg.Connection) -> None:
        await connection.execute(query("lock_user_shared"), about.user_id)
        if await connection.fetchval(query("is_stopped"), about.user_id):
            raise NotRemembered
        if not await connection.fetchval(query("user_exists"), about.user_id):
            raise failed(500, NOBODY)
        await connection.execute(query("add_document"), *args)

    await about.memory.db.transaction(add)
    return blob_id


async def read(about: About, blob_id: UUID) -> Blob | None:
    """A blob as it is stored: without secrets, and without messages that were forgotten."""

    async def found(connection: asyncpg.Connection) -> Blob | None:
        rows = await connection.fetch(query("blob_turns"), about.user_id, str(blob_id))
        if rows:
            return _chat(rows)
        row = await connection.fetchrow(query("read_document"), about.user_id, blob_id)
        fields = row and row["fields"] and json.loads(row["fields"])
        return row and Blob(row["kind"], json.loads(row["data"]), fields, row["created_at"])

    return await about.memory.db.run(found)


async def delete(about: About, blob_id: UUID) -> None:
    """Forget the words of a blob; what was learned from them stays, as at Memobase."""
    blob = await read(about, blob_id)
    if blob is not None and blob.turn_ids:
        await forget(CallMemory(about.memory, about.caller), ForgetRequest(lone_turn_ids=blob.turn_ids))
    await about.memory.db.run(
        lambda connection: connection.execute(query("delete_document"), about.user_id, blob_id)
    )


async def _record(about: About, blob_id: UUID, body: BlobBody, said: Sequence[Message]) -> None:
    spoken = [one for one in said if one.content.strip()]
    words = [_words(blob_id, place, one, body) for place, one in enumerate(spoken)]
    if not words:
        return
    # the recorder works for everybody, also after this request: it may not stand behind one person's wall
    before = ONLY.set(None)
    try:
        call_id = await _conversation(about.memory, about.caller, words[0].said_at)
        kept = await keep_words(about.memory, replace(about.caller, call_id=call_id), words)
    finally:
        ONLY.reset(before)
    if not any(kept):
        raise NotRemembered


def _words(blob_id: UUID, place: int, one: Message, body: BlobBody) -> Words:
    at = moment(one.created_at) or body.created_at
    fields = None if place else body.fields
    told = {"blob": str(blob_id), "fields": fields, "alias": one.alias, "created_at": one.created_at}
    labels = {LABEL: {name: value for name, value in told.items() if value is not None}}
    return Words(f"{blob_id}:{place}", one.role, one.content, at, at is not None, json.dumps(labels))


async def _conversation(memory: Memory, caller: Caller, said_at: datetime | None) -> str:
    """The call that goes on; the id of a new one is the same for every process that sees it begin."""
    whose = (caller.user_id, caller.agent_id)
    last = await memory.db.run(lambda connection: connection.fetchrow(query("last_call_named"), *whose, TALK))
    own = hashlib.sha256("\0".join(whose).encode()).hexdigest()[:16]
    if last is None:
        return f"{TALK}{own}.0"
    said_last = await memory.turns.of_call(replace(caller, call_id=last["call_id"]), 1)
    now = memory.now()
    near = all(abs((said_at or now) - turn.said_at) < REST for turn in said_last)
    if near and now - last["recorded_at"] < REST:
        return str(last["call_id"])
    return f"{TALK}{own}.{last['ref']}"


def _read(kind: type[Kind], body: BlobBody) -> Kind:
    try:
        return kind.model_validate(body.blob_data)
    except ValidationError as exc:
        places = ", ".join(".".join(map(str, one["loc"])) for one in exc.errors()[:5])
        raise failed(500, f"The blob cannot be read: see {places}.") from None


def _chat(rows: Sequence[asyncpg.Record]) -> Blob:
    told = [json.loads(row["labels"])[LABEL] for row in rows]
    messages = [
        {
            "role": row["role"],
            "content": row["text"],
            "alias": one.get("alias"),
            "created_at": one.get("created_at"),
        }
        for row, one in zip(rows, told, strict=True)
    ]
    ids = frozenset(row["turn_id"] for row in rows)
    return Blob("chat", {"messages": messages}, told[0].get("fields"), rows[0]["recorded_at"], ids)
