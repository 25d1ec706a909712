"""The footprint report has the shape that others read."""

from evals.footprint import report_of


def test_report_says_what_memory_adds_by_number_of_calls():
    """Remembering less plain, for as many calls; also where it came out faster."""
    rows = [
        {"kind": "plain", "calls": 1, "rss_mb": 340.0, "uss_mb": 57.0, "start_s": 0.5},
        {"kind": "remembering", "calls": 1, "rss_mb": 357.04, "uss_mb": 63.0, "start_s": 0.61},
        {"kind": "plain", "calls": 16, "rss_mb": 341.0, "uss_mb": 57.0, "start_s": 0.5},
        {"kind": "remembering", "calls": 16, "rss_mb": 358.0, "uss_mb": 63.0, "start_s": 0.4},
    ]
    report = report_of(rows, {"embedding_server_rss_mb": 150.0})
    assert report["rss_added_mb"] == {"1": 17.0, "16": 17.0}
    assert report["start_added_s"] == {"1": 0.11, "16": -0.1}
    assert report["rows"] == rows and report["commit"] is not None
