"""The Grafana dashboard draws metrics that are exported, under labels that they have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mlpstorage_bench.export.exposition import prometheus_text
from tests.export.exported import whole_run

DASHBOARD = Path(__file__).parents[2] / "examples" / "grafana_dashboard.json"


def expressions(dashboard: dict[str, Any]) -> list[str]:
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    variables = [
        one["definition"] for one in dashboard["templating"]["list"] if "definition" in one
    ]
    return panels + variables


def test_every_metric_and_label_of_the_dashboard_is_exported() -> None:
    found = text_string_to_metric_families(prometheus_text(whole_run()))
    labels = {metric.name: {*metric.samples[0].labels} for metric in found}
    dashboard = json.loads(DASHBOARD.read_text())
    asked = expressions(dashboard)
    assert len(asked) > 20
    for expression in asked:
        (name,) = re.findall(r"mlpstorage_\w+", expression)
        assert name in labels, expression
        selected = set(re.findall(r'(\w+)=~"', expression))
        grouped = {
            label
            for names in re.findall(r"by \(([^)]*)\)", expression)
            for label in names.split(", ")
        }
        listed = set(re.findall(r"label_values\(\w+, (\w+)\)", expression))
        assert selected | grouped | listed <= labels[name], expression


@pytest.mark.long
@pytest.mark.starts_process
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool (Debian: prometheus)")
def test_prometheus_accepts_every_expression(tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [one for one in expressions(dashboard) if "label_values" not in one]
    rules = [
        {"record": f"rule_{number}", "expr": one.replace("$", "")}
        for number, one in enumerate(asked)
    ]
    content = json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})  # JSON is YAML
    (tmp_path / "rules.yaml").write_text(content)
    checked = subprocess.run(
        ["promtool", "check", "rules", "rules.yaml"],  # noqa: S607 - as Debian installs it
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(asked)} rules found" in checked.stdout


def test_panels_have_identities_of_their_own_and_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
