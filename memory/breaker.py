"""A tier that keeps failing is skipped for a while, so that it costs the caller nothing (Nygard, Release It!,
2007)."""

import time
from collections.abc import Callable
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

    def allows(self) -> bool:
        """May the tier be asked now?

        The first yes after a pause is the trial; until it ends all others are refused.
        """
        if self._opened_at is None:
            return True
        if self._on_trial or self._clock() - self._opened_at < self._pause_s:
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
