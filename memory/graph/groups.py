"""Which graph is whose: one per user and agent, and what Postgres knows about it, so that nobody asks a graph
that is not there."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from echoic.memory.graph.types import Relation, relation_as_json, relation_from_json
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.versions import Version, Versions
from echoic.memory.types import Caller, CallKey

CALLS_HELD = 256
"""Calls of one process whose group is remembered; a call process has one."""
ID_CHARS = 40

# one that still holds what was forgotten rests until a worker has removed that
_READ = (
    "select group_id, edges, digest from graph_groups where user_id = any($1::text[]) and agent_id = $2 and "
    "refreshed_at is not null order by array_position($1::text[], user_id)"
)


@dataclass(frozen=True, slots=True)
class Group:
    """One graph: how large it was when it was last added to, and the most important of it."""

    group_id: str
    edges: int
    digest: tuple[Relation, ...] = ()


Groups = tuple[Group, ...]


def group_of(user_id: str, agent_id: str) -> str:
    """Name of the graph of what this user told this agent: letters and digits only, whatever the ids are."""
    return "e" + hashlib.sha256(f"{user_id}\0{agent_id}".encode()).hexdigest()[:ID_CHARS]


def digest_json(relations: Sequence[Relation]) -> str:
    """The digest as its column keeps it."""
    return json.dumps([relation_as_json(relation) for relation in relations])


async def read_groups(connection: Connection, user_ids: Sequence[str], agent_id: str) -> Groups:
    """What is known about the graphs of one person's ids; empty: there is none."""
    return tuple(_group(row) for row in await connection.fetch(_READ, user_ids, agent_id))


class GraphGroups:
    """The groups of the calls of this process, read again when their user's memory changed."""

    def __init__(self, db: Database, versions: Versions) -> None:
        self._db, self._versions = db, versions
        self._held: OrderedDict[CallKey, tuple[Version, Groups]] = OrderedDict()

    async def of(self, caller: Caller) -> Groups:
        """The caller's graphs, one for each of their ids; none: then no graph server need be asked.

        Raises:
            StoreUnavailable: Postgres did not answer.
        """
        version, held = self._versions.of(caller), self._held.get(caller.key)
        if held is not None and held[0] == version:
            return held[1]
        groups = await self._db.run(lambda connection: read_groups(connection, caller.ids, caller.agent_id))
        self._hold(caller, version, groups)
        return groups

    def forget(self, user_id: str) -> None:
        """A person was erased. Which calls are theirs is not kept here: all are read again."""
        self._held.clear()

    def _hold(self, caller: Caller, version: Version, groups: Groups) -> None:
        """Remember what was read for this call, at that version of its user's memory."""
        self._held[caller.key] = version, groups
        self._held.move_to_end(caller.key)
        while len(self._held) > CALLS_HELD:
            self._held.popitem(last=False)


def _group(row: asyncpg.Record) -> Group:
    digest: Any = json.loads(row["digest"]) if isinstance(row["digest"], str) else row["digest"]
    return Group(row["group_id"], row["edges"], tuple(map(relation_from_json, digest or ())))
