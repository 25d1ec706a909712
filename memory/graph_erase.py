"""Graphs of people who were erased: marked in the transaction that erases, and removed at their server as soon as it answers."""

from collections.abc import Sequence
from functools import partial

from memory.db import Connection, Database
from memory.graph_backend import GraphBackend
from memory.queries import query

ERASE_LIMIT_S = 60.0
"""Neo4j removes ten thousand nodes and edges in a few seconds."""


async def void_graphs(connection: Connection, user_id: str) -> None:
    """From this transaction on nobody finds the user's graphs; their names wait until the server has removed them."""
    await connection.execute(query("void_graphs"), user_id)


async def void_of(db: Database, user_id: str) -> list[str]:
    """Graphs of this erased user that wait to be removed."""
    rows = await db.run(lambda connection: connection.fetch(query("void_graphs_of"), user_id))
    return [row["group_id"] for row in rows]


async def finish_erasures(db: Database, backend: GraphBackend, groups: Sequence[str] | None = None) -> int:
    """Remove void graphs at their server: these, or all that wait. Returns how many are gone now; safe to repeat.

    Whoever puts something into a graph calls this first: an erased person may come back before their old graph was removed.

    Raises:
        StoreUnavailable: the graph server, or Postgres, does not answer; what is left waits.
    """
    if groups is None:
        groups = [row["group_id"] for row in await db.run(lambda connection: connection.fetch(query("all_void_graphs")))]
    removed = [await db.transaction(partial(_remove, backend=backend, group=group), timeout_s=ERASE_LIMIT_S) for group in groups]
    return sum(removed)


async def _remove(connection: Connection, *, backend: GraphBackend, group: str) -> bool:
    """Under the row's lock: two that remove the same graph must not remove what was put into a new one between them."""
    if await connection.fetchval(query("lock_void_graph"), group) is None:
        return False
    await backend.erase(group)
    await connection.execute(query("void_graph_is_gone"), group)
    return True
