"""The audit trail: one row for each request that was let in or refused, without words."""

from typing import Any
from uuid import UUID

from echoic.memory.store.database import Database
from echoic.memory.store.queries import query


async def note(
    db: Database, key_id: UUID | None, key_name: str, action: str, user_id: str | None, allowed: bool
) -> None:
    """Write it down, before the work is done.

    Raises:
        StoreUnavailable: it is not written: nothing may be done.
    """
    args = (key_id, key_name, action, user_id, allowed)
    await db.run(lambda connection: connection.execute(query("note_request"), *args))


async def requests(db: Database, user_id: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
    """A page of the trail, newest first.

    Args:
        user_id: only about this person; None: about anybody.
        before: the last `audit_id` of the page before.
    """
    rows = await db.run(lambda connection: connection.fetch(query("audit_page"), user_id, before, limit))
    return [dict(row) for row in rows]
