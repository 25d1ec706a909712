"""A tier that keeps failing is skipped for a while, so that it costs the caller nothing (Nygard, Release It!,
2007)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

State = Literal["closed", "open", "trial"]


class Breaker:
    """Opens after `failures` in a row; after `pause_s` it lets one trial through, which closes it again or
    not."""

    def __init__(self, *, failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._pause_s, self._clock = failures, pause_s, clock
        self._failed_in_a_row = 0
        self._opened_at: float | None = None
        self._on_trial = False

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "trial" if self._on_trial else "open"

    @property
    def holds_back(self) -> bool:
        """Is nobody let through now?"""
        return self._opened_at is not None and (
            self._on_trial or self._clock() - self._opened_at < self._pause_s
        )

    def allows(self) -> bool:
        """May the tier be asked now?

        The first yes after a pause is the trial; until it ends all others are refused.
        """
        if self._opened_at is None:
            return True
        if self.holds_back:
            return False
        self._on_trial = True
        return True

    def succeeded(self) -> None:
        self._failed_in_a_row, self._opened_at, self._on_trial = 0, None, False

    def failed(self) -> None:
        """A failure or a late answer."""
        self._failed_in_a_row += 1
        if self._on_trial or self._failed_in_a_row >= self._limit:
            self._opened_at, self._on_trial = self._clock(), False

    def forget_trial(self) -> None:
        """The trial was given up without an outcome: let another one through."""
        self._on_trial = False


class TierBreaker(Breaker):
    """Of a tier that many callers ask, each for what is theirs.

    Opens after failures in a row, or answers that were late to as many callers in a row.
    Who alone is late is held back alone: one large memory is no store that hangs.
    """

    def __init__(self, *, failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(failures=failures, pause_s=pause_s, clock=clock)
        self._late: set[str] = set()
        self._own: dict[str, Breaker] = {}
        self._new = partial(Breaker, failures=failures, pause_s=pause_s, clock=clock)

    @property
    def state(self) -> State:
        """Not closed while anybody is held back."""
        own = any(one.holds_back for one in self._own.values())
        return "open" if own and not self.is_open else super().state

    @property
    def is_open(self) -> bool:
        """Is everybody held back?"""
        return self._opened_at is not None

    def of(self, user_id: str) -> "CallerBreaker":
        """As this caller meets it."""
        return CallerBreaker(self, user_id)

    def own(self, user_id: str) -> Breaker:
        """Of this caller alone; of whom nothing is known it is closed."""
        return self._own.get(user_id) or self._new()

    def forget(self, user_id: str) -> None:
        """The caller has gone, or was answered."""
        self._own.pop(user_id, None)

    def failed_for(self, user_id: str) -> None:
        """Count it against this caller."""
        self._own.setdefault(user_id, self._new()).failed()

    def succeeded(self) -> None:
        super().succeeded()
        self._late.clear()

    def late(self, user_id: str) -> None:
        """To this caller; again and again counts once."""
        if self.is_open or user_id not in self._late:
            self._late.add(user_id)
            self.failed()


@dataclass(frozen=True, slots=True)
class CallerBreaker:
    """A tier's breaker for one caller: the one for all, and where that is closed, their own."""

    everybody: TierBreaker
    user_id: str

    @property
    def state(self) -> State:
        return self._met.state

    def allows(self) -> bool:
        return self._met.allows()

    def succeeded(self) -> None:
        self.everybody.succeeded()
        self.everybody.forget(self.user_id)

    def failed(self) -> None:
        self.everybody.failed()
        self.everybody.failed_for(self.user_id)

    def late(self) -> None:
        self.everybody.late(self.user_id)
        self.everybody.failed_for(self.user_id)

    def forget_trial(self) -> None:
        self.everybody.forget_trial()
        self.everybody.own(self.user_id).forget_trial()

    @property
    def _met(self) -> Breaker:
        return self.everybody if self.everybody.is_open else self.everybody.own(self.user_id)
