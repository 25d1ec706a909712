"""The ledger of the graph: whose graph is behind, and what stands in it.

Everything is written on the connection that holds the user's graph lock, so that a lost connection cannot
commit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.groups import group_of
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact

Kind = Literal["edge", "node"]


@dataclass(frozen=True, slots=True)
class GraphRef:
    """A graph that may be behind what was learned."""

    user_id: str
    agent_id: str
    asked_at: datetime

    @property
    def group_id(self) -> str:
        return group_of(self.user_id, self.agent_id)


async def users_due(db: Database, limit: int = 1_000) -> list[str]:
    """Users with a graph that may be behind, longest waiting first."""
    rows = await db.run(lambda connection: connection.fetch(query("users_with_due_graphs"), limit))
    return [row["user_id"] for row in rows]


async def due(connection: Connection, user_id: str) -> list[GraphRef]:
    """The user's graphs that may be behind."""
    rows = await connection.fetch(query("due_graphs"), user_id)
    return [GraphRef(user_id, row["agent_id"], row["asked_at"]) for row in rows]


async def done(connection: Connection, one: GraphRef) -> None:
    """The graph has caught up with what was learned until it was asked for; later asking stands."""
    await connection.execute(query("graph_done"), one.user_id, one.agent_id, one.asked_at)


async def mark_due(
    connection: Connection, user_id: str, agent_id: str, closed: Collection[UUID] = ()
) -> None:
    """In the transaction that learned something from this agent's turns, or ended these facts."""
    await connection.execute(query("mark_graph_due"), user_id, agent_id, list(closed))


async def mark_behind(connection: Connection, user_id: str) -> None:
    """In the transaction that forgot something of this user: no digest shows it any more, and their graphs
    will lose it."""
    await connection.execute(query("mark_graphs_behind"), user_id)


async def remember_backend(db: Database, name: str) -> None:
    """Remember on which kind of server the graphs are; when that was another one, all of them are begun
    anew, and nobody asks them before."""

    async def note(connection: Connection) -> None:
        before = await connection.fetchval("select value from settings where key = 'graph'")
        if before not in (None, name):
            await connection.execute(query("all_graphs_moved"))
            await connection.execute(query("mark_all_graphs_behind"))
        await connection.execute(query("put_setting"), "graph", name)

    await db.transaction(note)


async def least_relations(connection: Connection, one: GraphRef) -> int | None:
    """How many relations a graph holds at least; None when there is none."""
    row = await connection.fetchrow(query("graph_group"), one.user_id, one.agent_id)
    return None if row is None else int(row["least"])


async def add_group(connection: Connection, one: GraphRef) -> None:
    """Note the graph before anything is put into it, so that an erasure knows of it."""
    await connection.execute(query("add_graph_group"), one.user_id, one.agent_id, one.group_id)


async def reset(connection: Connection, one: GraphRef) -> None:
    """Nothing stands in this graph any more: all of it is entered anew."""
    await connection.execute(query("reset_graph_group"), one.user_id, one.group_id)


async def refresh(connection: Connection, one: GraphRef, edges: int, digest: str) -> None:
    """Note what the graph holds now, unless more was learned or forgotten since it was asked for.

    `digest`: JSON.
    """
    await connection.execute(
        query("refresh_graph_group"), one.user_id, one.group_id, edges, digest, one.asked_at
    )


async def facts_of(connection: Connection, one: GraphRef) -> list[Fact]:
    """What this agent was told, closed facts too, oldest first."""
    rows = await connection.fetch(query("graph_facts"), one.user_id, one.agent_id)
    return [fact_from(row["id"], row["payload"]) for row in rows]


async def vectors_of(connection: Connection, user_id: str, fact_ids: Collection[UUID]) -> dict[UUID, Vector]:
    """The vectors of those facts that still exist."""
    rows = await connection.fetch(query("graph_fact_vectors"), user_id, list(fact_ids))
    return {row["id"]: row["vector"].to_numpy() for row in rows}


async def entered(connection: Connection, one: GraphRef) -> dict[Kind, dict[UUID, str]]:
    """What stands in the graph, by kind: id and version; without one: it may."""
    found: dict[Kind, dict[UUID, str]] = {"edge": {}, "node": {}}
    for row in await connection.fetch(query("graph_entered"), one.user_id, one.group_id):
        found[row["kind"]][row["id"]] = row["version"]
    return found


async def expect(connection: Connection, one: GraphRef, kind: Kind, ids: Collection[UUID]) -> None:
    """These may stand in the graph from now on, even if whoever enters them dies before that is noted."""
    await connection.execute(query("expect_in_graph"), one.user_id, one.group_id, kind, list(ids))


async def enter(connection: Connection, one: GraphRef, kind: Kind, versions: Mapping[UUID, str]) -> None:
    """These stand in the graph now."""
    await connection.execute(
        query("enter_in_graph"), one.user_id, one.group_id, kind, list(versions), list(versions.values())
    )


async def leave(connection: Connection, one: GraphRef, ids: Collection[UUID]) -> None:
    """These stand in the graph no more."""
    await connection.execute(query("leave_graph"), one.user_id, one.group_id, list(ids))


async def count_entered(connection: Connection, one: GraphRef, relations: int) -> None:
    """Note in the transaction that enters them that there are any."""
    await connection.execute(query("relations_entered"), one.user_id, one.group_id, relations)
