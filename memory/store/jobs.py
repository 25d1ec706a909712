"""The job queue: a hint to hurry.

Postgres is the promise, so nothing here may block a turn or raise into it.
"""

import asyncio
import json
import logging
import time
from collections.abc import Coroutine
from typing import Any

import redis.asyncio as redis
from arq.connections import ArqRedis
from arq.constants import (
    health_check_key_suffix,
    in_progress_key_prefix,
    job_key_prefix,
    retry_key_prefix,
)

from echoic.memory.errors import StoreUnavailable

log = logging.getLogger("echoic.jobs")

QUEUE = "echoic:queue"
PATIENCE_S = 0.2  # enqueueing takes 0.5 ms; a hung Redis has no timeout of its own
PARTING_S = 1.0
ANSWER_S = 5.0


def serialize(job: dict[str, Any]) -> bytes:
    """arq pickles unless told otherwise; ids are all a job carries, and JSON cannot run code."""
    return json.dumps(job).encode()


def deserialize(job: bytes) -> dict[str, Any]:
    return json.loads(job)


def open_redis(url: str, *, timeout_s: float = ANSWER_S) -> ArqRedis:
    """A client for arq at `redis://…` or `unix://…`; connects on first use, and no answer takes longer than
    `timeout_s`."""
    pool = redis.ConnectionPool.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    client = ArqRedis(
        pool_or_conn=pool, job_serializer=serialize, job_deserializer=deserialize, default_queue_name=QUEUE
    )
    client.auto_close_connection_pool = True
    return client


async def mend_queue(client: ArqRedis) -> None:
    """Put out of the way what nobody can read of the queue: it is a hint, the rows say what is to be done.

    Raises:
        RedisError: Redis does not answer.
    """
    if await client.type(QUEUE) not in (b"zset", b"none"):
        await client.rename(QUEUE, f"{QUEUE}:damaged")
        log.warning("jobs.queue_set_aside")
    odd = [job_id for job_id in await client.zrange(QUEUE, 0, -1) if not _is_text(job_id)]
    if odd:
        await client.zrem(QUEUE, *odd)
        log.warning("jobs.dropped", extra={"jobs": len(odd)})


def _is_text(job_id: bytes) -> bool:
    try:
        return bool(job_id.decode())
    except UnicodeDecodeError:
        return False


def learn_job_id(user_id: str) -> str:
    return f"learn:{user_id}"


def again_job_id(user_id: str) -> str:
    """A second job, for what is said while the first one runs: arq refuses the first one's id until that has
    ended."""
    return f"learn-again:{user_id}"


def graph_job_id(user_id: str) -> str:
    return f"graph:{user_id}"


def _job_ids(user_id: str) -> list[str]:
    return [learn_job_id(user_id), again_job_id(user_id), graph_job_id(user_id)]


