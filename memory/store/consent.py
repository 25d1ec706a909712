"""Whether a person wants to be remembered: what they said, and what the setting makes of it."""

from typing import Literal

from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

Consent = Literal["on", "off", "unknown"]
"""What a person has said: remember me, do not, or nothing yet."""

Policy = Literal["on", "ask", "off"]
"""The setting: remember unless they object, only if they agree, or nobody."""


class ConsentStore:
    """The last answer of every person, kept by hash.

    The database itself refuses turns said after a "no", and does not learn.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, user_id: str) -> Consent:
        """What this person has said.

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

        await self._db.transaction(put)


def keeps(policy: Policy, consent: Consent) -> bool:
    """Whether what a person says is kept."""
    return policy != "off" and (consent == "on" or (policy == "on" and consent == "unknown"))


def must_ask(policy: Policy, consent: Consent) -> bool:
    """Whether the person is to be asked first."""
    return policy == "ask" and consent == "unknown"
