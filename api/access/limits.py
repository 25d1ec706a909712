"""How much one key may ask: a bucket that fills evenly, in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

BUCKETS = 10_000
"""Keys and addresses that are remembered; the longest silent one is forgotten, and would be full again."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class RateLimit:
    """So many requests a minute for each name; a minute's worth may come at once."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = float(per_minute), clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str) -> float:
        """0 when the request may go on; else the seconds until the next one may."""
        now = self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(self._most, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
        bucket.left = min(self._most, bucket.left + (now - bucket.at) * self._most / 60)
        bucket.at = now
        if bucket.left < 1:
            return (1 - bucket.left) * 60 / self._most
        bucket.left -= 1
        return 0.0