class JobQueue:
    """Tells the workers which user has something new; one waiting job per user, however often it is asked."""

    def __init__(self, redis_url: str, *, idle_s: float = 120.0) -> None:
        self._redis = open_redis(redis_url) if redis_url else None
        self._idle_s = idle_s
        self._putting: set[asyncio.Task[None]] = set()
        self._is_away = False
        self.failed = 0
        """Hints that Redis did not take since start; the sweeper finds those turns by itself."""

    async def enqueue_learn(self, user_id: str, *, delay_s: float | None = None, hurry: bool = False) -> bool:
        """Have a user's open turns learned after a pause without new ones, or at once.

        False when Redis did not take it in 0.2 s.
        """
        wait_s = 0.0 if hurry else self._idle_s if delay_s is None else delay_s
        return self._redis is not None and await self._hint(self._put(self._redis, user_id, wait_s))

    async def enqueue_graph(self, user_id: str) -> bool:
        """Have a user's graphs brought up to date with what was learned.

        False when Redis did not take it in 0.2 s.

        One that comes while such a job runs is dropped: the ledger says that there is more, and the sweeper
        sees it.
        """
        return self._redis is not None and await self._hint(self._put_graph(self._redis, user_id))

    async def _hint(self, put: Coroutine[Any, Any, None]) -> bool:
        putting = asyncio.create_task(put, name="jobs.put")
        self._putting.add(putting)
        putting.add_done_callback(self._put_ended)
        # not cancelled when it is late: redis-py leaves a socket open that is cancelled in a pipeline; its
        # own timeout ends it
        done, _ = await asyncio.wait({putting}, timeout=PATIENCE_S)
        if not done:
            self._count_failure("TimeoutError")
        taken = bool(done) and not putting.cancelled() and putting.exception() is None
        self._is_away = self._is_away and not taken
        return taken

    async def cancel(self, user_id: str) -> int:
        """Take a user's waiting jobs out; returns how many.

        A running one ends by itself: its commit sees the erasure.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        if self._redis is None:
            return 0
        ids = _job_ids(user_id)
        try:
            async with asyncio.timeout(ANSWER_S):
                queued = await self._redis.zrem(QUEUE, *ids)
                await self._redis.delete(
                    *(prefix + job_id for prefix in (job_key_prefix, retry_key_prefix) for job_id in ids)
                )
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return int(queued)

    async def of_user(self, user_id: str) -> list[str]:
        """Ids of a user's waiting jobs; empty when Redis does not answer, since jobs hold nothing that
        Postgres does not."""
        if self._redis is None:
            return []
        try:
            async with asyncio.timeout(ANSWER_S):
                return [
                    job_id
                    for job_id in _job_ids(user_id)
                    if await self._redis.zscore(QUEUE, job_id) is not None
                ]
        except (redis.RedisError, OSError, TimeoutError) as exc:
            log.warning("jobs.not_read", extra={"error": type(exc).__name__})
            return []

    async def depth(self) -> int:
        """Jobs that wait.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        if self._redis is None:
            return 0
        try:
            async with asyncio.timeout(ANSWER_S):
                return int(await self._redis.zcard(QUEUE))
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc

    async def are_taken(self) -> bool:
        """Whether a worker has said within half a minute that it takes jobs; False when Redis does not
        answer."""
        if self._redis is None:
            return False
        try:
            async with asyncio.timeout(ANSWER_S):
                return bool(await self._redis.exists(QUEUE + health_check_key_suffix))
        except (redis.RedisError, OSError, TimeoutError) as exc:
            log.warning("jobs.not_read", extra={"error": type(exc).__name__})
            return False

    async def overdue_s(self) -> float:
        """How long the first waiting job has been due, in seconds; 0 when none is.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        if self._redis is None:
            return 0.0
        try:
            async with asyncio.timeout(ANSWER_S):
                first = await self._redis.zrange(QUEUE, 0, 0, withscores=True)
        except (redis.RedisError, OSError, TimeoutError) as exc:
            raise StoreUnavailable(unreachable(exc)) from exc
        return max(0.0, time.time() - first[0][1] / 1000) if first else 0.0

    async def close(self) -> None:
        """Leave; what a hung Redis has not taken in a second is found by the sweeper, and so is what is said
        from now on: a hint would open a connection that nobody closes."""
        client, self._redis = self._redis, None
        if self._putting:
            await asyncio.wait(self._putting, timeout=PARTING_S)
        for putting in list(self._putting):
            putting.cancel()
        if client is not None:
            await client.aclose(close_connection_pool=True)

    def _put_ended(self, putting: asyncio.Task[None]) -> None:
        self._putting.discard(putting)
        if not putting.cancelled() and (error := putting.exception()) is not None:
            self._count_failure(type(error).__name__)

    def _count_failure(self, error: str) -> None:
        self.failed += 1
        if not self._is_away:  # once an outage
            log.warning("jobs.not_enqueued", extra={"error": error})
        self._is_away = True

    async def _put(self, client: ArqRedis, user_id: str, wait_s: float) -> None:
        first, again = learn_job_id(user_id), again_job_id(user_id)
        async with client.pipeline(transaction=False) as asked:
            asked.exists(in_progress_key_prefix + first)
            asked.zscore(QUEUE, first)
            asked.zscore(QUEUE, again)
            runs, first_ms, again_ms = await asked.execute()
        job_id, due_ms = (again, again_ms) if runs else (first, first_ms)
        if due_ms is None and await client.enqueue_job(
            "learn_user", user_id, _job_id=job_id, _queue_name=QUEUE, _defer_by=wait_s
        ):
            return
        # it waits already: a new turn moves it back unless it is due, a call's end brings it forward
        now_ms = int(time.time() * 1000)
        if wait_s == 0 or due_ms is None or due_ms > now_ms:
            await client.zadd(QUEUE, {job_id: now_ms + int(wait_s * 1000)}, xx=True)

    async def _put_graph(self, client: ArqRedis, user_id: str) -> None:
        await client.enqueue_job("graph_user", user_id, _job_id=graph_job_id(user_id), _queue_name=QUEUE)


def unreachable(exc: BaseException) -> str:
    """A sentence without what a driver may put into its own: addresses hold passwords."""
    return f"Redis cannot be reached ({type(exc).__name__}): check ECHOIC_REDIS_URL, or run `echoic doctor`."
