"""Stores that live in the test's process; `tests/contract` keeps them honest."""

import asyncio

from echoic.memory.errors import StoreUnavailable
from echoic.memory.types import Caller, Turn


class FakeTurns:
    """A TurnStore without Postgres: `down` makes it unreachable, `hung` makes it never answer."""

    def __init__(self):
        self.rows: dict = {}
        self.embedded: list = []
        self.down = False
        self.hung = False
        self.patience: list = []
        """The limit that each `record` was given."""

    async def record(self, turn: Turn, *, timeout_s: float | None = None) -> bool:
        self.patience.append(timeout_s)
        if self.hung:
            await asyncio.sleep(timeout_s or 2.0)
        if self.down or self.hung:
            raise StoreUnavailable()
        if turn.turn_id in self.rows:
            return False
        self.rows[turn.turn_id] = turn
        return True

    async def stands(self, turn: Turn) -> bool:
        return turn.turn_id in self.rows

    async def was_refused(self, turn: Turn) -> bool:
        return False

    async def takes_others(self, user_id: str) -> bool:
        if self.down or self.hung:
            raise StoreUnavailable()
        return True

    async def embed_turn(self, turn: Turn) -> None:
        self.embedded.append(turn.turn_id)

    async def list(self, user_id: str) -> list:
        mine = [turn for turn in self.rows.values() if turn.user_id == user_id]
        began = {}
        for turn in mine:
            began[turn.call_id] = min(turn.said_at, began.get(turn.call_id, turn.said_at))
        return sorted(mine, key=lambda turn: (began[turn.call_id], turn.call_id, turn.position))

    async def before(self, caller: Caller, limit: int) -> list:
        mine = [
            turn
            for turn in await self.list(caller.user_id)
            if turn.agent_id == caller.agent_id and turn.call_id != caller.call_id
        ]
        return mine[-limit:]

    async def of_call(self, caller: Caller, limit: int) -> list:
        mine = [
            turn
            for turn in await self.list(caller.user_id)
            if turn.agent_id == caller.agent_id and turn.call_id == caller.call_id
        ]
        return sorted(mine, key=lambda turn: turn.position)[-limit:]
