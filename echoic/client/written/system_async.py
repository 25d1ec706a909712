"""Routes of the memory API: system, for asyncio. Written by `tools/client.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from echoic.client.connection import AsyncRoutes
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


class AsyncSystem(AsyncRoutes):
    """Each method is one route."""

    async def read_me(self) -> Me:
        """Whose key this is, and what it may do."""
        ask = Ask("GET", "/v1/me")
        found: Me = await self._ask(ask, Me)
        return found

    async def read_all_statistics(self) -> AllCounts:
        """How much there is of all users."""
        ask = Ask("GET", "/v1/statistics")
        found: AllCounts = await self._ask(ask, AllCounts)
        return found

    async def read_days(self, *, last: int = 30) -> DaysAnswer:
        """How much was said, learned and recalled day by day, and how the tiers fared in the last hour."""
        ask = Ask("GET", "/v1/statistics/days", query={"last": last})
        found: DaysAnswer = await self._ask(ask, DaysAnswer)
        return found

    async def read_queues(self) -> QueuesAnswer:
        """What waits to be learned, how long, and how long learning took."""
        ask = Ask("GET", "/v1/queues")
        found: QueuesAnswer = await self._ask(ask, QueuesAnswer)
        return found

    async def list_jobs(self) -> JobsAnswer:
        """What was given up in any queue, with the reason."""
        ask = Ask("GET", "/v1/jobs")
        found: JobsAnswer = await self._ask(ask, JobsAnswer)
        return found

    async def retry_all_jobs(self) -> Retried:
        """Try everything again that was given up; a worker takes it next."""
        ask = Ask("POST", "/v1/jobs/retry")
        found: Retried = await self._ask(ask, Retried)
        return found

    async def retry_job(self, batch_id: UUID) -> Retried:
        """Try one of those again."""
        ask = Ask("POST", "/v1/jobs/{}/retry", (batch_id,))
        found: Retried = await self._ask(ask, Retried)
        return found

    def read_audit(self, *, user_id: str | None = None, page_size: int = 200) -> AsyncIterator[AuditAnswer]:
        """Who asked for what, newest first; refusals too."""
        ask = Ask("GET", "/v1/audit", query={"user_id": user_id, "limit": page_size})
        return self._pages(ask, AuditPage)

    async def is_alive(self) -> dict[str, bool]:
        """200 while the process runs."""
        ask = Ask("GET", "/livez")
        found: dict[str, bool] = await self._ask(ask, dict[str, bool])
        return found

    async def is_ready(self) -> Ready:
        """200 while Postgres answers; names each part that does not. The others can be missed for a while."""
        ask = Ask("GET", "/readyz", also=frozenset({503}))
        found: Ready = await self._ask(ask, Ready)
        return found

    async def read_metrics(self) -> str:
        """This process's series, for Prometheus; it sends its key as any other."""
        ask = Ask("GET", "/metrics")
        found: str = await self._ask(ask, str)
        return found
