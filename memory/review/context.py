"""What is known about a person as a block for a prompt, for whoever has no call: with limits of their own."""

import time
from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.memory.recall.prompt import compose
from echoic.memory.recall.recent_turns import PROFILE_FACTS, RecentTurns
from echoic.memory.service import Memory
from echoic.memory.types import Caller, Item, Recall


async def context_for(
    memory: Memory, caller: Caller, text: str, *, max_tokens: int, max_items: int, topics: frozenset[str]
) -> Recall:
    """A block of at most so many tokens: what answers `text`, then the most important facts.

    A tier that is slow or broken is named in `tiers`; the profile is read from Postgres.

    Args:
        text: what is asked; empty: only the profile.
        topics: the profile keeps to these; empty: all.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    began = time.perf_counter()
    caller = replace(caller, also=await memory.links.read_along(caller.user_id))
    profile = await _profile(memory, caller, topics)
    found = await memory.recaller.recall(caller, text, RecentTurns()) if text else Recall()
    block, used = compose(
        [item for result in found.tiers.values() for item in result.items],
        profile,
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
    limit = PROFILE_FACTS if not topics else 200  # the topic is chosen here: enough to have some of each
    facts = await memory.facts.profile(caller, limit)
    chosen = [fact for fact in facts if not topics or fact.topic in topics][:PROFILE_FACTS]
    return [Item.of_fact(fact, "profile", fact.importance) for fact in chosen]
