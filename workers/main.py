"""The worker process: jobs from Redis, and a sweeper that needs no Redis."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import redis.exceptions
from arq import Retry, func
from arq.worker import Worker

from echoic.memory.config import MemorySettings, load_settings
from echoic.memory.embedding.client import open_shared_embedder
from echoic.memory.errors import ConfigInvalid, MemoryFault, ModelUnavailable, StoreUnavailable
from echoic.memory.observe.logs import log_to_stderr
from echoic.memory.observe.scrape import serve_metrics
from echoic.memory.service import Memory, open_memory
from echoic.memory.settings.overrides import wait_changed, with_stored
from echoic.memory.store.jobs import QUEUE, deserialize, mend_queue, open_redis, serialize
from echoic.memory.store.reembed import refill_for_ever
from echoic.workers import gauges
from echoic.workers.attempts import AGAIN_AFTER_S
from echoic.workers.choose_extractor import open_extractor
from echoic.workers.graph.ingest import GraphIngester, open_ingester
from echoic.workers.learn.learner import Learner
from echoic.workers.maintenance import maintain_for_ever
from echoic.workers.sweep import sweep, sweep_for_ever, sweep_graphs

log = logging.getLogger("echoic.worker")

POLL_S = 0.2
PUT_BACK_S = 2.0  # that a job which ends may need for its batch before it is told to end again
JOB_LIMIT_S = 900
AT_ONCE = 4
"""Users learned at the same time; each mostly waits for a model, and holds one Postgres connection."""
RECONNECT_S = 2.0
BACK_OFF_S = (2, 5, 15, 60, 300)
BUSY_S = 1.0
TRIES = 10_000
"""An outage is retried until it ends; a batch that fails itself is counted in Postgres, not here."""


async def run_worker(
    settings: MemorySettings,
    *,
    burst: bool = False,
    until: Awaitable[object] | None = None,
    changed: Awaitable[object] | None = None,
) -> bool:
    """Work until cancelled, or until `until` is done; then learn what is still open and return.

    Args:
        burst: only that last step.
        changed: done when other settings count: the worker then returns at once, for the next one.

    Returns:
        Whether it stopped because of `changed`.

    Raises:
        ConfigInvalid: an address is missing.
        StoreUnavailable: Postgres cannot be reached at the start.
    """
    if not settings.redis_url.get_secret_value():
        raise ConfigInvalid(
            "ECHOIC_REDIS_URL is not set: "
            "name the Redis of the job queue, or use `echoic …`, which starts one."
        )
    async with open_memory(settings, embedder=open_shared_embedder(settings)) as memory:
        choice = await open_extractor(settings, memory)
        idle = choice.extractor is None and settings.extractor != "off"
        log.log(
            logging.WARNING if idle else logging.INFO,  # nobody would know why nothing is ever learned
            "worker.started",
            extra={
                "extractor": choice.extractor.name if choice.extractor else "none",
                "why": choice.sentence,
            },
        )
        learner = Learner(memory, choice.extractor) if choice.extractor else None
        ingester = await asyncio.to_thread(open_ingester, memory)  # importing Graphiti takes two seconds
        try:
            if not burst:
                # one that serves a single talk has no port of its own
                port = settings.worker_metrics_port if until is None else 0
                with serve_metrics(settings.metrics_host, port):
                    ended = await _work(memory, learner, ingester, until, changed)
                if ended:
                    log.info("worker.settings_changed")
                    return True
            await _drain(memory, learner, ingester)
            return False
        finally:
            await choice.close()
            if ingester is not None:
                await ingester.close()


async def _drain(memory: Memory, learner: Learner | None, ingester: GraphIngester | None) -> None:
    """Learn what is open now, due or not, and feed the graphs; what a killed call left on disk included."""
    await memory.recorder.wait_replayed()
    await sweep(memory, learner, idle_s=0)
    await sweep_graphs(memory, ingester)


async def learn_user(ctx: dict[str, Any], user_id: str) -> None:
    """The job: learn a user's open turns. An outage, or another worker at it, means later."""
    learner: Learner | None = ctx["learner"]
    if learner is None:
        return  # nobody can learn here; the turns stay open
    try:
        report = await learner.learn(user_id)
    except (StoreUnavailable, ModelUnavailable) as exc:
        raise Retry(defer=BACK_OFF_S[min(ctx["job_try"], len(BACK_OFF_S)) - 1]) from exc
    if ctx["ingester"] is not None:
        await ctx["jobs"].enqueue_graph(user_id)
    if report.busy or report.failed:
        raise Retry(defer=BUSY_S if report.busy else AGAIN_AFTER_S[0])


