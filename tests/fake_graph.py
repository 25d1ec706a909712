"""A graph server that lives in the test's process; `tests/contract` keeps it honest."""

from uuid import NAMESPACE_OID, uuid5

import numpy as np

from echoic.memory.graph.query_words import asked_words
from echoic.memory.graph.ranking import Found, ranked
from echoic.memory.graph.types import CALLER_NAMES, Entity, Relation, chosen, graph_as_json

NEAR, NEIGHBOURS, HUB = 3, 12, 20


class FakeGraph:
    """A GraphBackend without a server. Each group is a list of (relation, its vector or None)."""

    name = "falkordb"

    def __init__(self):
        self.groups: dict[str, list[tuple[Relation, np.ndarray | None]]] = {}
        self.importance: dict = {}

    async def search(self, group, *, vector, words, past, now, limit, edges):
        rows = [(one, at) for one, at in self.groups.get(group, ()) if past or one.is_live(now)]
        if vector is not None and any(at is not None and at.shape != vector.shape for _, at in rows):
            vector = None
        likeness = {one.edge_id: _cosine(at, vector) for one, at in rows}
        near = sorted(
            (one for one, _ in rows if likeness[one.edge_id] is not None),
            key=lambda one: -likeness[one.edge_id],
        )
        found = [Found(one, "vector", likeness[one.edge_id]) for one in near]
        for seed in near[:NEAR]:
            hops = self._neighbours([one for one, _ in rows], seed)
            found += [Found(one, "hop", likeness[one.edge_id], likeness[seed.edge_id]) for one in hops]
        for one, _ in rows:
            if shared := len(set(words) & set(asked_words(one.text))):
                found.append(Found(one, "text", likeness[one.edge_id], shared))
            if set(words) & {*asked_words(one.source), *asked_words(one.target)}:
                found.append(Found(one, "name", likeness[one.edge_id]))
        return ranked(found, limit)

    async def relations(self, group, *, at=None, live_only=True):
        rows = [one for one, _ in self.groups.get(group, ())]
        return chosen(sorted(rows, key=lambda one: (one.said_at, str(one.edge_id))), at, live_only)

    async def entities(self, group):
        names = {name for one, _ in self.groups.get(group, ()) for name in (one.source, one.target)}
        return [Entity(self._id(name), name) for name in sorted(names)]

    async def digest(self, group, limit, now):
        live = [one for one in await self.relations(group, live_only=False) if one.is_live(now)]
        return sorted(
            live, key=lambda one: (-self.importance.get(one.edge_id, 0.5), -one.said_at.timestamp())
        )[:limit]

    async def export(self, group):
        return graph_as_json(await self.entities(group), await self.relations(group, live_only=False))

    async def refresh(self, group):
        """Nothing is kept beside the edges."""

    async def erase(self, group):
        self.groups.pop(group, None)

    async def count(self, group):
        return len(self.groups.get(group, ()))

    async def ping(self):
        return "Fake 1"

    async def close(self):
        """Nothing to close."""

    def _neighbours(self, rows, seed):
        ends = {name for name in (seed.source, seed.target) if name not in CALLER_NAMES}
        ends = {name for name in ends if sum(name in (one.source, one.target) for one in rows) <= HUB}
        return [one for one in rows if ends & {one.source, one.target}][:NEIGHBOURS]

    @staticmethod
    def _id(name):
        return uuid5(NAMESPACE_OID, name)


def _cosine(at, vector):
    if at is None or vector is None:
        return None
    return float(at @ vector / (np.linalg.norm(at) * np.linalg.norm(vector)))
