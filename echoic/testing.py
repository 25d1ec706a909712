"""For tests of your own agent: memory without a store, and what it did.

```python
async def test_it_remembers():
    memory = echoic.testing.memory()
    await memory.learn("maya", "Is allergic to peanuts")
    async with AgentSession(llm=…) as session:
        await echoic.remember(session, user_id="maya", memory=memory)
        await session.start(Assistant())
        await session.run(user_input="What should I avoid?")
        assert "peanuts" in echoic.testing.recalled(session).block
```

Everything said is ranked as in Postgres, by words alone; nothing is learned by itself. A session takes
milliseconds, and nothing is left when the test ends.
"""

from typing import Any

from echoic.agent.remember import memory_of
from echoic.memory.config import MemorySettings
from echoic.memory.in_memory import InMemory, open_in_memory
from echoic.memory.types import Recall, Turn

__all__ = ["InMemory", "memory", "recalled", "remembered"]


def memory(settings: MemorySettings | None = None) -> InMemory:
    """An empty memory of this process, for `echoic.remember(…, memory=…)`; it outlives its sessions."""
    return open_in_memory(settings)


def recalled(session: Any) -> Recall:
    """What the last reply of this session was given.

    Raises:
        LookupError: the session is not remembered, or nothing was asked yet.
    """
    handle = memory_of(session)
    if handle is None or handle.last_recall is None:
        raise LookupError("Nothing was recalled in this session: await echoic.remember(session, …) before.")
    return handle.last_recall


def remembered(memory: InMemory, user_id: str) -> list[Turn]:
    """Everything that was said by and to one person, oldest first."""
    mine = [turn for turn in memory.rows.turns.values() if turn.user_id == user_id]
    return sorted(mine, key=lambda turn: (turn.said_at, turn.call_id, turn.position))
