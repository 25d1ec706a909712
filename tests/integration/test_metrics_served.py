"""Metrics as Prometheus gets them: of an agent worker whose calls are processes, and of a learner."""

import asyncio
import math
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from echoic.local.ports import free_ports
from echoic.memory.config import MemorySettings
from echoic.memory.service import open_memory
from echoic.memory.types import Caller
from echoic.workers import gauges
from echoic.workers.main import run_worker
from tests.processes import ROOT, wait_until

Page = dict[tuple[str, ...], float]


def scrape(port: int) -> Page:
    """(name, *label values) -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (one.name, *(one.labels[name] for name in sorted(one.labels))): one.value
            for family in families
            for one in family.samples
        }


@contextmanager
def agent_worker(port: int) -> Iterator[Callable[[str], int]]:
    """A LiveKit worker of processes; called with a room's name it places a call and gives its pid."""
    command = [sys.executable, "-m", "tests.metered_worker", str(port)]
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    worker = subprocess.Popen(
        command,
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdin and worker.stdout

    def place(room: str) -> int:
        assert worker.stdin and worker.stdout
        worker.stdin.write(f"{room}\n")
        worker.stdin.flush()
        return int(worker.stdout.readline().removeprefix("counted "))

    try:
        assert worker.stdout.readline() == "started\n"
        yield place
    finally:
        worker.communicate("\n", timeout=30)


def test_calls_are_counted_while_they_last_and_after(unused_port: int) -> None:
    """What each call process counted stays, though one ended and one was killed; their breakers go."""
    with agent_worker(unused_port) as place:
        place("short")
        lasting, killed = place("long"), place("long")
        assert lasting != killed
        wait_until(lambda: running(scrape(unused_port)) == (2, [2]), 60)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: running(scrape(unused_port)) == (1, [1]), 60)
        page = scrape(unused_port)
    assert page["echoic_turns_total", "user", "row"] == 3
    assert page["echoic_recall_tier_seconds_count", "ok", "facts"] == 3 and page[
        "echoic_recall_seconds_sum",
    ] == pytest.approx(0.045)
    # counted in the worker itself, which imported the client long before
    assert page["echoic_calls_refused_total", "busy"] == 1


def running(page: Page) -> tuple[float | None, list[float]]:
    """What breakers of lasting calls say, and how many LiveKit counts; each learns of an end by itself."""
    jobs = [value for name, value in page.items() if name[0] == "lk_agents_active_job_count"]
    return page.get(("echoic_breaker_open", "facts")), jobs


@pytest.fixture
def unused_port() -> int:
    return free_ports(1)[0]


async def test_a_learning_worker_shows_what_waits(memory_settings: MemorySettings, unused_port: int) -> None:
    """Two turns that nobody has learned yet, and the job that will; and then that Redis is gone."""
    settings = memory_settings.model_copy(update={"worker_metrics_port": unused_port, "extractor": "off"})
    async with open_memory(settings) as memory:
        call = await memory.open_call(Caller("ana", "echoic", "call"))
        for number in range(2):
            await call.record(
                f"item-{number}",
                "user",
                "My dog is called Biscuit.",
                datetime.now(UTC) - timedelta(seconds=number),
            )
        await asyncio.gather(*call._jobs)
    worker = asyncio.create_task(run_worker(settings))
    try:
        page = await until_shown(unused_port, ("echoic_open_turns",), 2)
    finally:
        worker.cancel()
        await asyncio.wait({worker})
    # due in two minutes
    assert page["echoic_queue_jobs",] == 1 and page["echoic_queue_overdue_seconds",] == 0
    assert 0 < page["echoic_open_turns_oldest_seconds",] < 30
    assert page["echoic_store_up", "redis"] == page["echoic_store_up", "postgres"] == 1


async def until_shown(port: int, series: tuple[str, ...], value: float) -> Page:
    async with asyncio.timeout(20):
        while True:
            try:
                page = await asyncio.to_thread(scrape, port)
                if page.get(series) == value:
                    return page
            except OSError:
                pass  # it does not listen yet
            await asyncio.sleep(0.05)


async def test_what_cannot_be_asked_is_not_zero(memory_settings: MemorySettings) -> None:
    """Redis is away: its figures are unknown, Postgres' are there."""
    settings = memory_settings.model_copy(
        update={"redis_url": type(memory_settings.redis_url)("redis://127.0.0.1:9/0")}
    )
    async with open_memory(settings) as memory:
        await gauges.look(memory)
    assert math.isnan(REGISTRY.get_sample_value("echoic_queue_jobs") or 0)
    assert REGISTRY.get_sample_value("echoic_store_up", {"store": "redis"}) == 0
    assert REGISTRY.get_sample_value("echoic_store_up", {"store": "postgres"}) == 1
    assert REGISTRY.get_sample_value("echoic_open_turns") == 0
