"""What was written becomes turns: once, however often and however late it is delivered."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from echoic.memory.chat.written import Words, keep_words
from echoic.memory.errors import StoreUnavailable
from echoic.memory.service import Memory
from echoic.memory.store.turns import foreign_item_id, turn_id_for
from echoic.memory.types import Caller, Role

AGAIN_DAYS = 30
"""A message without a date that is delivered again after more days is another one."""


@dataclass(frozen=True, slots=True)
class Written:
    """One message of a conversation with a person."""

    user_id: str
    agent_id: str
    line: str
    """Where it was written: of two lines, each has conversations of its own."""
    message_id: str
    """The same in each delivery of the message."""
    role: Role
    text: str
    said_at: datetime
    """As the sender dates it, the same in each delivery; what lies ahead counts as said now."""
    dated: bool = True
    """False: nobody dates it, and `said_at` is when it came this time."""


async def store(memory: Memory, messages: Iterable[Written]) -> None:
    """Return when all are durable; what was forgotten, or is not to be remembered, is kept nowhere.

    People write in several messages: they are learned from after a pause.

    Raises:
        StoreUnavailable: neither Postgres nor the disk took them all; delivered again, they are stored.
    """
    by_call: dict[Caller, list[Words]] = defaultdict(list)
    for one in sorted(messages, key=lambda message: message.said_at):
        words = Words(foreign_item_id(one.message_id), one.role, one.text, one.said_at)
        by_call[await _call_of(memory, one, words.item_id)].append(words)
    for caller, said in by_call.items():
        await keep_words(memory, caller, said)


async def _call_of(memory: Memory, message: Written, item_id: str) -> Caller:
    """Without a date the day is that of the first delivery, if it came before."""
    today = _caller(memory, message, message.said_at)
    if message.dated:
        return today
    days = [_caller(memory, message, message.said_at - timedelta(days=back)) for back in range(AGAIN_DAYS)]
    ids = [turn_id_for(day.call_id, item_id) for day in days]
    try:
        known = await memory.turns.known(message.user_id, ids)
    except StoreUnavailable:  # it is stored on the disk, as of today
        return today
    return next((day for day, turn_id in zip(days, ids, strict=True) if turn_id in known), today)


def _caller(memory: Memory, message: Written, at: datetime) -> Caller:
    """A day of the sender's is a call; the same in each delivery, and so is the id of a message."""
    names = (message.line, message.agent_id, message.user_id)
    whose = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    call_id = f"written.{at.astimezone(UTC):%Y-%m-%d}.{whose}"
    return Caller(message.user_id, message.agent_id, call_id, memory.settings.timezone)
