"""The Cypher that Neo4j is asked.

All groups share one database: every part filters by group, and none uses a vector index, which would lose a
small group's rows behind that filter.

Every answer is one record with a list `rows`: each further record costs the asynchronous driver 0.4 ms, sixty
of them more than the search itself.
"""

from echoic.memory.graph.types import CALLER_NAMES

EXACT_EDGES = 300
"""Up to so many edges every vector is compared, 20-30 µs each; above, packed pages bring up candidates."""
UNPAGED_EDGES = 2_000
"""The same for a group whose pages were never written; above that, its words must do."""
SEEN, RERANKED = 40, 200
"""Candidates of each kind; rows of the full-text index, which knows no time, to pick live ones from."""
NEAREST = 150
"""Candidates that pages bring up; those that have ended fall out afterwards."""
NAMED, NEAR, NEIGHBOURS = 5, 3, 12
HUB, CROWD = 20, 300
"""What has more relations than `HUB` makes no neighbours, nor does the caller.

Of something named that has more than `CROWD` only those come up that are near or share words."""
LABELS = ("Entity", "Episodic", "Community", "Saga", "EdgePage")

_SAID = "coalesce(e.reference_time, e.valid_at, e.created_at)"
_ROW = f"""e.uuid, e.fact, e.name, startNode(e).name, endNode(e).name,
    {_SAID}.epochMillis, e.valid_at.epochMillis, e.invalid_at.epochMillis, e.turn_ids"""
_ALL = "MATCH ()-[e:RELATES_TO]->() WHERE e.group_id = $group"

COUNT = f"{_ALL} RETURN [[count(e)]] AS rows"
RELATIONS = f"{_ALL} WITH e ORDER BY {_SAID}, e.uuid RETURN collect([{_ROW}]) AS rows"
ENTITIES = """MATCH (n:Entity) WHERE n.group_id = $group
    WITH n ORDER BY n.name, n.uuid RETURN collect([n.uuid, n.name, n.summary, labels(n)]) AS rows"""
DIGEST = f"""{_ALL} AND (e.invalid_at IS NULL OR e.invalid_at > $now)
    WITH e ORDER BY coalesce(e.importance, 0.5) DESC, {_SAID} DESC LIMIT $most
    RETURN collect([{_ROW}]) AS rows"""
ERASE = (
    "MATCH (n:{label}) WHERE n.group_id = $group "
    "CALL {{ WITH n DETACH DELETE n }} IN TRANSACTIONS OF 500 ROWS"
)

PAGE_INDEX = "CREATE INDEX edge_page_group IF NOT EXISTS FOR (p:EdgePage) ON (p.group_id)"
PAGE_INDEX_EXISTS = "SHOW INDEXES YIELD name WHERE name = 'edge_page_group' RETURN collect([name]) AS rows"
PAGES = """MATCH (p:EdgePage) WHERE p.group_id = $group
    RETURN collect(CASE WHEN p.stamp IN $held THEN [p.stamp, null, null]
        ELSE [p.stamp, p.ids, p.vectors] END) AS rows"""
SAVE_PAGE = "CREATE (p:EdgePage {group_id: $group, stamp: $stamp, ids: $ids, vectors: $vectors})"
DROP_PAGES = "MATCH (p:EdgePage) WHERE p.group_id = $group AND p.stamp IN $stamps DELETE p"
EDGE_IDS = f"{_ALL} AND e.fact_embedding IS NOT NULL RETURN collect([e.uuid]) AS rows"
EDGE_VECTORS = """UNWIND $ids AS id MATCH ()-[e:RELATES_TO {uuid: id}]->()
    WHERE e.group_id = $group AND e.fact_embedding IS NOT NULL
    RETURN collect([e.uuid, e.fact_embedding]) AS rows"""


def search(*, start: str, by_vector: bool, by_words: bool) -> str:
    """One question in one query: a part for each way to come up; who asked merges what comes up twice.

    Values: `group`, `vector`, `ids` (each with its likeness), `words` (for the relations), `names` (for the
    things), `past`, `now`.

    Args:
        start: `all` compares every vector, `ids` takes those edges with their likeness, `words` only what
            words bring up.
    """
    known = by_vector and start in STARTS
    parts = (
        [_BY_VECTOR.replace("START", STARTS[start]).replace("LIKENESS", _LIKENESS[start])] if known else []
    )
    if by_words:
        parts += [_BY_WORDS.replace("MOST", str(SEEN if known else RERANKED)), _BY_NAME]
    cosine = "2 * vector.similarity.cosine({0}.fact_embedding, $vector) - 1" if by_vector else "null"
    found = " UNION ALL ".join(_filled(part, cosine) for part in parts)
    return f"CALL {{ {found} }} RETURN collect([{_ROW}, via, likeness, weight]) AS rows" if parts else ""


def _filled(part: str, cosine: str) -> str:
    for edge in ("e", "h"):
        live = (
            f"{edge}.group_id = $group AND ($past OR {edge}.invalid_at IS NULL OR {edge}.invalid_at > $now)"
        )
        part = part.replace(f"LIVE({edge})", live).replace(f"COSINE({edge})", cosine.format(edge))
    return part


STARTS = {
    "all": "MATCH ()-[e:RELATES_TO]->()",
    "ids": "UNWIND $ids AS near MATCH ()-[e:RELATES_TO {uuid: near[0]}]->()",
}
_LIKENESS = {"all": "COSINE(e)", "ids": "near[1]"}
_BY_VECTOR = f"""
    START WHERE LIVE(e)
    WITH e, LIKENESS AS likeness ORDER BY likeness DESC LIMIT {SEEN}
    WITH collect({{edge: e, likeness: likeness}}) AS best
    CALL {{
        WITH best
        UNWIND best[0..{NEAR}] AS near UNWIND [startNode(near.edge), endNode(near.edge)] AS n
        WITH n, max(near.likeness) AS pull
        WHERE NOT n.name IN {list(CALLER_NAMES)} AND COUNT {{ (n)-[:RELATES_TO]-() }} <= {HUB}
        MATCH (n)-[h:RELATES_TO]-() WHERE LIVE(h)
        WITH h, max(pull) AS pull, COSINE(h) AS likeness ORDER BY likeness DESC LIMIT {NEIGHBOURS}
        RETURN collect({{edge: h, likeness: likeness, pull: pull}}) AS hops
    }}
    UNWIND best + hops AS one
    RETURN one.edge AS e, CASE WHEN one.pull IS NULL THEN 'vector' ELSE 'hop' END AS via,
        one.likeness AS likeness, coalesce(one.pull, 0.0) AS weight"""
_BY_WORDS = f"""
    CALL db.index.fulltext.queryRelationships('edge_name_and_fact', $words, {{limit: {RERANKED}}})
    YIELD relationship AS e, score
    WITH e, score WHERE LIVE(e)
    WITH e, score ORDER BY score DESC LIMIT MOST
    RETURN e, 'text' AS via, COSINE(e) AS likeness, score AS weight"""
_BY_NAME = f"""
    CALL db.index.fulltext.queryNodes('node_name_and_summary', $names, {{limit: {NAMED}}}) YIELD node AS n
    WITH n WHERE COUNT {{ (n)-[:RELATES_TO]-() }} <= {CROWD}
    MATCH (n)-[e:RELATES_TO]-() WHERE LIVE(e)
    WITH DISTINCT e, COSINE(e) AS likeness ORDER BY likeness DESC LIMIT {SEEN}
    RETURN e, 'name' AS via, likeness, 0.0 AS weight"""
