"""What was said or written somewhere else becomes turns: once, however often it is told."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakValueDictionary

from echoic.memory.service import Memory
from echoic.memory.types import Caller, Role, Turn

_locks: "WeakValueDictionary[tuple[int, str], asyncio.Lock]" = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Words:
    """One thing that was said."""

    item_id: str
    """The same each time that it is told, in the same call."""
    role: Role
    text: str
    said_at: datetime | None = None
    """By the sender's clock; None: now."""
    told_now: bool = False
    """Whoever tells it means it to be kept, also where this person was erased since it was said."""
    labels: str = ""
    """What another program tells with it: see `Turn.labels`."""


def lock_of(memory: Memory, user_id: str) -> asyncio.Lock:
    """Held by whoever adds to a person's conversations: tellings may come at once.

    Each memory has its own: a program may have one in each thread, and a lock is of one event loop.
    """
    return _locks.setdefault((id(memory), user_id), asyncio.Lock())


async def keep_words(
    memory: Memory, caller: Caller, said: Iterable[Words], *, hurry: bool = False
) -> list[Turn | None]:
    """Return when all of it is durable: turns in its order, None for what is kept nowhere, because this
    person does not want to be remembered, has yet to agree, or had it forgotten.

    Args:
        hurry: the conversation is over: learn from it now, and not after a pause.

    Raises:
        StoreUnavailable: neither Postgres nor the disk took all of it; told again, it is stored once.
    """
    async with lock_of(memory, caller.user_id):
        call = await memory.open_call(caller)
        try:
            kept = [
                await call.record(
                    *(one.item_id, one.role, one.text, one.said_at),
                    told_now=one.told_now,
                    heard_at=one.said_at,
                    labels=one.labels,
                )
                for one in said
            ]
            # nobody can be asked here, and nothing is kept before they agree
            return [None] * len(kept) if call.consent_pending else kept
        finally:
            await call.end(hurry=hurry)
