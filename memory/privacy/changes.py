"""What was changed in a person's facts, when and by whom."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from echoic.memory.store.database import Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact

Kind = Literal["added", "ended", "confirmed", "edited", "removed", "archived", "merged", "refiled"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one fact; of the turns that say it, the latest."""

    fact_id: UUID
    kind: Kind
    changed_at: datetime
    by_whom: str
    before: Fact | None
    """None: it is new."""
    now: Fact | None
    """As it is today; None: it is gone."""
    undone_at: datetime | None
    """When it was taken back."""
    call_id: str | None = None
    """The call that taught it."""


async def changes_between(db: Database, user_id: str, since: datetime, until: datetime) -> list[Change]:
    """What was changed or taken back from one time to another, in the order in which it was changed."""
    found: list[Change] = []
    async with db.snapshot() as snapshot:
        async for page in snapshot.pages(query("changes_between"), user_id, since, until):
            found += await asyncio.to_thread(_changes, page)
    return found


def _changes(rows: Iterable[Any]) -> list[Change]:
    return [
        Change(
            fact_id=row["fact_id"],
            kind=row["change"],
            changed_at=row["changed_at"],
            by_whom=row["by_whom"],
            before=fact_from(row["fact_id"], row["before"]) if row["before"] else None,
            now=fact_from(row["fact_id"], row["payload"]) if row["payload"] else None,
            undone_at=row["undone_at"],
            call_id=row["call_id"],
        )
        for row in rows
    ]
