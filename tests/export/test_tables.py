from __future__ import annotations

import csv
import io
import json

from mlpstorage_bench.export.tables import csv_text, json_of
from tests.export.exported import whole_run


def test_csv_has_a_row_for_each_case_and_trial_in_declared_units() -> None:
    rows = [*csv.DictReader(io.StringIO(csv_text(whole_run())))]
    found = {(row["case"], row["trial"]): row for row in rows if row["metric"] == "read_gib_s"}
    assert {key: row["value"] for key, row in found.items()} == {
        ("1", ""): "2.0",
        ("1", "1"): "1.5",
    }
    labels = found["1", ""]
    assert (labels["unit"], labels["better"], labels["hosts"]) == ("GiB/s", "higher", "h1,h2")
    assert [row["value"] for row in rows if row["metric"] == "limited_by"] == ["storage"]


def test_json_describes_each_metric_that_has_a_figure() -> None:
    content = json.loads(json_of(whole_run()))
    assert content["hosts"] == ["h1", "h2"]
    assert [one["is_met"] for one in content["objectives"]] == [True, False]
    assert content["metrics"]["read_p95_ms"]["better"] == "lower"
    assert {one["metric"] for one in content["figures"]} == content["metrics"].keys()
    assert {
        "case": "1",
        "trial": None,
        "metric": "read_p95_ms",
        "unit": "ms",
        "value": 2.0,
    } in content["figures"]
