"""What an agent may bring up by itself: what was promised, what is coming, what is not known.

No model is asked. Whether the moment is right is the agent's to judge.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from echoic.memory.profile.profile import Limits, Slot, read_slots
from echoic.memory.profile.slots import ProfileSettings, read_profile
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import fact_from
from echoic.memory.store.queries import query
from echoic.memory.text.dates.last_day import BEHIND, is_due, late_from
from echoic.memory.types import Caller, Fact

Reason = Literal["overdue", "coming", "unknown"]
AHEAD = timedelta(days=14)
"""How early anything is brought up."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """One thing to bring up."""

    reason: Reason
    topic: str
    sub_topic: str
    description: str = ""
    """Of the slot of which nothing is known."""
    fact: Fact | None = None
    at: datetime | None = None
    """When it is or was due, or begins."""


async def proposals(memory: Memory, caller: Caller, limit: int) -> list[Proposal]:
    """Promises that are overdue, the latest first; then what comes, the soonest first; then the configured
    slots of which nothing is known, as they are configured. Nothing of somebody whose memory is off.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    now = memory.now()
    if not (await memory.choices.read(caller.user_id)).memory:
        return []

    async def read(connection: Connection) -> list[Proposal]:
        profile = await read_profile(connection, memory.settings.profile_file)
        whose = (caller.ids, caller.agent_id)
        rows = await connection.fetch(query("facts_around"), *whose, now, now - BEHIND, now + AHEAD)
        facts = [(fact_from(row["id"], row["payload"]), row["at"]) for row in rows]
        dated = [_dated(fact, at, now) for fact, at in facts if at > now or is_due(fact, now)]
        overdue = [one for one in reversed(dated) if one.reason == "overdue"]
        coming = [one for one in dated if one.reason == "coming"]
        return [
            *overdue,
            *coming,
            *_unknown(profile, await read_slots(connection, *whose, profile, Limits(), now)),
        ]

    return (await memory.db.run(read))[:limit]


def _dated(fact: Fact, at: datetime, now: datetime) -> Proposal:
    reason: Reason = "overdue" if late_from(fact.due or at, fact.precision) <= now else "coming"
    return Proposal(reason, fact.topic, fact.sub_topic, fact=fact, at=at)


def _unknown(profile: ProfileSettings, slots: list[Slot]) -> list[Proposal]:
    known = {(slot.topic, slot.sub_topic) for slot in slots}
    return [
        Proposal("unknown", topic.topic, sub.name, sub.description)
        for topic in profile.topics.values()
        for sub in topic.sub_topics
        if (topic.topic, sub.name) not in known
    ]
