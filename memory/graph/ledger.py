"""The ledger of the graph: whose graph is behind, what stands in it, and the batches on their way there.

Everything is written on the connection that holds the user's graph lock, so that a lost connection cannot
commit.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from echoic.memory.embedding.embedder import Vector
from echoic.memory.graph.groups import group_of
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.types import Fact, Turn

Mode = Literal["facts", "episodes"]
Kind = Literal["edge", "node", "turn"]


@dataclass(frozen=True, slots=True)
class GraphRef:
    """A graph that may be behind what was learned."""

    user_id: str
    agent_id: str
    asked_at: datetime

    @property
    def group_id(self) -> str:
        return group_of(self.user_id, self.agent_id)


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """Facts or turns that enter a graph together."""

    batch_id: UUID
    ids: tuple[UUID, ...]
    starts: int
    """How often a worker began it; more than its failures means that workers died in it."""
    failures: int
    result: dict[str, Any] | None = None
    """What a model made of it, if that is known already."""


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
    """Remember on which kind of server the graphs are; when that was another one, all of them are entered
    anew."""

    async def note(connection: Connection) -> None:
        before = await connection.fetchval("select value from settings where key = 'graph'")
        if before not in (None, name):
            await connection.execute(query("mark_all_graphs_behind"))
        await connection.execute(query("put_setting"), "graph", name)

    await db.transaction(note)


async def mode_of(connection: Connection, one: GraphRef) -> tuple[Mode, int] | None:
    """How a graph was fed until now, and how many relations it holds at least; None when there is none."""
    row = await connection.fetchrow(query("graph_group"), one.user_id, one.agent_id)
    return None if row is None else (row["mode"], row["least"])


async def add_group(connection: Connection, one: GraphRef, mode: Mode) -> None:
    """Note the graph before anything is put into it, so that an erasure knows of it."""
    await connection.execute(query("add_graph_group"), one.user_id, one.agent_id, one.group_id, mode)


async def reset(connection: Connection, one: GraphRef, mode: Mode) -> None:
    """Nothing stands in this graph any more: all of it is entered anew."""
    await connection.execute(query("reset_graph_group"), one.user_id, one.group_id, mode)


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
    """What stands in the graph, by kind: id and version."""
    found: dict[Kind, dict[UUID, str]] = {"edge": {}, "node": {}, "turn": {}}
    for row in await connection.fetch(query("graph_entered"), one.user_id, one.group_id):
        found[row["kind"]][row["id"]] = row["version"]
    return found


async def enter(connection: Connection, one: GraphRef, kind: Kind, versions: Mapping[UUID, str]) -> None:
    """These stand in the graph now."""
    await connection.execute(
        query("enter_in_graph"), one.user_id, one.group_id, kind, list(versions), list(versions.values())
    )


async def leave(connection: Connection, one: GraphRef, ids: Collection[UUID]) -> None:
    """These stand in the graph no more."""
    await connection.execute(query("leave_graph"), one.user_id, one.group_id, list(ids))


async def lost_turns(connection: Connection, one: GraphRef) -> dict[UUID, str]:
    """Turns that were forgotten after they went into the graph, each with its episode ("" for none)."""
    rows = await connection.fetch(query("graph_lost_turns"), one.user_id, one.group_id)
    return {row["id"]: row["version"] for row in rows}


async def leave_with_episodes(connection: Connection, one: GraphRef, episodes: Collection[str]) -> None:
    """The turns of these episodes are open again."""
    await connection.execute(query("leave_graph_with_episode"), one.user_id, one.group_id, list(episodes))


async def open_turns(connection: Connection, one: GraphRef, limit: int) -> list[Turn]:
    """The oldest turns that this agent heard and that are not in its graph."""
    rows = await connection.fetch(query("graph_open_turns"), one.user_id, one.agent_id, one.group_id, limit)
    return [Turn(**dict(row)) for row in rows]


async def turns_of(connection: Connection, user_id: str, turn_ids: Collection[UUID]) -> list[Turn]:
    """Those of the turns that still exist, in order."""
    return [
        Turn(**dict(row)) for row in await connection.fetch(query("batch_turns"), user_id, list(turn_ids))
    ]


async def turns_of_episodes(
    connection: Connection, user_id: str, episodes: Collection[UUID]
) -> dict[str, list[str]]:
    """Which turns went into which episode, by id: an episode is named after its batch."""
    rows = await connection.fetch(query("episode_turns"), user_id, list(episodes))
    return {str(row["batch_id"]): [str(turn_id) for turn_id in row["turn_ids"]] for row in rows}


async def running(connection: Connection, one: GraphRef) -> GraphBatch | None:
    """The batch that a dead worker left, or that failed before."""
    row = await connection.fetchrow(query("running_graph_batch"), one.user_id, one.agent_id)
    if row is None:
        return None
    result = None if row["result"] is None else json.loads(row["result"])
    return GraphBatch(row["batch_id"], tuple(row["turn_ids"]), row["starts"], row["failures"], result)


async def begin(
    connection: Connection, one: GraphRef, before: GraphBatch | None, ids: Sequence[UUID]
) -> GraphBatch:
    """Note that a worker takes these ids, committed before any model or graph server is asked."""
    if before is None:
        batch_id = uuid4()
        await connection.execute(query("insert_graph_batch"), one.user_id, batch_id, one.agent_id, list(ids))
        return GraphBatch(batch_id, tuple(ids), 1, 0)
    await connection.execute(query("start_graph_batch"), one.user_id, before.batch_id, list(ids))
    return GraphBatch(before.batch_id, tuple(ids), before.starts + 1, before.failures, before.result)


async def keep_result(
    connection: Connection, one: GraphRef, batch: GraphBatch, result: Mapping[str, Any]
) -> None:
    """Keep what a model made of the batch until it stands in the graph."""
    await connection.execute(query("keep_graph_result"), one.user_id, batch.batch_id, json.dumps(result))


async def count_cost(
    connection: Connection, one: GraphRef, batch: GraphBatch, calls: int, tokens: int
) -> None:
    """Add to what the batch has cost."""
    await connection.execute(query("count_graph_cost"), one.user_id, batch.batch_id, calls, tokens)


async def finish(connection: Connection, one: GraphRef, batch: GraphBatch, relations: int) -> None:
    """Mark the batch done, in the caller's transaction."""
    await connection.execute(query("finish_graph_batch"), one.user_id, batch.batch_id, relations)


