"""What Prometheus may ask: how recall fared, what was stored, what waits.

Counted where it happens, in any process; no words, no ids.
"""

from collections.abc import Mapping
from functools import cache, partial
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from echoic.memory.breaker import Breaker
from echoic.memory.types import Recall, Role

Stored = Literal["row", "spool", "none", "void"]
"""Where a turn became durable; `none`: neither Postgres nor the disk took it; `void`: its person was erased,
or had said no, after it was said."""

RECALL_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0)
"""A healthy recall takes 2 to 20 ms, the default budget is 150 ms, a store's hard limit 2 s."""
TURN_S = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Metrics:
    """The series of calls. A gauge counts only while the process lives that set it."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        histogram = partial(Histogram, namespace="echoic", registry=registry)
        counter = partial(Counter, namespace="echoic", registry=registry)
        self.recall = histogram("recall_seconds", "What a reply waited for memory", buckets=RECALL_S)
        self.tier = histogram(
            "recall_tier_seconds", "One tier's part of a recall", ("tier", "outcome"), buckets=RECALL_S
        )
        self.budget = histogram(
            "recall_budget_share", "Share of the recall budget that was used; 1 is all of it", buckets=SHARES
        )
        skipping = "Processes that skip this tier now, because it kept failing"
        self.breaker = Gauge(
            "breaker_open",
            skipping,
            ("tier",),
            namespace="echoic",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.prefetch = counter(
            "prefetch", "Turns by what a lookup begun while the caller spoke was good for", ("outcome",)
        )
        self.prefetch_wasted = counter(
            "prefetch_wasted", "Lookups that nobody asked for: their words were not the last ones"
        )
        self.turns = counter(
            "turns", "Turns heard, by who spoke and where they became durable", ("role", "stored")
        )
        self.replayed = counter("turns_replayed", "Spooled turns that have reached Postgres")
        self.set_aside = counter(
            "turns_set_aside", "Lines of the spool that were damaged or refused again and again"
        )
        self.turn = histogram("turn_seconds", "LiveKit's own times of a turn", ("part",), buckets=TURN_S)
        self.refused = counter("calls_refused", "Calls that an agent worker did not take", ("reason",))


class Waiting:
    """The series of what waits, which a learning worker looks at: of two workers both show the same."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        gauge = partial(Gauge, namespace="echoic", registry=registry, multiprocess_mode="livemax")
        self.store_up = gauge(
            "store_up", "1: the store answered when the worker last looked; 0: it did not", ("store",)
        )
        self.jobs = gauge("queue_jobs", "Jobs that wait in Redis")
        self.jobs_overdue = gauge(
            "queue_overdue_seconds", "How long the first job has been due; 0: none is late"
        )
        self.turns = gauge("open_turns", "Turns in Postgres that are not learned yet")
        self.turns_oldest = gauge("open_turns_oldest_seconds", "Age of the oldest of them")
        self.set_aside = gauge(
            "set_aside", "What was given up and waits for `echoic jobs --rerun`", ("queue",)
        )
        self.maintained = Counter(
            "maintained",
            "What the nightly maintenance did: facts archived, merged, refiled; turns deleted; facts purged",
            ("what",),
            namespace="echoic",
            registry=registry,
        )


@cache
def metrics() -> Metrics:
    """This process's series.

    Made at first use: where they are kept must have been decided before
    (`echoic.memory.observe.scrape.shared`).
    """
    return Metrics()


@cache
def waiting() -> Waiting:
    """As `metrics`, of a learning worker."""
    return Waiting()


def count_recall(recall: Recall, *, budget_s: float, breakers: Mapping[str, Breaker]) -> None:
    """One recall: how long each tier took and how it ended, the share of the budget that was used, which
    breakers are open."""
    here = metrics()
    for name, result in recall.tiers.items():
        here.tier.labels(name, result.status).observe(result.elapsed_ms / 1000)
    if any(result.status != "skipped" for result in recall.tiers.values()):  # small talk is not looked up
        here.recall.observe(recall.elapsed_ms / 1000)
        here.budget.observe(recall.elapsed_ms / 1000 / budget_s)
    for name, breaker in breakers.items():
        here.breaker.labels(name).set(breaker.state != "closed")


def count_turn(role: Role, stored: Stored) -> None:
    """One turn that was heard, by where it became durable."""
    metrics().turns.labels(role, stored).inc()


def count_refused(reason: str) -> None:
    """One call that this worker did not take; `reason` is a constant of the code, such as `busy`."""
    metrics().refused.labels(reason).inc()
