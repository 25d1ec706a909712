"""Facts as they would be without what some batches changed: the changes of each are played again, without
theirs.

A change that only stood because of theirs goes with it, and one that would have been made without it stays:
what another call said too, what would have ended anyway, what two facts that a night made one had said.
"""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any
from uuid import UUID

from echoic.memory.privacy.maintenance_plan import BY_WHOM, together
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import MOST_EVIDENCE, fact_from
from echoic.memory.store.queries import query

Payload = dict[str, Any]
RESTS_ON = ("evidence", "turn_ids")
"""What a fact has of each batch that says it."""
ENDS = ("valid_until", "expiration_date")


@dataclass(slots=True)
class Undone:
    """What was taken back."""

    removed: set[UUID] = field(default_factory=set)
    restored: set[UUID] = field(default_factory=set)
    """Facts that are again what they were: open again, or without what was said later."""
    alone: set[UUID] = field(default_factory=set)
    """Facts of the archive that one of these had said too, and that are needed again."""


async def without(
    connection: Connection, user_id: str, batch_ids: Collection[UUID], back: Mapping[UUID, tuple[UUID, UUID]]
) -> Undone:
    """Take back what these batches changed, in the caller's transaction; what others changed since stands.

    A fact that they added goes, unless another batch or a person's own hand said it again: that one would
    have added it. Any other becomes what it would be without them.

    Args:
        back: facts that come back from the archive with these batches: what each had been merged into, and by
            which run.
    """
    # Postgres takes a person for few rows until it has counted them: in loops, 20,000 facts took minutes
    await connection.execute("set local enable_nestloop = off")
    rows = await connection.fetch(query("changes_of_batches"), user_id, list(batch_ids))
    await connection.execute("set local enable_nestloop to default")
    changes: dict[UUID, list[Any]] = {}
    for row in rows:
        changes.setdefault(row["fact_id"], []).append(row)
    merged = await connection.fetch(query("merged_by"), user_id, list(changes))
    told = await connection.fetch(query("turns_of_batches"), user_id, list(batch_ids))
    work = _Without(connection, user_id, changes, merged, {str(row["turn_id"]) for row in told})
    for fact_id in changes:
        await work.take_back(fact_id)
    for fact_id, (into, run_id) in back.items():
        await work.hand_down(into, run_id, fact_id)
    await connection.execute(query("changes_undone"), user_id, work.taken_back)
    await connection.fetchval(query("forget_facts"), user_id, list(work.undone.removed))
    await connection.execute(query("blank_changes"), user_id, list(work.undone.removed))
    return work.undone