async def graph_user(ctx: dict[str, Any], user_id: str) -> None:
    """The job: bring a user's graphs up to date with what was learned.

    An outage, or another worker at it, means later.
    """
    ingester: GraphIngester | None = ctx["ingester"]
    if ingester is None:
        return  # the graph is off here; the ledger remembers
    try:
        report = await ingester.ingest(user_id)
    except (StoreUnavailable, ConfigInvalid) as exc:
        log.warning("graph.not_fed", extra={"error": type(exc).__name__})
        raise Retry(defer=BACK_OFF_S[min(ctx["job_try"], len(BACK_OFF_S)) - 1]) from exc
    if report.busy or report.failed:
        raise Retry(defer=BUSY_S if report.busy else AGAIN_AFTER_S[0])


def main() -> None:
    """`python -m echoic.workers.main`: a server's worker, until SIGTERM or SIGINT.

    Without addresses it stops with a sentence.
    """
    log_to_stderr()
    try:
        asyncio.run(_until_signal(load_settings()))
    except MemoryFault as exc:
        sys.exit(str(exc))


async def _until_signal(settings: MemorySettings) -> None:
    """Stop at a signal, at once: what is begun is put back, and the next worker takes it."""
    loop, this = asyncio.get_running_loop(), asyncio.current_task()
    assert this is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, this.cancel)
    with suppress(asyncio.CancelledError):
        using = await with_stored(settings)
        while await run_worker(using, changed=wait_changed(using)):
            using = await with_stored(settings)


async def _work(
    memory: Memory,
    learner: Learner | None,
    ingester: GraphIngester | None,
    until: Awaitable[object] | None,
    changed: Awaitable[object] | None,
) -> bool:
    """Returns whether `changed` was done first."""
    tasks: list[asyncio.Future[Any]] = [
        asyncio.create_task(_take_jobs(memory, learner, ingester), name="worker.jobs")
    ]
    tasks.append(asyncio.create_task(sweep_for_ever(memory, learner, ingester), name="worker.sweep"))
    tasks.append(asyncio.create_task(refill_for_ever(memory.db, memory.embedder), name="worker.refill"))
    tasks.append(asyncio.create_task(gauges.watch(memory), name="worker.gauges"))
    tasks.append(asyncio.create_task(maintain_for_ever(memory), name="worker.maintenance"))
    ends = [asyncio.ensure_future(one) for one in (until, changed) if one is not None]
    tasks.extend(ends)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return changed is not None and done == {ends[-1]}
    finally:
        for task in tasks:
            await _stop(task)


async def _stop(task: asyncio.Future[Any], patience_s: float = POLL_S) -> None:
    """Cancel until it is heard: arq swallows a cancellation that comes while it connects to Redis."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=patience_s)
    if not task.cancelled():
        task.exception()  # read: what ended the work is raised by whoever waited for it first


async def _take_jobs(memory: Memory, learner: Learner | None, ingester: GraphIngester | None) -> None:
    """arq ends its worker when Redis goes; a new one takes over when it is back."""
    away = False
    while True:
        worker = _arq_worker(memory, learner, ingester)
        try:
            await worker.pool.ping()
            await mend_queue(worker.pool)
            if away:
                log.info("worker.redis_back")
            away = False
            await worker.async_run()
        except (redis.exceptions.RedisError, OSError) as exc:
            if not away:
                log.warning("worker.redis_gone", extra={"error": type(exc).__name__})
            away = True
        except Exception as exc:  # a job that arq cannot read; the sweeper does its work
            log.error("worker.jobs_defect", exc_info=exc)
        finally:
            ending = asyncio.create_task(_end(worker))
            while not ending.done():  # `_stop` cancels again meanwhile, and what is open would stay so
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({ending})
            ending.result()
        await asyncio.sleep(RECONNECT_S)


async def _end(worker: Worker) -> None:
    """Stop the jobs that run; each puts its batch back. arq's own `close` needs a Redis that answers."""
    jobs = [*worker.tasks.values(), *worker.job_tasks.values()]
    await asyncio.gather(*(_stop(job, PUT_BACK_S) for job in jobs))
    await worker.pool.aclose(close_connection_pool=True)


def _arq_worker(memory: Memory, learner: Learner | None, ingester: GraphIngester | None) -> Worker:
    return Worker(
        functions=[
            func(job, name=job.__name__, keep_result=0, timeout=JOB_LIMIT_S, max_tries=TRIES)
            for job in (learn_user, graph_user)
        ],
        queue_name=QUEUE,
        redis_pool=open_redis(memory.settings.redis_url.get_secret_value()),
        job_serializer=serialize,
        job_deserializer=deserialize,
        ctx={"learner": learner, "ingester": ingester, "jobs": memory.jobs},
        poll_delay=POLL_S,
        max_jobs=AT_ONCE,
        handle_signals=False,
        health_check_interval=30,
        log_results=False,
    )


if __name__ == "__main__":
    main()
