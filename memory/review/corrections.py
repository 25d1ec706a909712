"""Facts made and changed by a person's hand: each change noted with who made it, so that it can be seen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from echoic.memory.embedding.embedder import Vector
from echoic.memory.errors import MemoryFault
from echoic.memory.graph.ledger import mark_due
from echoic.memory.review.facts import StoredFact, stored, version_of
from echoic.memory.review.facts import fact as fact_of
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import fact_from, notify, payload_of
from echoic.memory.store.queries import query
from echoic.memory.store.turns import counted
from echoic.memory.text.people import shown
from echoic.memory.text.secrets import hide_secrets
from echoic.memory.types import Fact

OURS = (
    *("data", "hash", "text_lemmatized", "topic", "sub_topic", "importance", "scope", "about", "said_at"),
    *("valid_from", "labels"),
)
ENDS = ("valid_until", "expiration_date")
LEAVABLE = ("valid_from", "sub_topic", "labels", *ENDS)
"""Keys of a payload that an edit may take away."""


class FactUnknown(MemoryFault):
    """This person has no such fact."""


class FactChanged(MemoryFault):
    """Somebody changed this fact meanwhile: read it again."""


class NotRemembered(MemoryFault):
    """This person has asked not to be remembered, or was erased meanwhile: nothing new is kept of them."""


class KeyReused(MemoryFault):
    """This idempotency key was used for another request."""


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a request that is sent twice count once."""

    key_id: UUID
    key: str
    request_hash: bytes


async def create_fact(memory: Memory, fact: Fact, *, by_whom: str, once: Once | None = None) -> StoredFact:
    """Store a fact that somebody states by hand; with `once`, the fact of the first such request.

    Raises:
        NotRemembered, KeyReused, StoreUnavailable, ModelUnavailable: nothing is stored.
        FactUnknown: the first such request made a fact that is gone since.
    """
    fact, begun_at = replace(fact, text=kept(memory, fact.text)), memory.db.clock.now()
    vectors = await memory.embedder.embed_batch([shown(fact.text, fact.about)])
    put = partial(_create, memory=memory, fact=fact, vectors=vectors, by_whom=by_whom, once=once)
    made = await memory.db.transaction(partial(put, begun_at=begun_at))
    return await _changed(memory, fact.user_id, made)


async def edit_fact(
    memory: Memory, user_id: str, fact_id: UUID, fields: dict[str, Any], *, version: str, by_whom: str
) -> StoredFact:
    """Change fields of a fact (`text`, `topic`, …, as `Fact` names them) if it is still at this version.

    It may be a fact of another id of this person; it stays there.

    Raises:
        FactUnknown, FactChanged, StoreUnavailable, ModelUnavailable: it stands as it was.
    """
    vector = None
    if "text" in fields:
        fields = fields | {"text": kept(memory, fields["text"])}
    if {"text", "about"} & fields.keys():
        after = replace(await _stands(memory, user_id, fact_id), **fields)
        vector = (await memory.embedder.embed_batch([shown(after.text, after.about)]))[0]
    edit = partial(
        edit_within,
        user_id=user_id,
        fact_id=fact_id,
        fields=fields,
        version=version,
        by_whom=by_whom,
        vector=vector,
    )
    changed = await memory.db.transaction(edit)
    return await _changed(memory, changed.fact.user_id, changed)


async def _stands(memory: Memory, user_id: str, fact_id: UUID) -> Fact:
    if (found := await fact_of(memory.db, user_id, fact_id)) is None:
        raise FactUnknown
    return found.fact


def kept(memory: Memory, text: str) -> str:
    """The words without what must never be kept, as of a call's."""
    return hide_secrets(text) if memory.settings.mask_secrets else text


async def tell_changed(memory: Memory, user_id: str) -> None:
    """It is in Postgres: this process's lookups forget what they held, a worker brings the graph along."""
    memory.recaller.forget(user_id)
    if memory.graph is not None:
        await memory.jobs.enqueue_graph(user_id)