async def drop(connection: Connection, one: GraphRef, batch: GraphBatch) -> None:
    """Forget a void batch."""
    await connection.execute(query("drop_graph_batch"), one.user_id, batch.batch_id)


async def fail(connection: Connection, one: GraphRef, batch: GraphBatch, error: str, most: int) -> bool:
    """Count a failure of the batch itself; True when it was the last one allowed, and the batch is dead."""
    return bool(
        await connection.fetchval(query("fail_graph_batch"), one.user_id, batch.batch_id, error, most)
    )


async def put_back(connection: Connection, one: GraphRef, batch: GraphBatch) -> None:
    """An outage: this start does not count."""
    await connection.execute(query("put_graph_batch_back"), one.user_id, batch.batch_id)


async def is_void(connection: Connection, user_id: str, said_at: datetime) -> bool:
    """Whether the person was erased after these words were said, or wants no more to be kept."""
    return bool(await connection.fetchval(query("is_stopped"), user_id)) or bool(
        await connection.fetchval(query("is_void"), user_id, said_at)
    )


async def cost(db: Database) -> tuple[int, int, int]:
    """Batches of all graphs, and what they cost: model calls and tokens."""
    row = await db.run(lambda connection: connection.fetchrow(query("graph_cost"), "graph"))
    return int(row["batches"]), int(row["calls"]), int(row["tokens"])
