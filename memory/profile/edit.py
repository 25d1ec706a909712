"""A slot edited by hand: its facts are, so that each keeps its evidence and its history."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.ledger import mark_due
from echoic.memory.profile.profile import Limits, Slot, read_slots, slot_of
from echoic.memory.profile.slots import ProfileSettings, read_profile
from echoic.memory.review.corrections import (
    FactChanged,
    add_within,
    check_kept,
    edit_within,
    kept,
    tell_changed,
)
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import notify
from echoic.memory.store.queries import query
from echoic.memory.types import Caller, Fact

HAND_IMPORTANCE = 0.5


async def find_slot(memory: Memory, caller: Caller, slot_id: UUID) -> Slot:
    """The slot of this id, with all its facts that this caller's agent may see.

    Raises:
        SlotUnknown: there is none.
    """

    async def read(connection: Connection) -> Slot:
        profile = await read_profile(connection, memory.settings.profile_file)
        args = (caller.ids, caller.agent_id, profile, Limits(), memory.now())
        return slot_of(await read_slots(connection, *args), caller.user_id, slot_id)

    return await memory.db.run(read)


async def fill_slot(
    memory: Memory,
    caller: Caller,
    topic: str,
    sub_topic: str,
    texts: Sequence[str],
    *,
    by_whom: str,
    beside: bool = False,
    shown: bool = False,
    version: str | None = None,
) -> Slot:
    """A slot says this from now on: a text that stands there stays the fact it is, another becomes the
    edited text of one that is missing, and what is left over ends or is new.

    Args:
        beside: the texts come to what the slot says already.
        shown: they stand for what fits the slot's size; the facts beyond stay.
        version: it must still be at this one; None: whatever it is at.

    Raises:
        FactChanged, NotRemembered, StoreUnavailable, ModelUnavailable: it stands as it was.
    """
    begun_at = memory.db.clock.now()
    wanted = list(dict.fromkeys(kept(memory, text) for text in texts))
    known: dict[str, Vector] = {}
    if wanted:
        known = dict(zip(wanted, await memory.embedder.embed_batch(wanted), strict=True))
    fill = partial(_fill, memory=memory, caller=caller, place=(topic, sub_topic), by_whom=by_whom)
    fill = partial(fill, begun_at=begun_at)
    slot = await memory.db.transaction(
        partial(fill, wanted=known, beside=beside, shown=shown, version=version)
    )
    for user_id in caller.ids:
        await tell_changed(memory, user_id)
    return slot


async def _fill(
    connection: Connection,
    *,
    memory: Memory,
    caller: Caller,
    place: tuple[str, str],
    by_whom: str,
    wanted: dict[str, Vector],
    beside: bool,
    shown: bool,
    version: str | None,
    begun_at: datetime,
) -> Slot:
    user_id, now = caller.user_id, memory.now()
    for one in sorted(caller.ids):  # in one order, so that no two wait for each other
        await connection.execute(query("lock_user_exclusive"), one)
    await check_kept(connection, user_id, begun_at)
    profile = await read_profile(connection, memory.settings.profile_file)
    before = await _slot(connection, caller, profile, place, memory)
    if version not in (None, before.version):
        raise FactChanged
    lines = before.lines[: before.fit] if shown else before.lines
    said = {line.text for line in before.lines}
    spare = [] if beside else [line for line in lines if line.text not in wanted]
    new = [text for text in wanted if text not in said]
    for line, text in zip(spare, new, strict=False):
        edit = partial(edit_within, user_id=user_id, fact_id=line.fact_id, by_whom=by_whom)
        await edit(connection, fields={"text": text}, vector=wanted[text])
    for line in spare[len(new) :]:
        await memory.facts.end(connection, line.user_id, line.fact_id, now, by_whom=by_whom)
        await mark_due(connection, line.user_id, caller.agent_id, [line.fact_id])
        await notify(connection, line.user_id)
    if made := [_fact(caller, place, text, memory) for text in new[len(spare) :]]:
        await add_within(connection, memory, made, np.stack([wanted[one.text] for one in made]), by_whom)
    await notify(connection, user_id)
    return await _slot(connection, caller, profile, place, memory)


async def _slot(
    connection: Connection, caller: Caller, profile: ProfileSettings, place: tuple[str, str], memory: Memory
) -> Slot:
    """As it is, also where a strict profile does not show it; empty where there is none."""
    open_to_all = profile.model_copy(update={"profile_strict_mode": False})
    found = await read_slots(
        connection, caller.ids, caller.agent_id, open_to_all, Limits(only=(place[0],)), memory.now()
    )
    return next((one for one in found if (one.topic, one.sub_topic) == place), Slot(*place, ()))


def _fact(caller: Caller, place: tuple[str, str], text: str, memory: Memory) -> Fact:
    topic, sub_topic = place
    return Fact(
        *(uuid4(), caller.user_id, text, topic, HAND_IMPORTANCE),
        scope="user",
        agent_id=caller.agent_id,
        said_at=memory.now(),
        sub_topic=sub_topic,
    )
