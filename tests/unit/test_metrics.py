"""What is counted, and how the values of many processes become one page."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from echoic.local.ports import free_ports
from echoic.memory.breaker import Breaker
from echoic.memory.errors import ConfigInvalid
from echoic.memory.observe.metrics import Metrics, Waiting, count_recall
from echoic.memory.observe.scrape import SharedFolder, fold_ended, serve_metrics
from echoic.memory.types import Recall, TierResult
from tests.processes import ROOT

COUNTER = """
import sys
from echoic.memory.breaker import Breaker
from echoic.memory.observe.metrics import count_recall, count_turn
from echoic.memory.types import Recall, TierResult
breaker = Breaker(failures=1, pause_s=60)
breaker.failed()
late = Recall({"facts": TierResult("late", (), 150.0)}, "", (), 150.0)
count_recall(late, budget_s=0.15, breakers={"facts": breaker})
count_turn("user", "row")
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def value(monkeypatch: pytest.MonkeyPatch) -> Callable[..., float | None]:
    """The value of one of the test's own series: `value("echoic_turns_total", role="user", stored="row")`."""
    registry = CollectorRegistry()
    own = Metrics(registry)
    monkeypatch.setattr("echoic.memory.observe.metrics.metrics", lambda: own)
    return lambda name, **labels: registry.get_sample_value(name, labels)


def test_a_recall_is_counted_by_tier_and_outcome(value: Callable[..., float | None]) -> None:
    """Each tier's time stands under how it ended, the budget as a share, and an open breaker is 1."""
    breakers = {"facts": Breaker(failures=1, pause_s=60), "embedder": Breaker(failures=1, pause_s=60)}
    breakers["facts"].failed()
    recall = Recall(
        {"recent": TierResult("ok", (), 0.1), "facts": TierResult("late", (), 150.0)}, "", (), 75.0
    )
    count_recall(recall, budget_s=0.15, breakers=breakers)
    assert value("echoic_recall_tier_seconds_sum", tier="facts", outcome="late") == pytest.approx(0.15)
    assert value("echoic_recall_tier_seconds_count", tier="recent", outcome="ok") == 1
    assert value("echoic_recall_budget_share_sum") == pytest.approx(0.5)
    assert (
        value("echoic_breaker_open", tier="facts") == 1 and value("echoic_breaker_open", tier="embedder") == 0
    )


def test_small_talk_does_not_make_recall_look_fast(value: Callable[..., float | None]) -> None:
    """What was not looked up took no time: it counts as skipped, and not in the times of recalls."""
    count_recall(Recall({"facts": TierResult("skipped")}, elapsed_ms=0.01), budget_s=0.15, breakers={})
    assert value("echoic_recall_seconds_count") == 0
    assert value("echoic_recall_tier_seconds_count", tier="facts", outcome="skipped") == 1


def test_ended_processes_stay_counted_and_leave_no_gauge(tmp_path: Path) -> None:
    """Three calls ended, one lives: four turns, one open breaker; the dead ones' files became one a kind."""
    ended = [counting_process(tmp_path) for _ in range(3)]
    living = counting_process(tmp_path)
    try:
        for process in ended:
            process.communicate()
        for _ in range(2):  # what was folded is not folded twice
            page = {
                (one.name, *one.labels.values()): one.value
                for metric in SharedFolder(tmp_path).collect()
                for one in metric.samples
            }
            assert page["echoic_turns_total", "user", "row"] == 4
            assert page["echoic_breaker_open", "facts"] == 1
            assert page["echoic_recall_seconds_count",] == 4 and page[
                "echoic_recall_seconds_sum",
            ] == pytest.approx(0.6)
            assert (
                page["echoic_recall_seconds_bucket", "0.15"] == 4
                and page["echoic_recall_seconds_bucket", "0.1"] == 0
            )
        assert len(list(tmp_path.iterdir())) == 5  # two of the dead, three of the living
    finally:
        living.communicate()
    fold_ended(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"counter_ended.db", "histogram_ended.db"}


def counting_process(folder: Path) -> subprocess.Popen[str]:
    env = {"PATH": os.environ["PATH"], "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTER],
        cwd=ROOT,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "counted\n"
    return process


def test_metrics_are_served_and_the_port_is_free_again() -> None:
    """Twice at one port; port 0 serves nothing."""
    (port,) = free_ports(1)
    for _ in range(2):
        with (
            serve_metrics("127.0.0.1", port),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer,
        ):
            assert b"python_info" in answer.read()
    with serve_metrics("127.0.0.1", 0, children=True):
        assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_a_taken_port_is_said_in_a_sentence() -> None:
    """It names the address, instead of a traceback from the HTTP server."""
    (port,) = free_ports(1)
    with (
        serve_metrics("127.0.0.1", port),
        pytest.raises(ConfigInvalid, match=f"127.0.0.1:{port} .*in use"),
        serve_metrics("127.0.0.1", port),
    ):
        pass


def test_what_waits_has_series_of_its_own() -> None:
    """An agent worker, which does not look at the queue, shows no empty one."""
    calls, worker = CollectorRegistry(), CollectorRegistry()
    Metrics(calls), Waiting(worker)
    assert not {metric.name for metric in calls.collect()} & {metric.name for metric in worker.collect()}
