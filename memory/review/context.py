"""What is known about a person as a block for a prompt, for whoever has no call: with limits of their own."""

import time
from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.recall.prompt import compose
from echoic.memory.recall.recent_turns import PROFILE_FACTS, RecentTurns
from echoic.memory.service import Memory
from echoic.memory.types import Caller, Item, Recall

SEARCH_S = 2.0
"""For a search in writing nobody waits on the line: a tier that is late for a spoken reply is in time."""
OF_TOPICS = 1_000
"""Facts among which those of the wanted topics are looked for."""


async def context_for(
    memory: Memory,
    caller: Caller,
    text: str,
    *,
    max_tokens: int,
    max_items: int,
    topics: frozenset[str],
    only_topics: bool = False,
    budget_s: float | None = None,
) -> Recall:
    """A block of at most so many tokens: what answers `text`, then the most important facts.

    A tier that is slow or broken is named in `tiers`; the profile is read from Postgres.

    Args:
        text: what is asked; empty: only the profile.
        topics: the profile keeps to these; empty: all.
        only_topics: what answers the text keeps to them, too.
        budget_s: longest wait for the tiers; by default as long as a reply waits.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    began = time.perf_counter()
    caller = replace(caller, also=await memory.links.read_along(caller.user_id))
    profile = await _profile(memory, caller, topics)
    asked = memory.recaller.recall(caller, text, RecentTurns(), budget_s=budget_s) if text else None
    found = Recall() if asked is None else await asked
    items = [item for result in found.tiers.values() for item in result.items]
    if topics and only_topics:  # turns and relations have none
        ids = {item.id for item in profile}
        items = [item for item in items if item.kind == "fact" and item.id in ids]
    block, used = compose(
        items,
        profile[:PROFILE_FACTS],
        [],
        question=text,
        context=frozenset[UUID](),
        now=memory.now(),
        zone=ZoneInfo(caller.timezone),
        max_tokens=max_tokens,
        max_items=max_items,
    )
    return replace(found, block=block, used=used, elapsed_ms=round((time.perf_counter() - began) * 1000, 3))


async def _profile(memory: Memory, caller: Caller, topics: frozenset[str]) -> list[Item]:
    facts = await memory.facts.profile(caller, OF_TOPICS if topics else PROFILE_FACTS)
    chosen = [fact for fact in facts if not topics or fact.topic in topics]
    return [Item.of_fact(fact, "profile", fact.importance) for fact in chosen]
