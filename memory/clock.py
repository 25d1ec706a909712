"""One clock for what was said and for what was erased: the database's, carried on by this process's monotonic
clock.

A host's own clock may be wrong, and may be set while a call runs.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from echoic.memory.types import Turn

SAME_S = 1.0
"""Clocks that differ by less count as the same, for the time that is written down: nobody hears a second."""

_TICKING = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # macOS has that meaning in its monotonic one


def moment() -> float:
    """Seconds of this process's monotonic clock, of one that goes on while the machine sleeps.

    Python's stands still then: what was said after a night's sleep was dated before an erasure, and void.
    """
    return time.clock_gettime(_TICKING)


class Clock:
    """The database's time as far as it is known; until then this host's."""

    def __init__(self) -> None:
        self.is_known = False
        """Has the database told its time?"""
        self.asked_at: Callable[[], datetime] = self.now
        """What is taken for now; an eval asks about another day."""
        self._start, self._ahead_s = datetime.now(UTC), -moment()

    def set(self, now: datetime, asked_s: float) -> None:
        """The database said `now`, somewhere between `asked_s` of the monotonic clock and this moment.

        What is known already is kept if that agrees with it: one answer that was late changes nothing.
        """
        told_s = (now - self._start).total_seconds()
        least, most = told_s - moment(), told_s - asked_s
        if not self.is_known:
            self._ahead_s = (least + most) / 2
        self._ahead_s = min(max(self._ahead_s, least), most)
        self.is_known = True

    def now(self) -> datetime:
        """The time now."""
        return self.at(moment())

    def at(self, monotonic_s: float) -> datetime:
        """The time at a moment of this process's monotonic clock."""
        return self._start + timedelta(seconds=monotonic_s + self._ahead_s)

    def of(self, wall: datetime) -> datetime:
        """The time of what this host's clock calls `wall`: so long ago as it is by that clock."""
        return self.at(monotonic_of(wall))

    def dated(self, wall: datetime) -> datetime:
        """What is to be written down for `wall`: itself, unless this host's clock is wrong."""
        right = self.of(wall)
        return wall if abs((right - wall).total_seconds()) < SAME_S else right

    def not_ahead(self, when: datetime) -> datetime:
        """`when`, or now if that lies ahead: whoever says so has a clock that is wrong."""
        latest = max(self.now(), self.asked_at())
        return when if (when - latest).total_seconds() < SAME_S else latest

    def timed(self, turn: Turn) -> Turn:
        """The turn with its times by this clock, and said no later than now; as it is while the clock is not
        known. Without `heard_at` it was said by this host's."""
        if not self.is_known:
            return turn
        said_at, heard_at = turn.said_at, turn.heard_at
        if heard_at is None:
            said_at, heard_at = self.dated(said_at), self.of(said_at)
        return replace(turn, said_at=self.not_ahead(said_at), heard_at=self.not_ahead(heard_at))


def monotonic_of(wall: datetime) -> float:
    """The moment of the monotonic clock that this host's clock calls `wall`."""
    return moment() - (datetime.now(UTC) - wall).total_seconds()
