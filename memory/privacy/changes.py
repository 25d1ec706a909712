"""What was changed in a person's facts, when and by whom; and taking back what one batch changed."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact

Kind = Literal["added", "ended", "confirmed", "edited", "removed", "archived", "merged", "refiled"]
Payload = dict[str, Any]
RESTS_ON = ("evidence", "turn_ids")
"""What a fact has of each batch that says it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one fact."""

    fact_id: UUID
    kind: Kind
    changed_at: datetime
    by_whom: str
    before: Fact | None
    """None: it is new."""
    now: Fact | None
    """As it is today; None: it is gone."""
    undone: bool


@dataclass(slots=True)
class Undone:
    """What was taken back."""

    removed: set[UUID] = field(default_factory=set)
    restored: set[UUID] = field(default_factory=set)
    """Facts that are again what they were: open again, or without what was said later."""


async def changes_between(db: Database, user_id: str, since: datetime, until: datetime) -> list[Change]:
    """What changed from one time to another, oldest first."""
    rows = await db.run(lambda connection: connection.fetch(query("changes_between"), user_id, since, until))
    return [
        Change(
            fact_id=row["fact_id"],
            kind=row["change"],
            changed_at=row["changed_at"],
            by_whom=row["by_whom"],
            before=fact_from(row["fact_id"], row["before"]) if row["before"] else None,
            now=fact_from(row["fact_id"], row["payload"]) if row["payload"] else None,
            undone=row["undone_at"] is not None,
        )
        for row in rows
    ]


async def undo(connection: Connection, user_id: str, batch_ids: Collection[UUID]) -> Undone:
    """Take back what these batches changed, in the caller's transaction; what others changed since stands.

    A fact that they added goes, unless another batch confirmed it: that one would have added it. Any other
    becomes what it would be without them.
    """
    # Postgres takes a person for few rows until it has counted them: in loops, 20,000 facts took minutes
    await connection.execute("set local enable_nestloop = off")
    rows = await connection.fetch(query("changes_of_batches"), user_id, list(batch_ids))
    await connection.execute("set local enable_nestloop to default")
    by_fact: dict[UUID, list[Any]] = {}
    for row in rows:
        by_fact.setdefault(row["fact_id"], []).append(row)
    undone, taken_back = Undone(), []
    for fact_id, changes in by_fact.items():
        taken_back += [row["change_id"] for row in changes if row["theirs"]]
        added = any(row["theirs"] and row["change"] == "added" for row in changes)
        heir = next((row for row in changes if row["change"] == "confirmed" and not row["theirs"]), None)
        if added and heir is None:
            undone.removed.add(fact_id)
        elif changes[-1]["payload"] is not None:
            await _restore(connection, user_id, fact_id, changes, heir if added else None)
            undone.restored.add(fact_id)
    await connection.execute(query("changes_undone"), user_id, taken_back)
    await connection.fetchval(query("forget_facts"), user_id, list(undone.removed))
    await connection.execute(query("blank_changes"), user_id, list(undone.removed))
    return undone


async def _restore(
    connection: Connection, user_id: str, fact_id: UUID, changes: Sequence[Any], heir: Any
) -> None:
    """Replay a fact's changes without theirs, from what it was before the first.

    Args:
        heir: the change that counts as the one that added it, now that this is theirs.
    """
    states = [json.loads(row["before"]) for row in changes if row["before"]]
    states = [*states, json.loads(changes[-1]["payload"])]
    kept = [row for row in changes if row["before"]]
    payload = states[0] if heir is None else states[0] | {key: [] for key in RESTS_ON}
    for place, row in enumerate(kept):
        if row["theirs"]:
            continue
        if row is heir:
            await connection.execute(query("inherit_change"), user_id, row["change_id"])
        else:
            await connection.execute(query("rewrite_change"), user_id, row["change_id"], json.dumps(payload))
        payload = _with_difference(payload, states[place], states[place + 1])
    if payload != states[-1]:
        await connection.execute(query("restore_fact"), user_id, fact_id, json.dumps(payload))


def _with_difference(payload: Payload, before: Mapping[str, Any], after: Mapping[str, Any]) -> Payload:
    """The payload with what changed from one state to the next; of a list, what was added to it."""
    changed = dict(payload)
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            own = changed.get(key) or []
            changed[key] = [*own, *(one for one in new if one not in old and one not in own)]
        elif key in after:
            changed[key] = new
        else:
            changed.pop(key, None)
    return changed
