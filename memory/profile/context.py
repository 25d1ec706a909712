"""A context for a prompt, compiled without a model: the profile by slot, then what happened last.

Priorities are kept within the limit: a section is filled from its beginning until the next line does not fit.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from echoic.memory.profile.profile import Limits, Slot, line_of_slot, read_slots
from echoic.memory.profile.slots import read_profile
from echoic.memory.recall.fusion import fused
from echoic.memory.recall.prompt import estimate_tokens, line_of
from echoic.memory.recall.quoting import one_line
from echoic.memory.recall.recent_turns import RecentTurns
from echoic.memory.service import Memory
from echoic.memory.store.database import Connection
from echoic.memory.store.facts import about_from
from echoic.memory.store.queries import query
from echoic.memory.text.dates.succession import by_date
from echoic.memory.text.language import languages
from echoic.memory.types import Caller, Item, Recall

GISTS = 60
"""That are looked at; more never fit what a prompt is given."""
ASKED_S = 1.0
"""Longest that is waited for what answers a text: nobody's reply waits here."""
SHORTEST_LINE = 5
"""Tokens: no more facts than this are read for a limit."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a context is to be."""

    tokens: int = 1_000
    """Of both sections together; the frame comes to it."""
    profile_share: float = 0.6
    """How much of them the profile may have."""
    days: int | None = 180
    """How far back events go; None: to the beginning."""
    fill: bool = False
    """Whether events may have what the profile left."""
    limits: Limits = field(default_factory=Limits)
    feature: str = ""
    """What the conversation is about, by a name of `feature_topics`: the profile keeps to what that needs."""
    language: str = ""
    """ISO 639-1: of the frame. What is remembered stays in the language it was said in."""
    template: str = ""
    """Instead of the default frame: `{profile_section}` and `{event_section}` in it are filled in."""
    learned: bool = False
    """`days` count from when it was learned, too: it may be told long after it was said."""
    last: bool = True
    """Whether the last events come after what is found for what is spoken of."""


async def sections_for(memory: Memory, caller: Caller, text: str, shape: Shape) -> Recall:
    """The context of one person, with what answers `text` first among what happened; empty: no model is
    asked.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    if not text:
        return await compile_context(memory, caller, shape)
    asked = await memory.recaller.recall(caller, text, RecentTurns(), budget_s=ASKED_S)
    items = fused(item for result in asked.tiers.values() for item in result.items)
    best = by_date(items, text, memory.now(), ZoneInfo(caller.timezone))
    found = await compile_context(memory, caller, shape, [item for item in best if item.kind != "turn"])
    return replace(found, tiers=asked.tiers, elapsed_ms=found.elapsed_ms + asked.elapsed_ms)


async def compile_context(memory: Memory, caller: Caller, shape: Shape, found: Sequence[Item] = ()) -> Recall:
    """The context of one person.

    Args:
        found: facts for what is spoken of, best first: they stand before the last events.

    Raises:
        StoreUnavailable: Postgres does not answer.
    """
    began, now = time.perf_counter(), memory.now()
    since = None if shape.days is None else now - timedelta(days=shape.days)
    share = int(shape.tokens * shape.profile_share)

    async def read_profile_part(connection: Connection) -> list[Slot]:
        profile = await read_profile(connection, memory.settings.profile_file)
        most, limits = max(1, share // SHORTEST_LINE), _within(shape.limits, share)
        if shape.feature:
            limits = replace(limits, only=profile.needed_by(shape.feature))
        return await read_slots(connection, caller.ids, caller.agent_id, profile, limits, now, most)

    async def read_events(connection: Connection) -> list[Item]:
        least = min(GISTS, shape.tokens // SHORTEST_LINE) if shape.last else 0
        args = (caller.ids, caller.agent_id, since, least, shape.learned)
        return [_gist(row) for row in await connection.fetch(query("gist_lines"), *args)]

    # on two connections: neither waits for the other
    slots, gists = await asyncio.gather(memory.db.run(read_profile_part), memory.db.run(read_events))
    profile_section = _cut("\n".join(f"- {one_line(line_of_slot(slot)[2:])}" for slot in slots), shape.tokens)
    left = shape.tokens - estimate_tokens(profile_section)
    room = left if shape.fill else min(left, shape.tokens - share)
    events, event_section = _events([*found, *gists], room, now, ZoneInfo(caller.timezone))
    block = _framed(profile_section, event_section, shape)
    used = (*(item for slot in slots for item in _items(slot)), *events)
    return Recall(block=block, used=used, elapsed_ms=round((time.perf_counter() - began) * 1000, 3))


def _gist(row: asyncpg.Record) -> Item:
    about = about_from(json.loads(row["about"] or "null"))
    return Item("fact", **{**row, "about": about}, tier="events")


def _within(limits: Limits, tokens: int) -> Limits:
    return replace(limits, tokens=min(tokens, limits.tokens or tokens))


def _cut(section: str, tokens: int) -> str:
    """A single slot may be longer than all that there is room for."""
    while estimate_tokens(section) > tokens:
        section = f"{section[: len(section) * 3 // 4]}…"
    return section


def _events(items: Iterable[Item], room: int, now: datetime, zone: ZoneInfo) -> tuple[list[Item], str]:
    """Those that fit, in their order, until the next does not."""
    lines: dict[str, Item] = {}
    for item in items:
        line = f"- {line_of(item, item.text, now, zone)}"
        if line in lines:
            continue
        room -= estimate_tokens(line)
        if room < 0:
            break
        lines[line] = item
    return list(lines.values()), "\n".join(lines)


def _items(slot: Slot) -> list[Item]:
    return [
        Item("fact", line.fact_id, line.text, line.said_at, line.importance, tier="profile")
        for line in slot.lines[: slot.fit]
    ]


def _framed(profile: str, events: str, shape: Shape) -> str:
    """In the frame of the language; also of somebody of whom nothing is known."""
    if shape.template:
        parts = {"{profile_section}": profile, "{event_section}": events}
        # in one pass: what is remembered may itself hold such a mark
        return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], shape.template)
    frame = languages().get(shape.language, languages()["en"]).frame
    head = f"---\n# {frame['memory']}\n{frame['note']}"
    return f"{head}\n## {frame['profile']}:\n{profile}\n\n## {frame['events']}:\n{events}\n---\n"
