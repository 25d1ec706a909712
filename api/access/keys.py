"""Bearer keys: 256 random bits each, shown once, stored as their SHA-256."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from echoic.memory.errors import ConfigInvalid
from echoic.memory.identity.ids import check_user_id
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

KeyRole = Literal["admin", "service", "user"]
PREFIX = "echoic_"
"""So that scanners of leaked secrets can tell what it is."""
MOST_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed; the key itself is known to its holder only."""

    key_id: UUID
    name: str
    role: KeyRole
    user_id: str | None
    """Of a key for one person only."""
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks."""

    key_id: UUID | None
    """None: nobody in particular, on this machine, in development."""
    name: str
    role: KeyRole
    user_id: str | None = None

    @property
    def by_whom(self) -> str:
        """As changes of facts name it."""
        return f"api:{self.name}"


DEVELOPMENT = Access(None, "development", "admin")


async def add_key(
    db: Database, name: str, role: KeyRole, user_id: str | None = None, *, valid_s: float | None = None
) -> tuple[str, ApiKey]:
    """Make a key; returns it, for the only time, with what is listed of it.

    Raises:
        ConfigInvalid: a role without its person, or a person without that role.
        StoreUnavailable: none was made.
    """
    if (role == "user") != (user_id is not None):
        raise ConfigInvalid("A key of the role `user` needs --user ID, and no other role takes one.")
    if user_id is not None:
        check_user_id(user_id)
    if not name.strip() or len(name) > MOST_NAME_CHARS or not name.isprintable():
        raise ConfigInvalid(f"A key's name is 1 to {MOST_NAME_CHARS} printable characters.")
    key = PREFIX + secrets.token_urlsafe(32)
    args = (hashed(key), name, role, user_id, valid_s)
    row = await db.run(lambda connection: connection.fetchrow(query("add_key"), *args))
    return key, ApiKey(**dict(row))


async def list_keys(db: Database) -> list[ApiKey]:
    """All keys, oldest first, revoked ones included."""
    rows = await db.run(lambda connection: connection.fetch(query("list_keys")))
    return [ApiKey(**dict(row)) for row in rows]


async def revoke_key(db: Database, key_id: UUID) -> bool:
    """From the next request on the key is refused; False: there is none of this id."""
    return await db.run(lambda connection: connection.fetchval(query("revoke_key"), key_id)) is not None


async def find_key(db: Database, key: str) -> Access | None:
    """Whose key this is; None: nobody's, or it is revoked or too old."""

    async def find(connection: Connection) -> Access | None:
        row = await connection.fetchrow(query("find_key"), hashed(key))
        return None if row is None else Access(**dict(row))

    return await db.run(find)


def hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
