"""A topic with too many slots: of those that nobody configured the nearest become one, until about half are
left. The facts move, each noted as refiled by its batch, so that it can be taken back with it."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import combinations
from uuid import UUID

import numpy as np

from echoic.memory.embedding.embedder import Vector
from echoic.memory.profile.slots import ProfileSettings
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import LEARNING
from echoic.memory.store.queries import query

Slots = Mapping[str, tuple[int, Vector]]
"""How many facts each slot has, and where they lie on average."""


async def reorganise(
    connection: Connection,
    user_id: str,
    topics: Collection[str],
    profile: ProfileSettings,
    now: datetime,
    *,
    batch_id: UUID,
) -> int:
    """Bring these topics down to size, in the caller's transaction; returns how many facts moved."""
    rows = await connection.fetch(query("slot_sizes"), user_id, sorted(topics), now)
    moved = 0
    for topic in topics:
        own = {row["sub_topic"]: row for row in rows if row["topic"] == topic}
        sizes = {name: (len(row["ids"]), row["centre"].to_numpy()) for name, row in own.items()}
        fixed = {name for name in sizes if profile.slot(topic, name)}
        for name, into in merged(sizes, fixed, profile.max_profile_subtopics).items():
            change = json.dumps({"sub_topic": into, "updated_at": now.isoformat()})
            for fact_id in own[name]["ids"]:
                args = (user_id, fact_id, change, batch_id, "refiled", LEARNING, None, None)
                await connection.execute(query("change_fact"), *args)
                moved += 1
    return moved


def merged(slots: Slots, fixed: Collection[str], most: int) -> dict[str, str]:
    """Which slot goes into which, where there are more than `most`; at most half of that and one are left.

    Args:
        fixed: these stay, and may take others in.
    """
    into: dict[str, str] = {}
    left = dict(slots)
    while len(slots) > most and len(left) > most // 2 + 1:
        pairs = [pair for pair in combinations(sorted(left), 2) if not set(pair) <= set(fixed)]
        if not pairs:
            break
        near = max(pairs, key=lambda pair: float(left[pair[0]][1] @ left[pair[1]][1]))
        # a configured one stays; else the one with more facts
        stays, goes = sorted(near, key=lambda name: (name not in fixed, -left[name][0], name))
        (count, centre), (more, other) = left[stays], left.pop(goes)
        left[stays] = (count + more, np.asarray((centre * count + other * more) / (count + more), np.float32))
        into |= {goes: stays} | {name: stays for name, to in into.items() if to == goes}
    return into
