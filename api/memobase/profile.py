"""Slots as Memobase's profiles: in its order, within its limits, and edited by their facts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from pydantic import ValidationError

from echoic.api.memobase.asker import About
from echoic.api.memobase.bodies import MOST_SLOT_CHARS, ProfileBody
from echoic.api.memobase.bodies import Slot as SlotName
from echoic.api.memobase.frame import failed
from echoic.memory.call import CallMemory
from echoic.memory.embedding.spaces import asked_of_each
from echoic.memory.privacy.forget import forget
from echoic.memory.profile.edit import fill_slot, find_slot
from echoic.memory.profile.profile import JOINED, Limits, Slot, SlotUnknown, chosen, id_of_slot, read_slots
from echoic.memory.profile.slots import read_profile, unified
from echoic.memory.store.database import Connection
from echoic.memory.store.queries import query
from echoic.memory.text.words import clean
from echoic.memory.types import ForgetRequest

NEAREST = 10
"""Slots that are kept of those that are near to what is spoken of."""


async def profiles(about: About, limits: Limits, near: str) -> list[Slot]:
    """Slots, the last changed first, of preferred topics before the others.

    Args:
        near: what is spoken of: only slots that are near to it; empty: all.
    """
    slots = await all_slots(about)
    slots.sort(key=lambda slot: max(line.updated_at for line in slot.lines), reverse=True)
    if near:
        slots = await nearest(about, slots, near)
    prefer = limits.prefer
    slots.sort(key=lambda slot: prefer.index(slot.topic) if slot.topic in prefer else len(prefer))
    return chosen(slots, limits)


async def all_slots(about: About) -> list[Slot]:
    """Everything that stands in this person's profile."""
    memory, caller = about.memory, await about.reader()

    async def read(connection: Connection) -> list[Slot]:
        profile = await read_profile(connection, memory.settings.profile_file)
        return await read_slots(connection, caller.ids, caller.agent_id, profile, Limits(), memory.now())

    return await memory.db.run(read)


async def nearest(about: About, slots: Sequence[Slot], text: str) -> list[Slot]:
    """Those slots, in their order, that are nearest to a text."""
    vector = (await about.memory.embedder.embed_batch([text]))[0]
    args = (about.user_id, *asked_of_each(vector))
    rows = await about.memory.db.run(lambda connection: connection.fetch(query("likeness_of_facts"), *args))
    like = {row["id"]: row["likeness"] for row in rows}
    best = [max(like.get(line.fact_id, -1.0) for line in slot.lines) for slot in slots]
    kept = set(np.argsort(best)[::-1][:NEAREST].tolist())
    return [slot for place, slot in enumerate(slots) if place in kept]


def answer(slot: Slot, user_id: str) -> dict[str, Any]:
    """As Memobase's clients read it."""
    return {
        "id": id_of_slot(user_id, slot.topic, slot.sub_topic),
        "content": slot.content,
        "attributes": {"topic": slot.topic, "sub_topic": slot.sub_topic},
        "created_at": slot.created_at,
        "updated_at": slot.updated_at,
    }


async def add(about: About, body: ProfileBody) -> UUID:
    """Put a text into a slot, beside what stands there; returns the slot's id.

    Raises:
        Problem: 520, no slot is named; 400, the text is empty or too long.
    """
    topic, sub_topic = _place(body)
    await fill_slot(
        *(about.memory, await about.reader(), topic, sub_topic, [_text(body.content)]),
        by_whom=about.access.by_whom,
        beside=True,
    )
    return id_of_slot(about.user_id, topic, sub_topic)


async def update(about: About, slot_id: UUID, body: ProfileBody) -> None:
    """A slot says this from now on, in the place that is named; one that there is not stays so."""
    place, text, caller = _place(body), _text(body.content), await about.reader()
    try:
        slot = await find_slot(about.memory, caller, slot_id)
    except SlotUnknown:
        return
    said = {" ".join(line.text.split()) for line in slot.lines}
    parts = text.split(JOINED)
    texts = parts if said & set(parts) else [text]
    by_whom = about.access.by_whom
    moved = place != (slot.topic, slot.sub_topic)
    await fill_slot(about.memory, caller, *place, texts, by_whom=by_whom, shown=True, beside=moved)
    if moved:
        await fill_slot(about.memory, caller, slot.topic, slot.sub_topic, [], by_whom=by_whom)


async def remove(about: About, slot_id: UUID) -> None:
    """Forget every fact of a slot.

    Raises:
        SlotUnknown: there is none.
    """
    caller = await about.reader()
    slot = await find_slot(about.memory, caller, slot_id)
    facts = frozenset(line.fact_id for line in slot.lines)
    await forget(CallMemory(about.memory, caller), ForgetRequest(fact_ids=facts))


def _place(body: ProfileBody) -> tuple[str, str]:
    try:
        found = SlotName.model_validate(body.attributes)
    except ValidationError:
        raise failed(520, "A profile's attributes are a topic and a sub_topic.") from None
    return unified(found.topic), unified(found.sub_topic)


def _text(content: str) -> str:
    text = clean(content).strip()
    if not 0 < len(text) <= MOST_SLOT_CHARS:
        raise failed(400, f"A profile's content has 1 to {MOST_SLOT_CHARS} characters.")
    return text
