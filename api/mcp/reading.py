"""What is remembered of one person, as text for a model: for a question, and as a profile."""

from collections.abc import Mapping
from typing import Any

from echoic.api.mcp.filters import read_filters
from echoic.memory.recall.quoting import one_line
from echoic.memory.review.context import SEARCH_S, context_for
from echoic.memory.review.reader import reader
from echoic.memory.service import Memory
from echoic.memory.text.people import shown
from echoic.memory.types import Caller, Fact, Item

MOST_FACTS = 200
"""Of a profile, the most important ones."""
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
    found = await context_for(
        memory,
        caller,
        query,
        max_tokens=max_tokens,
        max_items=max_items,
        topics=wanted.topics,
        only_topics=True,
        budget_s=SEARCH_S,
    )
    return found.block.strip() or NOTHING, [_result(item) for item in found.used]


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
    """This person, to that agent; None: their memory is off.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    caller, choices = await reader(memory, user_id, agent_id, call_id="mcp")
    return caller if choices.memory else None


def _line(fact: Fact) -> str:
    whose = "unknown" if fact.about is None else one_line(str(fact.about))
    return f"- {one_line(fact.topic)}: {whose} - {one_line(fact.text)}"


def _result(item: Item) -> dict[str, Any]:
    """With the names of Mem0's results. A relation of the graph has no id: it goes with what it retells."""
    return {
        "id": None if item.kind == "relation" else str(item.id),
        "memory": shown(item.text, item.about),
        "kind": item.kind,
        "score": round(item.score, 4),
        "created_at": item.said_at.isoformat(),
    }
