"""What memory did and what it holds, in words for a person and as the JSON object of a turn."""

import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from echoic.memory.privacy.changes import Change
from echoic.memory.text.dates.last_day import due_days, last_day
from echoic.memory.text.dates.spoken import day, said
from echoic.memory.text.people import shown
from echoic.memory.types import CALLER, Fact, Item, Recall, Turn

if TYPE_CHECKING:
    from echoic.agent.call.text_call import (
        Answer,  # brings all of LiveKit, which `echoic memories` does without
    )

SHOWN_CHARS = 60
TURNS_SHOWN = 20


def as_json(answer: "Answer") -> str:
    """One turn as `echoic talk --json` prints it; this format is kept stable."""
    tiers = {name: tier.note for name, tier in answer.recall.tiers.items()}
    recall = {"elapsed_ms": round(answer.recall.elapsed_ms, 3), "block": answer.recall.block, "tiers": tiers}
    turn_ids = [str(turn.turn_id) for turn in answer.turns]
    return json.dumps(
        {"user": answer.user, "reply": answer.reply, "recall": recall, "turn_ids": turn_ids},
        ensure_ascii=False,
    )


def memory_line(
    answer: "Answer", *, spooled: int = 0, queue_fails: bool = False, refused: bool = False
) -> str:
    """What memory did for one reply: tiers, milliseconds, what was used, and where the turn is now.

    Args:
        spooled: turns that wait on this disk for the database.
        refused: it answers, and does not take them.
        queue_fails: whether Redis refused the hint to learn this turn.
    """
    parts = [f"memory {answer.recall.elapsed_ms:.0f} ms", *_tiers(answer.recall), _used(answer.recall.used)]
    if spooled and refused:
        parts.append(f"Postgres does not take {count(spooled, 'turn')}: kept on disk, see `echoic doctor`")
    elif spooled:
        parts.append(f"Postgres cannot be reached: {count(spooled, 'turn')} kept on disk until it can")
    elif answer.turns:
        parts.append(f"{count(len(answer.turns), 'turn')} stored")
    if queue_fails:
        parts.append("Redis cannot be reached: learning starts later")
    return " · ".join(parts)


def why_lines(answer: "Answer | None", timezone: str) -> Iterator[str]:
    """What was recalled for the last reply, line by line."""
    if answer is None:
        yield "Nothing was said yet in this call."
        return
    if not answer.recall.used:
        yield "Nothing was recalled for the last reply."
    zone, now = ZoneInfo(timezone), datetime.now(UTC)
    for item in answer.recall.used:
        parts = (
            _kind(item),
            item.tier or "memory",
            _when(item, now, zone),
            f"“{_short(shown(item.text, item.about), 200)}”",
        )
        yield " · ".join(parts)
        if item.quote:
            yield f"    because you said “{_short(item.quote, 200)}”"
    for name, tier in answer.recall.tiers.items():
        yield f"tier {name}: {tier.status}, {count(len(tier.items), 'item')} in {tier.elapsed_ms:.1f} ms"


async def memories_lines(
    facts: AsyncIterator[Fact], turns: AsyncIterator[Turn], user_id: str, timezone: str
) -> AsyncIterator[str]:
    """Every live fact, and the last turns, of one user."""
    zone, learned = ZoneInfo(timezone), 0
    async for fact in facts:
        if not learned:
            yield "Learned:"
        learned += 1
        about = f", about {fact.about}" if fact.about not in (None, CALLER) else ""
        due = f", due {due_days(fact.due, fact.precision, zone)}" if fact.due is not None else ""
        yield f"  {fact.text} ({fact.topic or 'no topic'}{about}{due}, said {day(fact.said_at, zone)})"
    said, last = 0, deque[Turn](maxlen=TURNS_SHOWN)
    async for turn in turns:
        said += 1
        last.append(turn)
    if not learned and not said:
        yield f"Nothing is remembered about “{user_id}” yet."
        return
    which = "all" if len(last) == said else "the last"
    yield f"Said ({which} {count(len(last), 'turn')} of {said}):"
    for turn in last:
        speaker, cut = ("you", " (not answered)") if turn.role == "user" else ("echoic", " (cut off)")
        ended = cut if turn.interrupted else ""
        yield f"  {day(turn.said_at, zone)} {speaker}: {_short(turn.text, 200)}{ended}"


def changes_lines(changes: Sequence[Change], user_id: str, timezone: str) -> Iterator[str]:
    """What changed in what is known of one user, oldest first."""
    if not changes:
        yield f"Nothing changed in what is known about “{user_id}”."
    zone = ZoneInfo(timezone)
    for change in changes:
        fact = change.now or change.before
        text = f"“{_short(shown(fact.text, fact.about), 200)}”" if fact is not None else "a fact that is gone"
        if change.kind == "edited" and change.before is not None:
            text = f"“{_short(shown(change.before.text, change.before.about), 200)}” -> {text}"
        when, back = (
            f"{one.astimezone(zone):%d %b %Y %H:%M}" if one else ""
            for one in (change.changed_at, change.undone_at)
        )
        undone = f", taken back {back}" if back else ""
        call = f" in call {change.call_id}" if change.call_id else ""
        yield f"  {when} {change.kind}: {text} (by {change.by_whom}{call}{undone})"


def _tiers(recall: Recall) -> Iterator[str]:
    for name, tier in recall.tiers.items():
        yield f"{name} {tier.status}" + (f" {len(tier.items)}" if tier.items else "")


def _used(used: Sequence[Item]) -> str:
    if not used:
        return "nothing used"
    more = f" and {len(used) - 1} more" if len(used) > 1 else ""
    return f"used “{_short(used[0].text, SHOWN_CHARS)}”{more}"


def _when(item: Item, now: datetime, zone: ZoneInfo) -> str:
    """When it was said, and until when it was true."""
    ended = "" if item.valid_until is None else f", true until {last_day(item.valid_until, zone)}"
    return said(item.said_at, now, zone) + ended


def _kind(item: Item) -> str:
    if item.kind != "turn":
        return item.kind
    return "you said" if item.role == "user" else "echoic said"


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def count(number: int, noun: str) -> str:
    """ "1 turn", "2 turns"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
