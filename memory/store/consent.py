"""Whether a person wants to be remembered: what they said, and what the setting makes of it."""

import math
from typing import Literal

from echoic.memory.clock import moment
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

Consent = Literal["on", "off", "unknown"]
"""What a person has said: remember me, do not, or nothing yet."""

Policy = Literal["on", "ask", "off"]
"""The setting: remember unless they object, only if they agree, or nobody."""


class ConsentStore:
    """The answers of every person, kept by hash.

    The database itself refuses turns that were said after a "no" and before the next "yes", whenever they
    come, and does not learn after a "no".
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, user_id: str) -> Consent:
        """What this person has said last.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        granted = await self._db.run(lambda connection: connection.fetchval(query("read_consent"), user_id))
        return "unknown" if granted is None else "on" if granted else "off"

    async def write(self, user_id: str, consent: Literal["on", "off"]) -> None:
        """Remember their answer; it counts from now on, in every process.

        Raises:
            StoreUnavailable: it is not noted.
        """

        async def put(connection: Connection) -> None:
            await connection.execute(query("lock_user_shared"), user_id)
            await connection.execute(query("write_consent"), user_id, consent == "on")
            if consent == "on":  # who had turned their memory off wants it back
                await connection.execute(query("memory_on"), user_id)

        await self._db.transaction(put)


class Pauses:
    """The times of a call during which its caller did not want to be remembered, by the monotonic clock."""

    def __init__(self) -> None:
        self._since_until: list[tuple[float, float]] = []

    @property
    def is_open(self) -> bool:
        """Is it such a time now?"""
        return any(until == math.inf for _, until in self._since_until)

    def begin(self, at_s: float | None = None) -> None:
        """From now on, or from that moment on."""
        if not self.is_open:
            self._since_until.append((moment() if at_s is None else at_s, math.inf))

    def end(self) -> None:
        """Until now."""
        now_s = moment()
        self._since_until = [(since, min(until, now_s)) for since, until in self._since_until]

    def cover(self, at_s: float) -> bool:
        """Whether that moment was one of these times."""
        return any(since <= at_s < until for since, until in self._since_until)

    def add(self, others: "Pauses") -> None:
        """Take over those of a call that this one goes on with."""
        self._since_until += others._since_until


def keeps(policy: Policy, consent: Consent) -> bool:
    """Whether what a person says is kept."""
    return policy != "off" and (consent == "on" or (policy == "on" and consent == "unknown"))


def must_ask(policy: Policy, consent: Consent) -> bool:
    """Whether the person is to be asked first."""
    return policy == "ask" and consent == "unknown"
