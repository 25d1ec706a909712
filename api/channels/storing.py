"""What was written becomes turns: once, however often and however late it is delivered."""

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from echoic.memory.service import Memory
from echoic.memory.types import Caller, Role


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


class Writer:
    """Stores what is delivered, one delivery of a person at a time: they may come at once."""

    def __init__(self) -> None:
        self._writing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def store(self, memory: Memory, messages: Iterable[Written]) -> None:
        """Return when all are durable; what was forgotten, or is not to be remembered, is kept nowhere.

        Raises:
            StoreUnavailable: neither Postgres nor the disk took them all; delivered again, they are stored.
        """
        by_call: dict[Caller, list[Written]] = defaultdict(list)
        for one in messages:
            by_call[_caller(memory, one)].append(one)
        for caller, written in by_call.items():
            lock = self._writing.setdefault(caller.user_id, asyncio.Lock())
            async with lock:
                await _record(memory, caller, written)


def signature_of(secret: str, body: bytes) -> str:
    """As it stands in a header: of these very bytes, not of what they mean."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def not_ahead(said_at: datetime) -> datetime:
    """What lies ahead was said now."""
    return min(said_at, datetime.now(UTC))


def _caller(memory: Memory, message: Written) -> Caller:
    """A day is a call; the same in each delivery, so that a message has the same id in each."""
    names = (message.line, message.agent_id, message.user_id)
    whose = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    call_id = f"written.{message.said_at.astimezone(UTC):%Y-%m-%d}.{whose}"
    return Caller(message.user_id, message.agent_id, call_id, memory.settings.timezone)


async def _record(memory: Memory, caller: Caller, written: list[Written]) -> None:
    call = await memory.open_call(caller)
    try:
        for one in sorted(written, key=lambda message: message.said_at):
            await call.record(one.message_id, one.role, one.text, one.said_at)
    finally:
        await call.end(hurry=False)  # people write in several messages: learned after a pause
