"""What is known already beside a batch: shown to the extractor, and asked again about each new fact."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.service import Memory
from echoic.memory.text.words import is_small_talk
from echoic.memory.types import Fact, Turn
from echoic.workers.extractors.base import Extraction
from echoic.workers.extractors.guards import is_known

MOST = 12
"""Live facts shown to the extractor; more distract a small model."""
A_TURN = 6
SHORT_CHARS = 60
"""A shorter turn ("no, Brisket") is looked up together with the agent's words before it."""
NEAREST = 4


def informative_turns(turns: Sequence[Turn]) -> list[Turn]:
    """The caller's turns that are more than small talk."""
    return [turn for turn in turns if turn.role == "user" and not is_small_talk(turn.text)]


async def known_facts(memory: Memory, turns: Sequence[Turn]) -> list[Fact]:
    """The live facts nearest to what the caller said: the nearest of each turn first, then the second
    nearest."""
    asked = _questions(turns)
    vectors = await memory.embedder.embed_batch([text for _, text in asked])
    ranked = [
        await memory.facts.similar(turn.user_id, turn.agent_id, vector, A_TURN)
        for (turn, _), vector in zip(asked, vectors, strict=True)
    ]
    found: dict[UUID, Fact] = {}
    for place in range(A_TURN):
        for facts in ranked:
            if place < len(facts):
                found.setdefault(facts[place].fact_id, facts[place])
    return list(found.values())[:MOST]


async def only_new(
    memory: Memory, turns: Sequence[Turn], extraction: Extraction
) -> tuple[Extraction, Vector]:
    """The extraction without facts that a live one says already, and a vector for each that is left.

    The extractor saw the facts near the turns; these are the ones near each new fact.
    """
    if not extraction.facts:
        return extraction, np.empty((0, memory.embedder.dimensions), np.float32)
    vectors = await memory.embedder.embed_batch([fact.text for fact in extraction.facts])
    ending = {closing.fact_id for closing in extraction.closings}
    kept = []
    for place, fact in enumerate(extraction.facts):
        near = await memory.facts.similar(turns[0].user_id, turns[0].agent_id, vectors[place], NEAREST)
        if not is_known(fact.text, [one for one in near if one.fact_id not in ending]):
            kept.append(place)
    return replace(extraction, facts=tuple(extraction.facts[place] for place in kept)), vectors[kept]


def _questions(turns: Sequence[Turn]) -> list[tuple[Turn, str]]:
    wanted = {turn.turn_id for turn in informative_turns(turns)}
    found = []
    before = ""
    for turn in turns:
        if turn.turn_id in wanted:
            found.append(
                (turn, f"{before} {turn.text}".strip() if len(turn.text) < SHORT_CHARS else turn.text)
            )
        before = turn.text if turn.role == "assistant" else ""
    return found
