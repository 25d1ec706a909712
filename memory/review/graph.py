"""One person's graphs as somebody looks at them: all nodes and edges, now or as they were."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from echoic.memory.graph.backend import GraphBackend
from echoic.memory.graph.types import Entity, Relation
from echoic.memory.store.database import Database
from echoic.memory.store.queries import query

READ_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class UserGraph:
    """What one person told one agent, as a graph."""

    agent_id: str
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    """Those that are live, or that were true at the time asked for; oldest first."""


async def graphs_of(
    db: Database, backend: GraphBackend, user_id: str, at: datetime | None
) -> Sequence[UserGraph]:
    """The graphs of a person, one for each agent; none for somebody the graph knows nothing of.

    Args:
        at: as it was then; None: as it is now.

    Raises:
        StoreUnavailable: Postgres or the graph server does not answer.
    """
    groups = await db.run(
        lambda connection: connection.fetch(query("user_graphs"), user_id), timeout_s=READ_LIMIT_S
    )
    return [await _read(backend, group["group_id"], group["agent_id"], at) for group in groups]


async def _read(backend: GraphBackend, group: str, agent_id: str, at: datetime | None) -> UserGraph:
    relations = await backend.relations(group, at=at)
    entities = await backend.entities(group)
    if at is not None:  # who was not spoken of by then was not known
        known = {name for relation in relations for name in (relation.source, relation.target)}
        entities = [entity for entity in entities if entity.name in known]
    return UserGraph(agent_id, tuple(entities), tuple(relations))