class _Without:
    """The work on one person's facts, each after those that it depends on."""

    def __init__(
        self,
        connection: Connection,
        user_id: str,
        changes: Mapping[UUID, Sequence[Any]],
        merged: Iterable[Any],
        turn_ids: Collection[str],
    ) -> None:
        self._connection, self._user_id, self._changes = connection, user_id, changes
        self._turn_ids = turn_ids
        """That these batches learned from."""
        self._merged: dict[UUID, dict[UUID, Any]] = {}
        """By the fact that says them now: what a night let go."""
        for row in merged:
            self._merged.setdefault(row["merged_into"], {})[row["id"]] = row
        self._played: dict[UUID, Payload] = {}
        """As they are without these batches."""
        self._done: set[UUID] = set()
        self._heirs: dict[UUID, Any] = {}
        """By a fact whose first batch is taken back: the change that counts as the first from then on."""
        self.undone = Undone()
        self.taken_back: list[int] = []

    async def take_back(self, fact_id: UUID) -> None:
        if fact_id in self._done or fact_id not in self._changes:
            return
        self._done.add(fact_id)
        rows = self._changes[fact_id]
        for other in (*self._merged.get(fact_id, ()), *(row["replaced_by"] for row in rows)):
            if other is not None:
                await self.take_back(other)
        added = any(row["theirs"] and row["change"] == "added" for row in rows)
        heir = next((row for row in rows if _says_it_too(row)), None) if added else None
        ends = {row["change_id"]: self._end_of(row) for row in rows if row["theirs"]}
        gone = {change_id for change_id, end in ends.items() if not end}
        self.taken_back += gone
        if added and heir is None:
            self.undone.removed.add(fact_id)
            await self._orphaned(fact_id)
        elif rows[-1]["payload"] is not None:
            if heir:
                self._heirs[fact_id] = heir
            await self._restore(fact_id, gone, ends, heir)

    def _end_of(self, row: Any) -> tuple[UUID | None, UUID, Payload] | None:
        """Of a change that ended a fact and is theirs: by which batch and fact it stays ended, and when; None
        if it is open again. What replaced it may have been said again, or replaced in its turn."""
        end = row
        while end["change"] == "ended" and (by := end["replaced_by"]) in self._changes:
            if by not in self.undone.removed:
                heir = self._heirs.get(by)
                return None if heir is None else (heir["batch_id"], by, {})
            rows = self._changes[by]
            end = next((one for one in reversed(rows) if one["change"] == "ended"), rows[-1])
            if not end["theirs"] and end["replaced_by"] is not None:
                payload = json.loads(rows[-1]["payload"] or "{}")
                when = {key: payload[key] for key in ENDS if key in payload}
                return end["batch_id"], end["replaced_by"], when
        return None

    async def _orphaned(self, fact_id: UUID) -> None:
        """What was merged into a fact that goes stands for itself again, or is said by what that was merged
        into in its turn."""
        left = [one for one in self._merged.get(fact_id, {}) if one not in self.undone.removed]
        into = next((into for into, those in self._merged.items() if fact_id in those), None)
        if left and into is not None:
            await self._run("merge_into", left, into)
            self._merged[into] |= {one: self._merged[fact_id][one] for one in left}
        else:
            for one in left:
                await self.hand_down(fact_id, self._merged[fact_id][one]["run_id"], one)
                self.undone.alone.add(one)

    async def hand_down(self, fact_id: UUID, run_id: UUID, to: UUID) -> None:
        """A fact that is back from the archive has ended where the one that said it too has ended since."""
        payload = self._played.get(to) or await self._payload(to)
        rows = self._changes.get(fact_id, ())
        night = max((row["change_id"] for row in rows if row["batch_id"] == run_id), default=0)
        since = (row for row in rows if row["change_id"] > night and not row["theirs"])
        ended = next((row for row in since if row["change"] == "ended"), None)
        if ended is None or "valid_until" in payload:
            return
        await self._run(
            "note_end",
            *(to, ended["batch_id"], json.dumps(_noted(payload, "ended")), ended["by_whom"]),
            *(ended["replaced_by"], ended["changed_at"]),
        )
        now = json.loads(rows[-1]["payload"] or "{}")
        payload |= {key: now[key] for key in ENDS if key in now}
        await self._run("restore_fact", to, json.dumps(payload))

    async def _payload(self, fact_id: UUID) -> Payload:
        row = await self._connection.fetchrow(query("any_payload"), self._user_id, fact_id)
        found: Payload = json.loads(row["payload"]) if row else {}
        return found

    async def _restore(
        self, fact_id: UUID, gone: Collection[int], ends: Mapping[int, Any], heir: Any | None
    ) -> None:
        """Play a fact's changes again, from what it was before the first.

        Args:
            gone: the changes that are not.
            heir: the change that counts as the one that added it, now that this is theirs.
        """
        rows = [row for row in self._changes[fact_id] if row["before"]]
        noted = [json.loads(row["before"]) for row in rows]
        now = json.loads(self._changes[fact_id][-1]["payload"])
        turns = _Turns(now)
        payload = turns.whole([*noted, now][0])
        if heir is not None:
            payload = payload | {key: [] for key in RESTS_ON}
        states = pairwise(chain(map(turns.whole, noted), [now]))
        for row, note, (before, after) in zip(rows, noted, states, strict=True):
            if row["change_id"] in gone:
                continue
            await asyncio.sleep(0)  # 3,000 changes of a fact are 0.2 s: calls go on meanwhile
            if note != (rewritten := _noted(payload, row["change"])):
                await self._run("rewrite_change", row["change_id"], json.dumps(rewritten))
            if row["by_whom"] == BY_WHOM and row["change"] == "confirmed":
                payload = self._merged_again(fact_id, row["batch_id"], payload, before, after)
            else:
                payload = _with_difference(payload, before, after)
            if heir is not None and row is heir:
                payload |= await self._first_said(payload)
                await self._run("inherit_change", row["change_id"])
            if end := ends.get(row["change_id"]):
                batch_id, by, when = end
                payload |= when
                await self._run("inherit_end", row["change_id"], batch_id, by)
        self._played[fact_id] = payload
        if payload != now:
            await self._run("restore_fact", fact_id, json.dumps(payload))
        self.undone.restored.add(fact_id)

    async def _first_said(self, payload: Payload) -> Payload:
        """Since when a fact is known, as the first of those who are left says it."""
        said_at = await self._connection.fetchval(
            query("said_first"), self._user_id, [*map(UUID, payload.get("turn_ids", []))]
        )
        return {"said_at": said_at.isoformat()} if said_at else {}

    def _merged_again(
        self, fact_id: UUID, run_id: UUID, payload: Payload, before: Payload, after: Payload
    ) -> Payload:
        """A night's merge, of what is left of the facts that it let go."""
        let_go = [row for row in self._merged.get(fact_id, {}).values() if row["run_id"] == run_id]
        if not let_go:  # it is long ago: they are deleted
            return _with_difference(payload, before, self._left_of(after))
        left = {
            row["id"]: self._played.get(row["id"]) or json.loads(row["fact"])
            for row in let_go
            if row["id"] not in self.undone.removed
        }
        go = tuple(fact_from(one, json.dumps(fact)) for one, fact in left.items())
        return payload | (together(fact_from(fact_id, json.dumps(payload)), go) if go else {})

    def _left_of(self, payload: Payload) -> Payload:
        """Without what these batches said."""
        turn_ids = [one for one in payload.get("turn_ids", []) if one not in self._turn_ids]
        evidence = [one for one in payload.get("evidence", []) if one["turn_id"] not in self._turn_ids]
        return payload | {"turn_ids": turn_ids, "evidence": evidence}

    async def _run(self, name: str, *args: Any) -> None:
        await self._connection.execute(query(name), self._user_id, *args)


