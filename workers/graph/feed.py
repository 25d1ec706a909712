"""What both ways of feeding a graph share: one step at a time, begun in the ledger, its ending noted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import asyncpg

from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.graph import ledger as ledger
from echoic.memory.graph.ledger import GraphBatch, GraphRef, Mode
from echoic.memory.store.database import UNAVAILABLE
from echoic.workers.chat_model import Cost
from echoic.workers.locked_connection import FINAL_WRITE_S, within

log = logging.getLogger("echoic.graph")

MOST_FAILURES = 3
MOST_STARTS = 6
"""A batch in which so many workers died is given up like one that failed."""


@dataclass(slots=True)
class GraphReport:
    """What came of bringing a user's graphs up to date."""

    batches: int = 0
    relations: int = 0
    """Entered, again or anew."""
    removed: int = 0
    dead: int = 0
    calls: int = 0
    tokens: int = 0
    failed: bool = False
    """A batch failed, and may be tried again after a while."""
    busy: bool = False
    """Another worker is at this user's graphs."""

    def add(self, later: "GraphReport") -> None:
        """Sum up; how the last one ended counts."""
        for name in ("batches", "relations", "removed", "dead", "calls", "tokens"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.failed, self.busy = later.failed, later.busy


class Feed(Protocol):
    """One way of feeding a graph."""

    mode: Mode

    async def step(self, connection: asyncpg.Connection, one: GraphRef, report: GraphReport) -> bool:
        """Bring the graph one batch further; False when nothing is left to do, or it failed: see the report.

        Raises:
            StoreUnavailable, ModelUnavailable, ConfigInvalid: later; counts for nothing.
        """
        ...


class Attempts:
    """How a batch ends when it does not succeed."""

    def __init__(self) -> None:
        self._forgiven: dict[UUID, int] = {}
        """Starts of batches that an outage of Postgres ended: no worker died in them."""

    async def gave_up(
        self, connection: asyncpg.Connection, one: GraphRef, batch: GraphBatch, report: GraphReport
    ) -> bool:
        """Whether too many workers died in it: then it is dead now."""
        if batch.starts - self._forgiven.get(batch.batch_id, 0) - batch.failures < MOST_STARTS:
            return False
        error = f"{batch.starts} workers ended in the middle of this batch"
        report.dead += await within(connection, ledger.fail(connection, one, batch, error, 0))
        return True

    async def run(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        work: Callable[[], Awaitable[None]],
        cost: Cost,
        report: GraphReport,
    ) -> None:
        """Do the work of a batch that has begun, and note how it ended unless it ended well.

        Raises:
            StoreUnavailable, ModelUnavailable, ConfigInvalid: the batch is put back.
        """
        try:
            await work()
        except (ModelUnavailable, StoreUnavailable, ConfigInvalid, asyncio.CancelledError, *UNAVAILABLE):
            await self._put_back(connection, one, batch, cost)
            raise
        except MemoryFault as exc:
            await self._failed(connection, one, batch, str(exc), cost, report)
        except Exception as exc:  # a defect of a feed must not stop the other users' graphs
            log.error("graph.defect", exc_info=exc)
            await self._failed(connection, one, batch, type(exc).__name__, cost, report)
        finally:
            report.calls, report.tokens = report.calls + cost.calls, report.tokens + cost.tokens

    async def _failed(
        self,
        connection: asyncpg.Connection,
        one: GraphRef,
        batch: GraphBatch,
        error: str,
        cost: Cost,
        report: GraphReport,
    ) -> None:
        await within(connection, ledger.count_cost(connection, one, batch, cost.calls, cost.tokens))
        dead = await within(connection, ledger.fail(connection, one, batch, error, MOST_FAILURES))
        report.dead, report.failed = report.dead + dead, not dead
        log.warning(
            "graph.failed",
            extra={"batch_id": str(batch.batch_id), "failures": batch.failures + 1, "dead": dead},
        )

    async def _put_back(
        self, connection: asyncpg.Connection, one: GraphRef, batch: GraphBatch, cost: Cost
    ) -> None:
        """An outage, or this worker stops: this start does not count; what the model was asked does."""
        try:
            await within(
                connection, ledger.count_cost(connection, one, batch, cost.calls, cost.tokens), FINAL_WRITE_S
            )
            await within(connection, ledger.put_back(connection, one, batch), FINAL_WRITE_S)
        except (MemoryFault, asyncpg.PostgresError, *UNAVAILABLE):
            # Postgres is what is down
            self._forgiven[batch.batch_id] = self._forgiven.get(batch.batch_id, 0) + 1
