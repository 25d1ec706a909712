"""Learn one user's turns now, and bring their graph up to date, for `echoic flush` and for tests."""

import asyncio

from echoic.memory.errors import ConfigInvalid, MemoryFault, StoreUnavailable
from echoic.memory.service import Memory
from echoic.memory.store.batches import open_turns
from echoic.workers.choose_extractor import OFF, open_extractor
from echoic.workers.graph.ingest import open_ingester
from echoic.workers.learn.learner import Learner, LearnReport

POLL_S = 0.2
NOTHING = "Nothing that was said waits to be learned."


async def flush(memory: Memory, learner: Learner, user_id: str, *, wait: bool = True) -> LearnReport:
    """Learn what is open; a batch that failed before is tried again, once.

    `wait`: also while another worker is at it, until it is done.

    Raises:
        StoreUnavailable, ModelUnavailable: not learned, nothing lost.
    """
    total = LearnReport()
    while True:
        report = await learner.learn(user_id, hurry=True)
        total.add(report)
        if not (wait and report.busy) or not await open_turns(memory.db, user_id):
            return total
        await asyncio.sleep(POLL_S)


async def queue_user(memory: Memory, user_id: str) -> str:
    """What `echoic flush` does, and the sentence that it says: a worker is told to hurry."""
    if memory.settings.extractor == "off":
        return OFF
    if not await open_turns(memory.db, user_id):
        return NOTHING
    if not await memory.jobs.enqueue_learn(user_id, hurry=True):
        return "Redis cannot be reached: a worker finds it by itself, later."
    if await memory.jobs.are_taken():
        return "Queued: a worker learns it next."
    return "Queued, but no worker takes jobs now: start `echoic worker`, or learn it here with --wait."


async def flush_user(memory: Memory, user_id: str) -> str:
    """What `echoic flush --wait` does, and the sentence that it says.

    Raises:
        MemoryFault: a batch failed for good.
        StoreUnavailable, ModelUnavailable, ConfigInvalid: not learned, nothing lost.
    """
    choice = await open_extractor(memory.settings, memory)
    if choice.extractor is None:
        return choice.sentence
    try:
        waited = await open_turns(memory.db, user_id)
        report = await flush(memory, Learner(memory, choice.extractor), user_id)
    finally:
        await choice.close()
    if report.dead:
        raise MemoryFault(f"{report.dead} batches could not be learned: see `echoic jobs`.")
    if report.failed:
        raise MemoryFault(
            "The model's answer could not be used; nothing is lost, a worker tries again. See `echoic jobs`."
        )
    others = waited - report.turns
    beside = f" Another worker took {others} turns." if others > 0 else ""
    learned = f"Learned {report.facts} facts from {report.turns} turns.{beside}" if waited else NOTHING
    return learned + await _feed_graph(memory, user_id)


async def _feed_graph(memory: Memory, user_id: str) -> str:
    """Bring the user's graph up to date too.

    What stands in the way is said: facts are learned all the same, a worker feeds it later.

    Raises:
        MemoryFault: a batch failed for good.
    """
    try:
        ingester = await asyncio.to_thread(open_ingester, memory)  # importing Graphiti takes two seconds
        if ingester is None:
            return ""
        try:
            report = await ingester.ingest(user_id, hurry=True)
            while report.busy:
                await asyncio.sleep(POLL_S)
                report.add(await ingester.ingest(user_id))
        finally:
            await ingester.close()
    except (StoreUnavailable, ConfigInvalid) as exc:
        return f" The graph is not up to date ({exc}) A worker feeds it later."
    if report.dead or report.failed:
        raise MemoryFault(f"{report.dead or 'Some'} batches could not enter the graph: see `echoic jobs`.")
    return f" Entered {report.relations} relations in the graph."