def _says_it_too(row: Any) -> bool:
    """Another batch said the fact again, or somebody edited it by hand: a night only keeps order."""
    return row["change"] in ("confirmed", "edited") and not row["theirs"] and row["by_whom"] != BY_WHOM


def _with_difference(payload: Payload, before: Mapping[str, Any], after: Mapping[str, Any]) -> Payload:
    """The payload with what changed from one state to the next; of a list, what was added to it."""
    changed = dict(payload)
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            own = changed.get(key) or []
            added = [*own, *(one for one in _added(old, new) if one not in own)]
            changed[key] = added[-MOST_EVIDENCE:] if key == "evidence" else added
        elif key in after:
            changed[key] = new
        else:
            changed.pop(key, None)
    return changed


def _added(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """What a list has that it had not; most only grow at their end."""
    grown = new[len(old) :] if new[: len(old)] == old else new
    return [one for one in grown if one not in old]


class _Turns:
    """All turns that said a fact in each of its states: a change notes the latest, and none goes."""

    def __init__(self, now: Payload) -> None:
        self._all = now["turn_ids"] if isinstance(now.get("turn_ids"), list) else []
        self._places = {str(one): place for place, one in enumerate(self._all, 1)}

    def whole(self, noted: Payload) -> Payload:
        """A state with all of its turns."""
        latest = noted.get("turn_ids")
        if not isinstance(latest, list) or len(latest) != MOST_EVIDENCE:
            return noted
        turn_ids = self._all[: self._places.get(str(latest[-1]), 0)]
        return noted | {"turn_ids": turn_ids} if turn_ids[-MOST_EVIDENCE:] == latest else noted


def _noted(payload: Payload, change: str) -> Payload:
    """A state as a change notes it. What somebody edited is noted with all of its turns: they tell what was
    learned of the same."""
    if change == "edited" or not isinstance(payload.get("turn_ids"), list):
        return payload
    return payload | {"turn_ids": payload["turn_ids"][-MOST_EVIDENCE:]}
