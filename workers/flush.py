"""Learn one user's turns now, for `echoic flush` and for tests."""

import asyncio

from memory.batches import open_turns
from memory.service import Memory
from workers.extract import Learner, LearnReport

POLL_S = 0.2
TRY_AGAIN_S = 2.0


async def flush(memory: Memory, learner: Learner, user_id: str, *, wait: bool = True) -> LearnReport:
    """Learn what is open. `wait`: also while another worker is at it or a batch fails, until nothing is open any more.

    Raises:
        StoreUnavailable, ModelUnavailable: not learned, nothing lost.
    """
    total = LearnReport()
    while True:
        report = await learner.learn(user_id)
        total.add(report)
        if not (wait and (report.busy or report.failed)) or not await open_turns(memory.db, user_id):
            return total
        await asyncio.sleep(TRY_AGAIN_S if report.failed else POLL_S)
