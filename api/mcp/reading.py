"""What is remembered of one person, as text for a model: for a question, and as a profile."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from echoic.api.mcp.filters import Filters, read_filters
from echoic.memory.recall.prompt import compose
from echoic.memory.recall.quoting import one_line
from echoic.memory.recall.recent_turns import PROFILE_FACTS, RecentTurns
from echoic.memory.service import Memory
from echoic.memory.types import Caller, Fact, Item

SEARCH_S = 2.0
"""Nobody waits on the line for this answer: a tier that is late for a spoken reply is in time here."""
MOST_FACTS = 200
"""Of a profile, the most important ones."""
OF_TOPICS = 1_000
"""Facts among which those of the wanted topics are looked for."""
OFF = "This person has turned their memory off: nothing is kept or told."
NOTHING, NOBODY = "Nothing is remembered that answers this.", "Nothing is known about this user yet."


async def search(
    memory: Memory,
    user_id: str,
    query: str,
    filters: Mapping[str, Any] | None,
    *,
    max_tokens: int,
    max_items: int,
) -> tuple[str, list[dict[str, Any]]]:
    """What answers the query and then the most important facts: as one block, and one by one.

    Raises:
        FilterWrong: the filters say something that is not known here.
        StoreUnavailable: Postgres does not answer.
    """
    wanted = read_filters(filters, user_id)
    caller = await caller_of(memory, user_id, wanted.agent_id)
    if caller is None:
        return OFF, []
    profile = await _profile(memory, caller, wanted)
    found = await memory.recaller.recall(caller, query, RecentTurns(), budget_s=SEARCH_S)
    items = [item for result in found.tiers.values() for item in result.items]
    if wanted.topics:  # turns and relations have none
        of_topics = {fact.fact_id for fact in profile}
        items = [item for item in items if item.kind == "fact" and item.id in of_topics]
    block, used = compose(
        items,
        [Item.of_fact(fact, "profile", fact.importance) for fact in profile[:PROFILE_FACTS]],
        [],
        question=query,
        context=frozenset[UUID](),
        now=memory.now(),
        zone=ZoneInfo(caller.timezone),
        max_tokens=max_tokens,
        max_items=max_items,
    )
    return block.strip() or NOTHING, [_result(item) for item in used]


async def profile_text(memory: Memory, user_id: str) -> str:
    """The most important facts, a line each, by topic.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    caller = await caller_of(memory, user_id)
    if caller is None:
        return OFF
    facts = sorted(await memory.facts.profile(caller, MOST_FACTS), key=lambda fact: fact.topic)
    return "\n".join(map(_line, facts)) or NOBODY


async def caller_of(memory: Memory, user_id: str, agent_id: str = "") -> Caller | None:
    """This person, to that agent, where they chose to be; None: their memory is off.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    settings, choices = memory.settings, await memory.choices.read(user_id)
    if not choices.memory:
        return None
    return choices.applied_to(Caller(user_id, agent_id or settings.agent_id, "mcp", settings.timezone))


async def _profile(memory: Memory, caller: Caller, wanted: Filters) -> Sequence[Fact]:
    facts = await memory.facts.profile(caller, OF_TOPICS if wanted.topics else PROFILE_FACTS)
    return [fact for fact in facts if not wanted.topics or fact.topic in wanted.topics]


def _line(fact: Fact) -> str:
    whose = "unknown" if fact.about is None else one_line(str(fact.about))
    return f"- {one_line(fact.topic)}: {whose} - {one_line(fact.text)}"


def _result(item: Item) -> dict[str, Any]:
    """With the names of Mem0's results. A relation of the graph has no id: it goes with what it retells."""
    return {
        "id": None if item.kind == "relation" else str(item.id),
        "memory": item.text,
        "kind": item.kind,
        "score": round(item.score, 4),
        "created_at": item.said_at.isoformat(),
    }