async def _changed(memory: Memory, user_id: str, fact: StoredFact) -> StoredFact:
    await tell_changed(memory, user_id)
    return fact


async def _create(
    connection: Connection,
    *,
    memory: Memory,
    fact: Fact,
    vectors: Vector,
    by_whom: str,
    once: Once | None,
    begun_at: datetime,
) -> StoredFact:
    await connection.execute(query("lock_user_shared"), fact.user_id)
    await check_kept(connection, fact.user_id, begun_at)
    if once and (earlier := await _made_before(connection, fact, once)):
        return await _read(connection, fact.user_id, earlier)
    await add_within(connection, memory, [fact], vectors, by_whom)
    return await _read(connection, fact.user_id, fact.fact_id)


async def check_kept(connection: Connection, user_id: str, begun_at: datetime) -> None:
    """Nothing stands in the way of what was stated at that time, by the database's clock.

    Raises:
        NotRemembered: the person said no, or was erased since.
    """
    if await connection.fetchval(query("is_stopped"), user_id):
        raise NotRemembered
    if await connection.fetchval(query("is_void"), user_id, begun_at):
        raise NotRemembered


async def add_within(
    connection: Connection, memory: Memory, facts: Sequence[Fact], vectors: Vector, by_whom: str
) -> None:
    """Store facts of one person and agent, in the caller's transaction."""
    await memory.facts.add(connection, facts, vectors, by_whom=by_whom)
    await mark_due(connection, facts[0].user_id, facts[0].agent_id)
    await notify(connection, facts[0].user_id)


async def _made_before(connection: Connection, fact: Fact, once: Once) -> UUID | None:
    """A request under way with the same key is waited for: its row is locked until it commits."""
    mine = (fact.user_id, once.key_id, once.key)
    if await connection.fetchval(query("claim_creation"), *mine, once.request_hash, fact.fact_id):
        return None
    row = await connection.fetchrow(query("creation"), *mine)
    if row["request_hash"] != once.request_hash:
        raise KeyReused
    return row["fact_id"]


async def edit_within(
    connection: Connection,
    *,
    user_id: str,
    fact_id: UUID,
    fields: dict[str, Any],
    version: str | None = None,
    by_whom: str,
    vector: Vector | None = None,
) -> StoredFact:
    """Change fields of a fact, in the caller's transaction.

    Args:
        version: it must still be at this one; None: whatever it is at.
        vector: of the fact as it is shown then, where its text or whom it is about is another.

    Raises:
        FactUnknown, FactChanged: it stands as it was.
    """
    await connection.execute(query("lock_person_shared"), user_id)
    row = await connection.fetchrow(query("fact_row_to_change"), user_id, fact_id)
    if row is None:
        raise FactUnknown
    if version not in (None, version_of(row["payload"])):
        raise FactChanged
    before = fact_from(fact_id, row["payload"])
    user_id = before.user_id
    after = replace(before, **fields)
    merged, gone = _difference(before, after)
    await connection.fetchval(query("edit_fact"), user_id, fact_id, json.dumps(merged), gone, by_whom)
    if vector is not None:
        words = counted(shown(after.text, after.about))
        await connection.execute(query("replace_fact_words"), user_id, row["ref"], vector, *words)
    await mark_due(connection, user_id, before.agent_id, [fact_id])
    await notify(connection, user_id)
    return await _read(connection, user_id, fact_id)


def _difference(before: Fact, after: Fact) -> tuple[dict[str, Any], list[str]]:
    """What is merged into the payload, and which keys go."""
    old, new = payload_of(before), payload_of(after)
    merged = {key: new[key] for key in (*OURS, *ENDS) if key in new and new[key] != old.get(key)}
    gone = [key for key in LEAVABLE if key in old and key not in new]
    return merged | {"updated_at": datetime.now(UTC).isoformat()}, gone


async def _read(connection: Connection, user_id: str, fact_id: UUID) -> StoredFact:
    row = await connection.fetchrow(query("fact_row"), user_id, fact_id)
    if row is None:
        raise FactUnknown
    return stored(row)
