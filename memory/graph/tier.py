"""Tier 3: how people, places and things belong together, and what was true when.

It races against the same deadline and may lose.
"""

import asyncio
from itertools import chain, zip_longest

from echoic.memory.graph.backend import GraphBackend
from echoic.memory.graph.groups import GraphGroups
from echoic.memory.graph.query_words import asked_words
from echoic.memory.graph.types import item_of
from echoic.memory.recall.pending import Question
from echoic.memory.types import GRAPH_TIER, Item

FOUND = 24
"""Relations handed on: several blocks full, so that what facts and turns say as well can be left out."""


class GraphTier:
    """The tier named `graph`.

    No model is asked, and the question's vector is the one that all tiers share.
    """

    name = GRAPH_TIER

    def __init__(self, backend: GraphBackend, groups: GraphGroups) -> None:
        self._backend, self._groups = backend, groups

    async def search(self, question: Question) -> list[Item]:
        """The best relations for the question, best first; live ones only, unless its words ask about the
        past.

        A caller without a graph is answered without asking the graph server.

        Raises:
            StoreUnavailable: the graph server, or Postgres, did not answer.
            ConfigInvalid: the graph server refuses us, or is too old.
        """
        groups = [group for group in await self._groups.of(question.caller) if group.edges]
        if not groups:
            return []
        vector, words = await question.vector.get(), asked_words(question.text)
        found = await asyncio.gather(
            *(
                self._backend.search(
                    group.group_id,
                    vector=vector,
                    words=words,
                    past=question.past,
                    now=question.now,
                    limit=FOUND,
                    edges=group.edges,
                )
                for group in groups
            )
        )
        # the best of each id first: scores of two graphs cannot be compared
        in_turn = chain.from_iterable(zip_longest(*found))
        return [item_of(relation) for relation in in_turn if relation is not None][:FOUND]
