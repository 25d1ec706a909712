"""Which ids are one person: links between a phone, a web user, a device, made by whoever knows, and taken
back.

What is said or learned stays under the id that its channel gave. A link only lets those who read see the
others too, so that a link that is removed leaves everything as if it had never been.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.identity.ids import check_user_id
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query
from echoic.memory.types import ANONYMOUS

MOST_IDS = 16
"""Ids of one person: a household's phones and devices, and a mistake is found before it joins a whole town.
"""


class TooManyIds(MemoryFault):
    """One person has at most 16 ids: these would have more."""


@dataclass(frozen=True, slots=True)
class Link:
    """Two ids of one person, as somebody said."""

    user_id: str
    other_id: str
    made_by: str
    made_at: datetime


class Links(Protocol):
    """What a call and an application need of it: see `LinkStore`."""

    async def add(self, user_id: str, other_id: str, *, made_by: str) -> bool: ...

    async def remove(self, user_id: str, other_id: str) -> bool: ...

    async def read_along(self, user_id: str) -> tuple[str, ...]: ...


class NoLinks:
    """Where there is no store to keep them in."""

    async def add(self, user_id: str, other_id: str, *, made_by: str) -> bool:
        raise StoreUnavailable("Links need a database, and this memory has none.")

    async def remove(self, user_id: str, other_id: str) -> bool:
        return False

    async def read_along(self, user_id: str) -> tuple[str, ...]:
        return ()


class LinkStore:
    """The links of everybody. Whoever calls `add` has made sure that both are the same person."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, user_id: str, other_id: str, *, made_by: str) -> bool:
        """From the next call of either on, both are one person; False: they were linked already.

        Raises:
            ConfigInvalid: an id cannot be one, is nobody's in particular, or both are the same.
            TooManyIds, StoreUnavailable: they are not linked.
        """
        _check(user_id, other_id)
        return await self._db.transaction(partial(_add, ids=(user_id, other_id), made_by=made_by))

    async def remove(self, user_id: str, other_id: str) -> bool:
        """They are as they were before, unless other links still join them; False: there was no such link.

        Running calls see their own id alone from now on.

        Raises:
            StoreUnavailable: they are linked as before.
        """
        return await self._db.transaction(partial(_remove, ids=(user_id, other_id)))

    async def of(self, user_id: str) -> list[Link]:
        """All links of the person who has this id, oldest first."""
        rows = await self._db.run(lambda connection: connection.fetch(query("links_of"), user_id))
        return [Link(**dict(row)) for row in rows]

    async def ids(self, user_id: str) -> tuple[str, ...]:
        """All ids of the person who has this one, that one first."""
        return tuple(await self._db.run(lambda connection: connection.fetchval(query("person_of"), user_id)))

    async def read_along(self, user_id: str) -> tuple[str, ...]:
        """The other ids whose memory a call of this one sees: without those whose memory was turned off.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        return tuple(await self._db.run(lambda connection: connection.fetchval(query("read_along"), user_id)))


def _check(*ids: str) -> None:
    for one in ids:
        check_user_id(one)
        if one.startswith(ANONYMOUS):
            raise ConfigInvalid(f"An id that begins with {ANONYMOUS} is nobody's in particular.")
    if len(set(ids)) < len(ids):
        raise ConfigInvalid("A link is between two different ids.")


async def _add(connection: Connection, *, ids: tuple[str, str], made_by: str) -> bool:
    await connection.execute(query("lock_links"))
    for one in sorted(ids):  # an erasure of either comes before or after
        await connection.execute(query("lock_user_shared"), one)
    if not await connection.fetchval(query("add_link"), *ids, made_by):
        return False
    person = await connection.fetchval(query("person_of"), ids[0])
    if len(person) > MOST_IDS:
        raise TooManyIds
    for one in person:
        await connection.execute(query("notify"), one, "")
    return True


async def _remove(connection: Connection, *, ids: tuple[str, str]) -> bool:
    person = await connection.fetchval(query("person_of"), ids[0])
    if not await connection.fetchval(query("remove_link"), *ids):
        return False
    for one in person:
        await connection.execute(query("notify_unlinked"), one)
    return True
