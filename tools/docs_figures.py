"""Writes the few figures of README.md from evals/results; docs/evals.md has all of them (`evals/report.py`).

Part of `make docs`; tests/unit/test_docs.py compares.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tools.settings_docs import ROOT, between

PAGE, RESULTS = ROOT / "README.md", ROOT / "evals" / "results"
MARKS = ("<!-- figures: written by `make docs` from evals/results -->\n", "<!-- figures end -->\n")

Result = dict[str, Any]


def table(results: Path) -> str:
    """One row per figure: with Echoic, what it is compared with, and the day and command of the measurement.

    A result that is missing leaves its rows out.
    """
    head = ["| Figure | Echoic | For comparison | Measured |", "|---|---|---|---|"]
    return "\n".join([*head, *_rows(results)]) + "\n"


def main() -> None:
    PAGE.write_text(between(PAGE.read_text(), MARKS, table(RESULTS)))


def _rows(results: Path) -> Iterator[str]:
    for names, command, cells in (
        ("latency", "evals.latency", _latency),
        ("voice", "evals.voice", _voice),
        ("locomo", "evals.locomo", _locomo),
        ("extraction*", "evals.extraction --replay --half sealed", _learned),
        ("takeover", "evals.takeover", _takeover),
        ("footprint", "evals.footprint", _footprint),
    ):
        paths = sorted(results.glob(f"{names}.json"), key=lambda path: (len(path.name), path.name))
        if found := [json.loads(path.read_text()) for path in paths]:
            for row in cells(*found):
                yield f"| {' | '.join(row)} | {_day(found[0])}, `python -m {command}` |"


def _latency(result: Result) -> Iterator[tuple[str, str, str]]:
    rows = {(row["load"], row["calls"], row["variant"]): row for row in result["rows"]}
    for load, calls, what in (
        ("closed", 1, "Time before the model is asked, 1 call, p50 / p95"),
        ("paced", 16, "The same, 16 calls that ask every 0.5–1.5 s"),
    ):
        ours, none, mem0 = (
            _two(rows[load, calls, variant]) for variant in ("echoic", "no_memory", "mem0_async_search")
        )
        yield what, f"{ours} ms", f"no memory {none}, Mem0's search {mem0}"


def _voice(result: Result) -> Iterator[tuple[str, str, str]]:
    ours, without = (_two(result[key]["first_audio_ms"]) for key in ("with_memory", "without_memory"))
    yield "First sound of a reply in a real room, p50 / p95", f"{ours} ms", f"without memory {without}"


def _learned(*results: Result) -> Iterator[tuple[str, str, str]]:
    """The main set of exchanges, and beside it those that are harder."""
    first, *others = [(one["survived"], one["refused"]) for one in results if one["model"] == "replay"]
    ranges = (f"{min(shares):.2f}–{max(shares):.2f}" for shares in zip(*others, strict=True))
    what = "A model's right answers that are learned / its wrong ones refused, sealed exchanges"
    beside = f"in {len(others)} harder sets {' / '.join(ranges)}" if others else ""
    yield what, f"{first[0]:.2f} / {first[1]:.2f}", beside


def _locomo(result: Result) -> Iterator[tuple[str, str, str]]:
    what = f"Evidence among the first 10 found, {result['questions']} LoCoMo questions"
    yield what, f"{result['recall_at']['10']:.3f}", "no language model, no re-ranker; ranking chosen on these"


def _takeover(result: Result) -> Iterator[tuple[str, str, str]]:
    silence = result["silence_s"]
    what = "Silence when an agent's process is killed in a call, p50 / longest"
    yield what, f"{silence['p50']:.2f} / {silence['max']:.2f} s", f"{result['n']} kills"


def _footprint(result: Result) -> Iterator[tuple[str, str, str]]:
    once = result["once_a_host"]["embedding_server_rss_mb"]
    added = result["rss_added_mb"]["16"]
    yield "Resident memory added per call process", f"{added:.0f} MB", f"and {once:.0f} MB once per host"


def _two(times: dict[str, float]) -> str:
    keys = ("p50_ms", "p95_ms") if "p50_ms" in times else ("p50", "p95")
    return " / ".join(_ms(times[key]) for key in keys)


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _day(result: Result) -> str:
    """`21 Nov 2026`, in whichever of their two forms the results say it."""
    said = str(result.get("measured_at") or result["date"])
    return f"{datetime.fromisoformat(said):%d %b %Y}" if "T" in said else said


if __name__ == "__main__":
    main()
