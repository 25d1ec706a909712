"""Graphs of people who were erased: marked in the transaction that erases, and removed at their server as
soon as it answers."""

from collections.abc import Sequence
from functools import partial

from echoic.memory.errors import MemoryFault
from echoic.memory.graph.backend import GraphBackend
from echoic.memory.store.database import Connection, Database
from echoic.memory.store.queries import query

ERASE_LIMIT_S = 60.0
"""Neo4j removes ten thousand nodes and edges in a few seconds."""
SECOND_LOOK_S = 60.0
"""What a server that goes on again carries out late, it has by then."""


async def void_graphs(connection: Connection, user_id: str) -> None:
    """From this transaction on nobody finds the user's graphs; their names wait until the server has removed
    them."""
    await connection.execute(query("void_graphs"), user_id)


async def void_of(db: Database, user_id: str, *, removed_too: bool = False) -> list[str]:
    """Graphs of this erased user that wait to be removed; `removed_too`: or to be looked at once more."""
    rows = await db.run(lambda connection: connection.fetch(query("void_graphs_of"), user_id, removed_too))
    return [row["group_id"] for row in rows]


async def finish_erasures(
    db: Database, backend: GraphBackend, groups: Sequence[str] | None = None, *, for_good: bool = False
) -> int:
    """Remove void graphs at their server: these, or all that wait.

    Returns how many were removed now; safe to repeat.

    A server that hung may carry out late what was given up, and make a removed graph anew: each is removed
    once more a minute later, and only then forgotten.

    Args:
        for_good: forget them at once. Whoever puts something into a graph calls this first: an erased person
            may come back before their old graph was removed, or looked at again.

    Raises:
        MemoryFault: the graph server, or Postgres, does not answer; what is left waits. Or one of the graphs
            cannot be removed, and the others are.
    """
    if groups is None:
        waiting = await db.run(lambda connection: connection.fetch(query("all_void_graphs"), SECOND_LOOK_S))
        groups = [row["group_id"] for row in waiting]
    removed, fault = 0, None
    for group in groups:
        try:
            remove = partial(_remove, backend=backend, group=group, for_good=for_good)
            removed += await db.transaction(remove, timeout_s=ERASE_LIMIT_S)
        except MemoryFault as exc:
            await backend.ping()  # raises when it is no fault of this graph's
            reason = f"the graph server does not remove it ({type(exc).__name__})"
            await db.run(partial(_note_failure, group=group, reason=reason))
            fault = fault or exc
    if fault is not None:
        raise fault
    return removed


async def _note_failure(connection: Connection, *, group: str, reason: str) -> None:
    await connection.execute(query("void_graph_failed"), group, reason)


async def _remove(connection: Connection, *, backend: GraphBackend, group: str, for_good: bool) -> bool:
    """Under the row's lock: two that remove the same graph must not remove what was put into a new one
    between them."""
    row = await connection.fetchrow(query("lock_void_graph"), group, SECOND_LOOK_S)
    if row is None or (row["removed"] and not row["settled"] and not for_good):
        return False
    await backend.erase(group)
    await connection.execute(
        query("void_graph_is_gone" if row["removed"] or for_good else "void_graph_is_removed"), group
    )
    return not row["removed"]
