"""What the latency bench reports, without running it."""

import asyncio
import time
from itertools import islice

import pytest

from echoic.memory.text.words import is_follow_up, is_small_talk, normalise
from evals.latency import CALLS, Cell, ratios, report_of
from evals.loop_lag import LoopLag, watched
from evals.sample_words import learned, questions, said

VARIANTS = {
    "no_memory": 0.5,
    "published_minilm": 16.0,
    "embedding": 8.0,
    "echoic": 12.0,
    "mem0_async_search": 14.0,
}


def cells(n: int = 20):
    lag = LoopLag(stalls_ms=[0.1, 0.2], slowest_ms=3.0, slowest_cpu_ms=2.0, slowest_name="task")
    return {
        (variant, load, calls): Cell(ms=[ms * calls] * n, late=1, lags=[lag])
        for variant, ms in VARIANTS.items()
        for load in ("closed", "paced")
        for calls in CALLS
    }


def test_the_report_has_the_promised_form():
    """Keys that others read; a row for each variant, load and number of calls."""
    report = report_of(cells(), [5.0, 6.0], [3.0, 4.0])
    assert {"commit", "hardware", "rows", "loop_stall_ms", "captured_ms"} <= report.keys()
    assert len(report["rows"]) == len(VARIANTS) * 2 * 3
    assert {"variant", "load", "calls", "n", "p50_ms", "p95_ms", "p99_ms", "cpu_ms"} <= report["rows"][
        0
    ].keys()
    assert {"p99", "max"} <= report["loop_stall_ms"].keys() and report["captured_ms"].keys() == {"p50", "p99"}


def test_ratios_are_those_of_the_aims():
    """Echoic over the bare embeddings; and beyond it, Echoic's share of Mem0's time."""
    rows = report_of(cells(), [5.0], [3.0])["rows"]
    assert list(ratios(rows).values()) == [1.5, 0.75, pytest.approx((12 - 8) / (14 - 8), abs=0.01)]


def test_no_question_is_asked_twice_or_answered_without_a_search():
    """Otherwise the bench would time a cache, or nothing."""
    asked = list(islice(questions(), 20_000))
    assert len({normalise(text) for text in asked}) == len(asked)
    assert not any(is_small_talk(text) or is_follow_up(text) for text in asked[:2_000])


def test_sentences_are_filled_and_distinct():
    """No two memories of the bench are the same, and no template shows through."""
    for texts in (said(200), learned(120)):
        assert len(set(texts)) == len(texts) and not any("{" in text for text in texts)


async def test_the_loops_slowest_callback_is_named():
    """A callback that computes for 20 ms is seen as such, and delays the timer."""

    async def computes():
        await asyncio.sleep(0)
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass

    with watched() as lag:
        await asyncio.create_task(computes(), name="the culprit")
        await asyncio.sleep(0.02)
    assert lag.slowest_name.startswith("the culprit") and lag.slowest_ms >= lag.slowest_cpu_ms * 0.99 >= 19
    assert max(lag.stalls_ms) > 5
