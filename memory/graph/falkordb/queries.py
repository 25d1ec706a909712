"""The Cypher that FalkorDB is asked, and the header in which its values travel.

Values stand in a header and not in the text: the server then plans a query once, and nothing a caller says is
ever read as Cypher. The vector is made once (`WITH vecf32($vector) AS q`): made again for each edge, the same
search took three times as long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from echoic.memory.graph.types import CALLER_NAMES

EXACT_EDGES = 15_000
"""Up to so many edges every vector is compared, 3 µs each; above, those with a word or name in common."""
SEEN, RERANKED = 40, 400
"""Candidates of each kind; of those that share a word, where not all vectors are compared."""
NAMED, NEAR, NEIGHBOURS = 5, 3, 12
"""Things taken for named; relations whose neighbours are looked at, and how many of these."""
HUB, CROWD = 20, 300
"""What has more relations than `HUB` makes no neighbours, nor does the caller.

Of something named that has more than `CROWD` only those come up that are near or share words."""

COLUMNS = """e.uuid AS id, e.fact AS fact, e.name AS name,
    startNode(e).name AS source, endNode(e).name AS target,
    coalesce(e.reference_time, e.valid_at, e.created_at) AS said_at,
    e.valid_at AS valid_at, e.invalid_at AS invalid_at, e.turn_ids AS turn_ids"""
NEWEST = "coalesce(e.reference_time, e.valid_at, e.created_at) DESC"

COUNT = "MATCH ()-[e:RELATES_TO]->() RETURN count(e)"
RELATIONS = f"MATCH ()-[e:RELATES_TO]->() RETURN {COLUMNS} ORDER BY said_at, id"
ENTITIES = "MATCH (n:Entity) RETURN n.uuid, n.name, n.summary, labels(n) ORDER BY n.name, n.uuid"
DIGEST = f"""
    MATCH ()-[e:RELATES_TO]->() WHERE e.invalid_at IS NULL OR e.invalid_at > $now
    WITH e ORDER BY coalesce(e.importance, 0.5) DESC, {NEWEST} LIMIT $most
    RETURN {COLUMNS}"""


def search(*, by_vector: bool, by_words: bool, edges: int) -> str:
    """One question in one query.

    A part for each way to come up; what comes up in several is merged by who asked.

    Values: `vector`, `words` (for the relations), `names` (for the things), `past`, `now`.
    """
    exact = by_vector and edges <= EXACT_EDGES
    head = "WITH vecf32($vector) AS q" if by_vector else "WITH null AS q"
    parts = [_BY_VECTOR] if exact else []
    if by_words:
        parts += [_BY_WORDS.format(most=SEEN if exact else RERANKED), _BY_NAME]
    distance = "vec.cosineDistance({0}.fact_embedding, q)" if by_vector else "null"
    return " UNION ALL ".join(head + _filled(part, distance) for part in parts)


def _filled(part: str, distance: str) -> str:
    for edge in ("e", "h", "near"):
        live = f"($past OR {edge}.invalid_at IS NULL OR {edge}.invalid_at > $now)"
        part = part.replace(f"LIVE({edge})", live).replace(f"DISTANCE({edge})", distance.format(edge))
    return part


_BY_VECTOR = f"""
    MATCH ()-[e:RELATES_TO]->() WHERE LIVE(e)
    WITH q, e, DISTANCE(e) AS d ORDER BY d LIMIT {SEEN}
    WITH q, collect(e) AS best
    CALL {{
        WITH q, best
        UNWIND best[0..{NEAR}] AS near UNWIND [startNode(near), endNode(near)] AS n
        WITH q, n, max(1 - DISTANCE(near)) AS pull
        WHERE NOT n.name IN {list(CALLER_NAMES)} AND indegree(n) + outdegree(n) <= {HUB}
        MATCH (n)-[h:RELATES_TO]-() WHERE LIVE(h)
        WITH h, max(pull) AS pull, DISTANCE(h) AS d ORDER BY d LIMIT {NEIGHBOURS}
        RETURN collect([h, pull]) AS hops
    }}
    UNWIND [one IN best | [one, 'vector', 0]] + [one IN hops | [one[0], 'hop', one[1]]] AS one
    WITH q, one[0] AS e, one[1] AS via, one[2] AS weight
    RETURN {COLUMNS}, via, 1 - DISTANCE(e) AS likeness, weight"""
_BY_WORDS = f"""
    CALL db.idx.fulltext.queryRelationships('RELATES_TO', $words) YIELD relationship AS e, score
    WITH q, e, score WHERE LIVE(e)
    WITH q, e, score ORDER BY score DESC LIMIT {{most}}
    RETURN {COLUMNS}, 'text' AS via, 1 - DISTANCE(e) AS likeness, score AS weight"""
_BY_NAME = f"""
    CALL db.idx.fulltext.queryNodes('Entity', $names) YIELD node AS n, score
    WITH q, n, score ORDER BY score DESC LIMIT {NAMED}
    WITH q, n WHERE indegree(n) + outdegree(n) <= {CROWD}
    MATCH (n)-[e:RELATES_TO]-() WHERE LIVE(e)
    WITH DISTINCT q, e, DISTANCE(e) AS d ORDER BY d LIMIT {SEEN}
    RETURN {COLUMNS}, 'name' AS via, 1 - d AS likeness, 0 AS weight"""


def header(values: Mapping[str, Any]) -> str:
    """`CYPHER name=value …`, with strings quoted for good."""
    return "CYPHER " + "".join(f"{name}={literal(value)} " for name, value in values.items())


def literal(value: Any) -> str:
    """One value as Cypher. NUL, which no store here can hold, is left out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return '"' + value.replace("\0", "").replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, np.ndarray):
        return "[" + ",".join([f"{number:.5g}" for number in value.tolist()]) + "]"
    assert isinstance(value, Sequence)
    return "[" + ",".join(map(literal, value)) + "]"
