"""How busy this worker is, and what that means for the next call.

LiveKit's own way is silent: the server no longer asks a worker that reports 0.7 or more, and such a worker
answers no without a word. Here the worker is always asked, decides by the real load, and a call that it
refuses is logged and counted.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable

from livekit.agents import JobRequest

from echoic.agent.livekit_api import cpu_share

log = logging.getLogger("echoic.load")

SAMPLE_S = 0.5
SAMPLES = 5  # 2.5 s: a call that begins keeps a core busy for a moment, which says nothing about the next
REPORTED_AT_MOST = 0.65
"""A LiveKit server asks workers below its `agents.target_load` (0.7 by default), the least busy one first."""


class Load:
    """Gives an `AgentServer` its `load_fnc` and its `on_request`; its `load_threshold` must be infinite for
    both to be asked.

    Args:
        limit: share of this machine's (or container's) processors in use from which on calls are refused.
        on_refused: called for each refused call.
    """

    def __init__(
        self,
        limit: float,
        *,
        on_refused: Callable[[], None] = lambda: None,
        sample: Callable[[], float] = lambda: cpu_share(SAMPLE_S),
    ) -> None:
        self.limit, self._on_refused, self._sample = limit, on_refused, sample
        self.never_refuse = False
        """True in development: a laptop that is busy for a moment must not leave its developer in a silent
        room."""
        self.refused = 0
        """Calls refused since start."""
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._sampling: threading.Thread | None = None

    def reported(self) -> float:
        """What LiveKit is told, 0 to 0.65: the less, the sooner this worker is asked.

        Called from any thread.
        """
        return (
            0.0
            if self.never_refuse
            else min(self.current() * REPORTED_AT_MOST / self.limit, REPORTED_AT_MOST)
        )

    def current(self) -> float:
        """Share of the processors in use, 0 to 1, over the last 2.5 seconds; 0 before the first sample."""
        if self._sampling is None:
            self._sampling = threading.Thread(target=self._keep_sampling, name="load", daemon=True)
            self._sampling.start()
        samples = list(self._samples)
        return sum(samples) / len(samples) if samples else 0.0

    async def answer(self, request: JobRequest) -> None:
        """Take the call, or leave it to another worker when this machine is too busy to speak without
        faltering."""
        load = self.current()
        if self.never_refuse or load < self.limit:
            await request.accept()
            return
        self.refused += 1
        log.warning(
            "call.refused", extra={"load": round(load, 2), "limit": self.limit, "refused": self.refused}
        )
        self._on_refused()
        await request.reject(terminate=False)

    def _keep_sampling(self) -> None:
        while True:
            self._samples.append(self._sample())  # waits for as long as a sample takes
