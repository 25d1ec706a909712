"""The dashboard shows series that exist, by labels that they have, and what is counted is shown."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
from livekit.agents.telemetry import metrics as livekit_metrics
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from echoic.memory.observe.metrics import Metrics, Waiting
from tests.processes import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana" / "echoic.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
SERIES = r"\b(?:echoic|lk_agents)_\w+"


def existing() -> dict[str, set[str]]:
    """Each series that a scrape can hold -> its labels."""
    registry = CollectorRegistry()
    ours = [*vars(Metrics(registry)).values(), *vars(Waiting(registry)).values()]
    found: dict[str, set[str]] = {}
    for metric in [
        *ours,
        *(one for one in vars(livekit_metrics).values() if isinstance(one, MetricWrapperBase)),
    ]:
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric._type, [""])
        found |= {
            metric._name + ending: {*metric._labelnames, *({"le"} if ending == "_bucket" else ())}
            for ending in endings
        }
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_what_exists(expression: str) -> None:
    """Series, the labels they are chosen by, and the labels they are grouped by."""
    series, known = re.findall(SERIES, expression), existing()
    assert series and set(series) <= set(known)
    grouped = [
        label.strip() for labels in re.findall(r"\bby \(([^)]*)\)", expression) for label in labels.split(",")
    ]
    chosen = re.findall(r"(\w+)=~?\"", expression)
    assert {*grouped, *chosen} <= set.union(*(known[name] for name in series))
    assert expression.count("(") == expression.count(")") and (
        "_total" not in expression or re.search(r"(rate|increase)\(", expression)
    )


def test_legends_name_labels_of_their_expression() -> None:
    """A label that the expression has summed away would show as an empty legend."""
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= set(
                re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", target["expr"])))
            ), panel["title"]


def test_everything_counted_is_shown() -> None:
    """A series nobody looks at need not be counted."""
    shown = " ".join(EXPRESSIONS)
    registry = CollectorRegistry()
    assert [
        one._name
        for one in [*vars(Metrics(registry)).values(), *vars(Waiting(registry)).values()]
        if one._name not in shown
    ] == []


def test_the_file_is_a_dashboard() -> None:
    """What Grafana needs to import it: a known schema, known panels on a grid of 24, a data source."""
    assert (
        DASHBOARD["schemaVersion"] >= 36 and DASHBOARD["title"] and DASHBOARD["uid"] and "id" not in DASHBOARD
    )
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["type"] in ("timeseries", "stat") and panel["title"] and panel["description"]
        assert {"defaults", "overrides"} <= panel["fieldConfig"].keys() and panel["fieldConfig"]["defaults"][
            "unit"
        ]
        assert all(
            target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            for target in panel["targets"]
        )
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_no_panel_lies_on_another() -> None:
    """No cell of Grafana's grid belongs to two panels."""

    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    assert not [
        (one["title"], other["title"]) for one, other in combinations(PANELS, 2) if cells(one) & cells(other)
    ]
