"""How often a batch is tried: a failure of its own counts, an outage does not, and a dead worker does."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable
from typing import Protocol
from uuid import UUID

import asyncpg

from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.privacy.locked_connection import FINAL_WRITE_S, within
from echoic.memory.store import batches
from echoic.memory.store.batches import Batch
from echoic.memory.store.database import UNAVAILABLE

log = logging.getLogger("echoic.worker")

AGAIN_AFTER_S = (60.0, 900.0)
"""What failed for a reason that passes, such as an overloaded model, is not used up in one go."""
MOST_FAILURES = len(AGAIN_AFTER_S) + 1
MOST_STARTS = 6
"""A batch in which so many workers died is given up like one that failed."""


class Report(Protocol):
    """Where the ending of a batch is noted."""

    dead: int
    failed: bool
    """A batch failed, and is tried again after a while."""


class Attempts:
    """Begins counted, endings noted. One for each kind of work."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._forgiven: Counter[UUID] = Counter()
        """Starts of batches that an outage of Postgres ended: no worker died in them."""
        self._answered = 0
        """Batches that ended well with an answer of the model, or of the graph server."""
        self._met: dict[UUID, int] = {}
        """Batch -> `_answered` when it last met an outage."""

    async def gave_up(
        self, connection: asyncpg.Connection, user_id: str, batch: Batch, report: Report
    ) -> bool:
        """Whether too many workers died in it: then it is dead now."""
        if batch.starts - self._forgiven[batch.batch_id] - batch.failures < MOST_STARTS:
            return False
        error = f"{batch.starts} workers ended in the middle of this batch"
        report.dead += await within(connection, batches.fail(connection, user_id, batch.batch_id, error, 0))
        return True

    async def run(
        self,
        connection: asyncpg.Connection,
        user_id: str,
        batch: Batch,
        work: Awaitable[bool],
        report: Report,
    ) -> None:
        """Do the work of a batch that has begun, and note how it ended unless it ended well.

        An outage is one for everybody: what a batch calls an outage while others are answered is its own
        failure.

        Args:
            work: gives whether the model or graph server was asked.

        Raises:
            StoreUnavailable, ModelUnavailable, ConfigInvalid: put back, and this start does not count.
        """
        try:
            self._answered += await work
            self._met.pop(batch.batch_id, None)
        except (ModelUnavailable, StoreUnavailable) as exc:
            are_others_answered = self._met.get(batch.batch_id, self._answered) < self._answered
            self._met[batch.batch_id] = self._answered
            if are_others_answered and not connection.is_closed():
                error = f"{type(exc).__name__}, while others are answered"
                await self._failed(connection, user_id, batch, error, report)
                return
            await self._put_back(connection, user_id, batch)
            raise
        except (ConfigInvalid, asyncio.CancelledError, *UNAVAILABLE):
            await self._put_back(connection, user_id, batch)
            raise
        except MemoryFault as exc:
            await self._failed(connection, user_id, batch, str(exc), report)
        except Exception as exc:  # a defect must not stop the work on the other users
            log.error(f"{self._kind}.defect", exc_info=exc)
            await self._failed(connection, user_id, batch, type(exc).__name__, report)

    async def _failed(
        self, connection: asyncpg.Connection, user_id: str, batch: Batch, error: str, report: Report
    ) -> None:
        wait_s = AGAIN_AFTER_S[min(batch.failures, len(AGAIN_AFTER_S) - 1)]
        failing = batches.fail(
            connection, user_id, batch.batch_id, error, MOST_FAILURES, again_after_s=wait_s
        )
        dead = await within(connection, failing)
        report.dead, report.failed = report.dead + dead, not dead
        log.warning(
            f"{self._kind}.failed",
            extra={"batch_id": str(batch.batch_id), "failures": batch.failures + 1, "dead": dead},
        )

    async def _put_back(self, connection: asyncpg.Connection, user_id: str, batch: Batch) -> None:
        """An outage, or this worker stops: the turns are open again."""
        try:
            await within(connection, batches.put_back(connection, user_id, batch.batch_id), FINAL_WRITE_S)
        except (MemoryFault, asyncpg.PostgresError, *UNAVAILABLE):
            self._forgiven[batch.batch_id] += 1  # Postgres is what is down
