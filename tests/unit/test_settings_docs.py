"""docs/settings.md, docs/evals.md and .env.example say what the code says; `make docs` writes both."""

import json
from pathlib import Path

import pytest

from echoic.memory.config import MemorySettings
from evals import report
from tools import settings_docs


def test_settings_page_equals_the_code() -> None:
    """Every setting with its default and meaning, none that is gone."""
    page = settings_docs.PAGE.read_text()
    assert page == settings_docs.between(page, settings_docs.MARKS, settings_docs.table()), "run `make docs`"


def test_env_example_equals_the_code() -> None:
    """The same for .env.example."""
    text = settings_docs.ENV_EXAMPLE.read_text()
    assert text == settings_docs.between(text, settings_docs.ENV_MARKS, settings_docs.example()), (
        "run `make docs`"
    )


def test_every_setting_says_what_it_means() -> None:
    """A field without the text under it is not documented."""
    assert not [setting.names for setting in settings_docs.settings() if not setting.meaning.strip()]


def test_example_is_read_back_as_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of .env.example, uncommented, gives the settings of an empty environment."""
    for setting in settings_docs.settings():
        for name in setting.names:
            monkeypatch.delenv(name, raising=False)
    expected = MemorySettings()
    for line in settings_docs.example().splitlines():
        name, found, value = line.removeprefix("# ").partition("=")
        if found and name.isupper():
            monkeypatch.setenv(name, value)
    assert MemorySettings() == expected


def test_between_refuses_a_file_without_marks() -> None:
    """Lost marks are said, rather than the table appended somewhere."""
    with pytest.raises(ValueError, match="missing"):
        settings_docs.between("no marks here", settings_docs.MARKS, "table")


def test_evals_page_shows_the_committed_results() -> None:
    """The measured part is what evals/results holds."""
    page = report.PAGE.read_text()
    assert page == report.between(page, report.MARKS, report.measured(report.RESULTS)), "run `make docs`"


def test_report_shows_every_figure(tmp_path: Path) -> None:
    """All three kinds of result, in the formats that the evals write, and a missing variant as a dash."""
    row = {"load": "closed", "calls": 1, "n": 500, "p50_ms": 9.96, "p95_ms": 14.2, "p99_ms": 123.4}
    rows = [row | {"variant": "echoic"}, row | {"variant": "no_memory", "p50_ms": 0.04}]
    latency = {"commit": "abc1234", "hardware": "2 cores", "rows": rows}
    latency |= {"loop_stall_ms": {"p99": 3.2, "max": 9.9}, "captured_ms": {"p50": 2.0, "p99": 6.0}}
    locomo = {
        "questions": 10,
        "recall_at": {"10": 0.8123, "5": 0.7},
        "hit_at": {"10": 0.9, "5": 0.8},
        "by_category": {},
    }
    locomo |= {"p50_ms": 8.0, "p95_ms": 12.0, "embedding_p50_ms": 6.5}
    extraction = {
        "model": "small",
        "cases": 60,
        "extraction_recall": 0.8,
        "extraction_accuracy": 0.9,
        "update_correctness": 0.75,
        "false_memory_resistance": 0.95,
        "wrongly_closed": 1,
        "seconds_per_case": 2.345,
        "tokens_per_case": 1_900,
    }
    replayed = extraction | {"model": "replay", "half": "sealed", "survived": 0.99, "refused": 0.5}
    replayed |= {"data": "later"}
    share = {"questions": 9, "recall_at_10": 0.5, "hit_at_10": 0.75}
    beam = {"chats": 6, "turns": 900, "changed": 12, "updated_above": 0.9167, **share}
    beam |= {"by_ability": {"event_ordering": share}, "abstention": None}
    results = {"latency": latency, "locomo": locomo, "beam": beam}
    results |= {"extraction": replayed, "extraction-small": extraction}
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    shown = report.measured(tmp_path)
    assert "| 1, back to back | 0.04 / 14.2 / 123 | – | – | 10.0 / 14.2 / 123 | – | 500 |" in shown
    assert "| share of the evidence found | 0.700 | 0.812 |" in shown
    assert "| event ordering | 9 | 0.500 | 0.750 |" in shown
    assert "Of 12 things that changed, the change stands above what was told first for 0.917." in shown
    sealed = "| replay | `later`, sealed, 60 | 0.800 | 0.900 | 0.750 | 0.950 | 1 | 0.990 | 0.500 |"
    tuned_on = "| small | `extraction`, all, 60 | 0.800 | 0.900 | 0.750 | 0.950 | 1 |  |"
    assert 0 < shown.index(sealed) < shown.index(tuned_on)
    assert "commit abc1234, 2 cores, `python -m evals.latency`" in shown


def test_report_without_results_says_so(tmp_path: Path) -> None:
    """No figure is better than an invented one."""
    assert "Nothing measured yet" in report.measured(tmp_path)
