"""What waits, for Prometheus: jobs in Redis, turns in Postgres.

A learning worker looks every few seconds; a scrape asks no store.
"""

import asyncio
import logging
import math
from collections.abc import Mapping

from echoic.memory.errors import MemoryFault
from echoic.memory.given_up import SAYS, count_given_up
from echoic.memory.observe.metrics import waiting
from echoic.memory.service import Memory
from echoic.memory.store.batches import GivenUp, backlog

log = logging.getLogger("echoic.gauges")
EVERY_S = 5.0


async def watch(memory: Memory) -> None:
    """Look until cancelled."""
    while True:
        await look(memory)
        await asyncio.sleep(EVERY_S)


async def look(memory: Memory) -> None:
    """Look once.

    What cannot be asked is unknown (NaN), and not zero; whether it could is `echoic_store_up`.
    """
    here = waiting()
    jobs = overdue_s = turns = oldest_s = math.nan
    try:
        jobs, overdue_s = await memory.jobs.depth(), await memory.jobs.overdue_s()
    except MemoryFault:
        log.debug("gauges.no_redis")  # `worker.redis_gone` says so once
    try:
        turns, oldest_s = await backlog(memory.db)
    except MemoryFault:
        log.debug("gauges.no_postgres")
    given_up: Mapping[GivenUp, float] = dict.fromkeys(SAYS, math.nan)
    try:
        given_up = await count_given_up(memory.db, memory.spool)
    except (MemoryFault, OSError):
        log.debug("gauges.not_counted")
    for queue, count in given_up.items():
        here.set_aside.labels(queue).set(count)
    here.jobs.set(jobs)
    here.jobs_overdue.set(overdue_s)
    here.turns.set(turns)
    here.turns_oldest.set(oldest_s)
    here.store_up.labels("redis").set(not math.isnan(jobs))
    here.store_up.labels("postgres").set(not math.isnan(turns))
