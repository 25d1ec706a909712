"""Questions about time, answered by dates: facts and relations carry the times between which they were true.

"Who was my boss before Wiebke": what ended when Wiebke began. "What has changed since March": what began or
ended since. Neither need share a word with its answer.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from echoic.memory.text.dates.days import asked_since
from echoic.memory.text.dates.words import speaks_of
from echoic.memory.types import Item

ANCHORS = 3
"""Statements that are looked at: the best placed ones, which are about what the question names."""
MOST = 3
"""Statements brought forward for each."""
SLACK = timedelta(days=10)
"""Between the end of one and the beginning of the next: a last day at work, and the first at the new one."""


def by_date(items: Sequence[Item], text: str, now: datetime, zone: ZoneInfo) -> list[Item]:
    """The items in their order, with those forward that answer a question about time by their dates."""
    since = asked_since(text, now, zone)
    if since is not None and speaks_of("change", text):
        changed = [item for item in items if item.kind != "turn" and _changed(item, since, now)]
        return list({id(item): item for item in (*changed, *items)}.values())
    return in_succession(items, text)


def in_succession(items: Sequence[Item], text: str) -> list[Item]:
    """The items in their order; where the words ask for it, what gave way to a well placed one, or took over
    from it, right behind it."""
    before, after = speaks_of("before", text), speaks_of("after", text)
    if not before and not after:
        return list(items)
    statements = [item for item in items if item.kind != "turn"]
    ordered: dict[int, Item] = {}
    anchors = {id(anchor) for anchor in statements[:ANCHORS]}
    for item in items:
        ordered.setdefault(id(item), item)
        if id(item) in anchors:
            beside = [
                one
                for one in statements
                if (before and _gave_way(one, item)) or (after and _gave_way(item, one))
            ]
            for one in beside[:MOST]:
                ordered.setdefault(id(one), one)
    return list(ordered.values())


def _gave_way(first: Item, second: Item) -> bool:
    """Did the first end about when the second began?"""
    if first.valid_until is None or _began(first) >= _began(second):
        return False
    return abs(first.valid_until - _began(second)) <= SLACK


def _changed(item: Item, since: datetime, now: datetime) -> bool:
    """Did it begin or end between then and now?"""
    return since <= _began(item) <= now or (item.valid_until is not None and since <= item.valid_until <= now)


def _began(item: Item) -> datetime:
    return item.valid_from or item.said_at
