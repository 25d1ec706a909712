"""Nodes and edges of facts in Graphiti's form. Imported by `echoic.workers.graph.graphiti_env.load` only."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from graphiti_core.edges import EntityEdge
from graphiti_core.nodes import EntityNode

from echoic.memory.embedding.embedder import Vector
from echoic.workers.graph.triplets import Edge, Node, is_over


def node_of(group: str, node: Node) -> EntityNode:
    """A node for Graphiti's bulk save."""
    labels = ["Entity", node.label] if node.label else ["Entity"]
    return EntityNode(
        uuid=str(node.node_id), name=node.name, group_id=group, labels=labels, created_at=node.created_at
    )


def edges_of(
    group: str, edges: Iterable[Edge], vectors: Mapping[UUID, Vector], now: datetime
) -> list[EntityEdge]:
    """Edges for Graphiti's bulk save.

    Their vectors are those of the facts; what ended has its end as Graphiti notes it.
    """
    return [
        _edge_of(group, edge, [float(number) for number in vectors[edge.fact.fact_id]], now) for edge in edges
    ]


def _edge_of(group: str, edge: Edge, vector: list[float], now: datetime) -> EntityEdge:
    fact = edge.fact
    return EntityEdge(
        uuid=str(edge.edge_id),
        group_id=group,
        source_node_uuid=str(edge.source),
        target_node_uuid=str(edge.target),
        created_at=fact.said_at,
        name=edge.name,
        fact=fact.text,
        fact_embedding=vector,
        valid_at=fact.valid_from,
        invalid_at=fact.valid_until,
        expired_at=fact.valid_until if is_over(fact, now) else None,
        reference_time=fact.said_at,
        attributes={
            "fact_id": str(fact.fact_id),
            "importance": fact.importance,
            "turn_ids": [str(turn_id) for turn_id in fact.turn_ids],
        },
    )
