"""Routes of the memory API: system. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from echoic.client.connection import Routes
from echoic.client.request import Ask
from echoic.client.written.system_answers import (
    AllCounts,
    AuditAnswer,
    AuditPage,
    DaysAnswer,
    JobsAnswer,
    Me,
    QueuesAnswer,
    Ready,
    Retried,
)


class System(Routes):
    """Each method is one route."""

    def read_me(self) -> Me:
        """Whose key this is, and what it may do."""
        ask = Ask("GET", "/v1/me")
        found: Me = self._ask(ask, Me)
        return found

    def read_all_statistics(self) -> AllCounts:
        """How much there is of all users."""
        ask = Ask("GET", "/v1/statistics")
        found: AllCounts = self._ask(ask, AllCounts)
        return found

    def read_days(self, *, last: int = 30) -> DaysAnswer:
        """How much was said, learned and recalled day by day, and how the tiers fared in the last hour."""
        ask = Ask("GET", "/v1/statistics/days", query={"last": last})
        found: DaysAnswer = self._ask(ask, DaysAnswer)
        return found

    def read_queues(self) -> QueuesAnswer:
        """What waits to be learned, how long, and how long learning took."""
        ask = Ask("GET", "/v1/queues")
        found: QueuesAnswer = self._ask(ask, QueuesAnswer)
        return found

    def list_jobs(self) -> JobsAnswer:
        """What was given up in any queue, with the reason."""
        ask = Ask("GET", "/v1/jobs")
        found: JobsAnswer = self._ask(ask, JobsAnswer)
        return found

    def retry_all_jobs(self) -> Retried:
        """Try everything again that was given up; a worker takes it next."""
        ask = Ask("POST", "/v1/jobs/retry")
        found: Retried = self._ask(ask, Retried)
        return found

    def retry_job(self, batch_id: UUID) -> Retried:
        """Try one of those again."""
        ask = Ask("POST", "/v1/jobs/{}/retry", (batch_id,))
        found: Retried = self._ask(ask, Retried)
        return found

    def read_audit(self, *, user_id: str | None = None, page_size: int = 200) -> Iterator[AuditAnswer]:
        """Who asked for what, newest first; refusals too."""
        ask = Ask("GET", "/v1/audit", query={"user_id": user_id, "limit": page_size})
        return self._pages(ask, AuditPage)

    def is_alive(self) -> dict[str, bool]:
        """200 while the process runs."""
        ask = Ask("GET", "/livez")
        found: dict[str, bool] = self._ask(ask, dict[str, bool])
        return found

    def is_ready(self) -> Ready:
        """200 while Postgres answers; names each part that does not. The others can be missed for a while."""
        ask = Ask("GET", "/readyz", also=frozenset({503}))
        found: Ready = self._ask(ask, Ready)
        return found

    def read_metrics(self) -> str:
        """This process's series, for Prometheus; it sends its key as any other."""
        ask = Ask("GET", "/metrics")
        found: str = self._ask(ask, str)
        return found
