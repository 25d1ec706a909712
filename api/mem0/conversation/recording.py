"""Messages become turns: each once, in order, in the conversation that they belong to.

A conversation is Mem0's run, where one is named; else what goes on without half an hour's rest.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from echoic.api.access.wall import ONLY
from echoic.api.mem0.conversation.overlap import MOST_COMPARED, Said, new_places
from echoic.memory.chat.written import lock_of
from echoic.memory.errors import TurnVoid
from echoic.memory.identity.ids import storable
from echoic.memory.review.corrections import NotRemembered
from echoic.memory.service import Memory
from echoic.memory.settings.personal import Choices
from echoic.memory.store.batches import open_turns
from echoic.memory.store.consent import keeps
from echoic.memory.store.queries import query
from echoic.memory.store.turns import turn_id_for
from echoic.memory.text.secrets import hide_in_turn
from echoic.memory.types import Caller, Role, Turn

TALK, RUN = "mem0.talk:", "mem0.run:"
"""How ids of such calls begin."""
REST = timedelta(minutes=30)
"""After it, words that were said before are said anew, unless at least two messages show that it goes on."""
LOOK_BACK = 200
"""Messages that are known beyond as many as are sent."""
LEARN_AFTER_S = 5.0
"""Mem0's clients wait for what they add; what comes within this is learned together."""
LONG_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a client tells about one person."""

    person: str
    agent_id: str
    run_id: str | None
    said: Sequence[Said]
    labels: Mapping[str, Any]
    said_at: datetime | None = None
    """When it was said; None: now."""


async def choices_of(memory: Memory, person: str) -> Choices:
    """What this person has chosen.

    Raises:
        NotRemembered: nothing may be kept of them.
    """
    choices = await memory.choices.read(person)
    if not choices.memory or not keeps(memory.settings.consent, choices.consent):
        raise NotRemembered
    return choices


async def record(memory: Memory, told: Told) -> UUID | None:
    """Store what is new of it, durably, and have it learned; returns the turn that it ends with.

    None: all of it was forgotten before, and stays so.

    Raises:
        NotRemembered: nothing is kept of this person.
        StoreUnavailable: neither Postgres nor the disk took all of it; sent again it is stored once.
    """
    choices = await choices_of(memory, told.person)
    # the recorder works for everybody, also after this request: it may not stand behind one person's wall
    before = ONLY.set(None)
    try:
        async with lock_of(memory, told.person):
            turns, last = await _new_turns(memory, told, choices.timezone or "")
            recorded = [turn for turn in turns if await _is_kept(memory, turn)]
        if recorded:
            waiting = await open_turns(memory.db, told.person)
            full = waiting >= memory.settings.learn_turns
            await memory.jobs.enqueue_learn(told.person, delay_s=LEARN_AFTER_S, hurry=full)
    finally:
        ONLY.reset(before)
    return recorded[-1].turn_id if recorded else last


async def _is_kept(memory: Memory, turn: Turn) -> bool:
    try:
        await memory.recorder.record(turn)
    except TurnVoid:
        return False
    return True


async def _new_turns(memory: Memory, told: Told, zone: str) -> tuple[list[Turn], UUID | None]:
    """Turns for what is not known yet, and the last one that is."""
    caller, known = await _conversation(memory, told)
    stored = [Said(turn.role, turn.text) for turn in known]
    new = set(await asyncio.to_thread(new_places, stored, told.said))
    position = max((turn.position + 1 for turn in known), default=0)
    last: dict[Role, str] = {one.role: one.text for one in stored}
    turns: list[Turn] = []
    for place, one in enumerate(told.said):
        if place not in new:
            last[one.role] = one.text
            continue
        text = await _without_secrets(memory, one, last)
        turns.append(_turn(caller, position + len(turns), Said(one.role, text), told, memory))
    labels = json.dumps(told.labels) if told.labels else ""
    return [replace(turn, labels=labels, timezone=zone) for turn in turns], known[
        -1
    ].turn_id if known else None


async def _conversation(memory: Memory, told: Told) -> tuple[Caller, list[Turn]]:
    """The call that these messages belong to, and the end of what is known of it."""
    limit = min(len(told.said), MOST_COMPARED) + LOOK_BACK
    caller = Caller(told.person, told.agent_id, storable(f"{RUN}{told.run_id or ''}"))
    if told.run_id:
        return caller, await memory.turns.of_call(caller, limit)
    args = told.person, told.agent_id, TALK
    last = await memory.db.run(lambda connection: connection.fetchrow(query("last_call_named"), *args))
    own = hashlib.sha256(f"{told.person}\0{told.agent_id}".encode()).hexdigest()[:16]
    if last is None:
        return replace(caller, call_id=f"{TALK}{own}.0"), []
    caller = replace(caller, call_id=last["call_id"])
    known = await memory.turns.of_call(caller, limit)
    if memory.now() - last["recorded_at"] > REST and not _goes_on(known, told.said):
        # the same for every process that sees it begin
        return replace(caller, call_id=f"{TALK}{own}.{last['ref']}"), []
    return caller, known


def _goes_on(known: Sequence[Turn], said: Sequence[Said]) -> bool:
    new = new_places([Said(turn.role, turn.text) for turn in known], said)
    return len(said) - len(new) > 1


async def _without_secrets(memory: Memory, one: Said, last: dict[Role, str]) -> str:
    if not memory.settings.mask_secrets:
        return one.text
    if len(one.text) > LONG_CHARS:
        return await asyncio.to_thread(hide_in_turn, one.role, one.text, last)
    return hide_in_turn(one.role, one.text, last)


def _turn(caller: Caller, position: int, one: Said, told: Told, memory: Memory) -> Turn:
    """Its id is made of whose it is, where it stands and what it says: two processes that are sent the same
    store it once."""
    whole = f"{caller.user_id}\0{caller.agent_id}\0{position}\0{one.role}\0{one.text}"
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return Turn(
        turn_id=turn_id_for(caller.call_id, digest),
        user_id=caller.user_id,
        agent_id=caller.agent_id,
        call_id=caller.call_id,
        position=position,
        role=one.role,
        text=one.text,
        said_at=told.said_at or memory.clock.now(),
        heard_at=memory.clock.now(),
    )
