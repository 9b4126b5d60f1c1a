"""`--mlps-history-trend METRIC` shows a curve for each case, as a chart or as data."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpstorage_bench.report.trend_chart import HEIGHT, POINT, SPREAD, Point, trend_lines
from tests.past_runs import REFERENCES, leave, leave_run

START = datetime(2026, 11, 1, tzinfo=UTC)


def point(number: int, value: float, low: float | None = None, high: float | None = None) -> Point:
    return Point(
        START + timedelta(hours=number),
        f"run-{number}",
        value,
        value if low is None else low,
        value if high is None else high,
    )


def test_chart_has_axes_a_point_for_each_run_and_a_line_for_its_trials() -> None:
    points = [point(0, 1.0), point(1, 3.0, low=2.0, high=5.0), point(2, 4.0)]
    assert trend_lines("case 1: read_gib_s, GiB/s", points, 40) == [
        "case 1: read_gib_s, GiB/s: 3 runs, the last 4 (run-2)",
        "5 ┤    │",
        "  ┤    │",
        "  ┤    │   ●",
        "  ┤    │",
        "3 ┤    ●",
        "  ┤    │",
        "  ┤    │",
        "  ┤",
        "1 ┤●",
        "  └────────────",
        "   2026-11-01 00:00 to 2026-11-01 02:00",
    ]


def test_chart_breaks_between_runs_that_are_not_comparable() -> None:
    points = [replace(point(number, 1.0 + number), series=1 + number // 2) for number in range(3)]
    assert trend_lines("m", points, 40)[1:] == [
        "3 ┤        ┊   ●",
        *["  ┤        ┊"] * 3,
        "2 ┤    ●   ┊",
        *["  ┤        ┊"] * 3,
        "1 ┤●       ┊",
        "  └────────────────",
        "   2026-11-01 00:00 to 2026-11-01 02:00",
        "   ┊ another system, storage or workload from here on",
    ]


@pytest.mark.parametrize(
    ("changes", "series"),
    [
        ({}, [1, 1]),
        ({"own": {"system_fingerprint": "6" * 32}}, [1, 2]),
        ({"own": {"cases": {}}}, [1, 2]),
    ],
)
def test_trend_data_have_a_number_for_each_series(
    pytester: pytest.Pytester, changes: dict[str, Any], series: list[int]
) -> None:
    folder = pytester.mkdir("results")
    leave_run(folder, 1)
    leave_run(folder, 2, **changes)
    asked = ("--mlps-history-trend=read_gib_s", "--mlps-history-format=json")
    assert [p["series"] for p in json.loads(ask(pytester, *asked).stdout.str())] == series


@pytest.mark.slow
@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda v: round(v, 3)), min_size=1, max_size=300),
    st.integers(10, 200),
    st.integers(1, 400),
)
def test_chart_has_a_point_for_each_shown_run_within_its_width(
    values: list[float], width: int, runs_of_a_series: int
) -> None:
    points = [
        replace(point(number, value), series=1 + number // runs_of_a_series)
        for number, value in enumerate(values)
    ]
    lines = trend_lines("metric", points, width)
    body = lines[1 : HEIGHT + 1]
    shown = sum(line.count(POINT) for line in body)
    assert SPREAD not in "".join(body)
    assert shown == len(points) or f"the newest {shown} of {len(points)} runs" in lines[0]
    assert max(map(len, body)) <= max(width, 40)
    top = next(number for number, line in enumerate(body) if POINT in line)
    assert top == (0 if max(values[-shown:]) == max(values) > min(values) else top)


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    folder = pytester.mkdir("results")
    for number in range(1, 5):
        leave_run(folder, number, trials=(float(number), number + 1.0))
    leave(folder, "training_20250111_160323", REFERENCES)
    return folder


def ask(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--mlps-results-dir=results", *options)


@pytest.mark.long
def test_trend_applies_filters(pytester: pytest.Pytester, results: Path) -> None:
    assert results.is_dir()
    result = ask(pytester, "--mlps-history-trend=read_gib_s")
    assert result.ret == 0
    assert result.outlines[0].startswith("case 1: read_gib_s, GiB/s: 4 runs, the last 4.5 (2026")
    result = ask(pytester, "--mlps-history-trend=read_gib_s", "--mlps-history-last=2")
    assert result.outlines[0].startswith("case 1: read_gib_s, GiB/s: 2 runs, the last 4.5 (2026")
    result = ask(pytester, "--mlps-history-trend=read_gib_s", "--mlps-history-model=none")
    result.stdout.fnmatch_lines(["No matching runs in * have read_gib_s"])


def test_trend_of_reference_runs_is_of_the_whole_run(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    result = ask(pytester, "--mlps-history-trend", "train_au_mean_percentage")
    assert result.outlines[0].startswith("train_au_mean_percentage, %: 1 run, the last 97.5")


def test_trend_is_available_as_json_and_csv(pytester: pytest.Pytester, results: Path) -> None:
    assert results.is_dir()
    option = "--mlps-history-trend=read_gib_s"
    data = json.loads(ask(pytester, option, "--mlps-history-format=json").stdout.str())
    assert [(p["value"], p["least"], p["greatest"]) for p in data] == [
        *((1.5, 1.0, 2.0), (2.5, 2.0, 3.0), (3.5, 3.0, 4.0), (4.5, 4.0, 5.0)),
    ]
    text = ask(pytester, option, "--mlps-history-format=csv").stdout.str()
    assert [float(row["value"]) for row in csv.DictReader(io.StringIO(text))] == [
        p["value"] for p in data
    ]


def test_trend_of_an_unknown_metric_is_refused_with_a_similar_one(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    result = ask(pytester, "--mlps-history-trend=read_gb_s")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--mlps-history-trend: got 'read_gb_s'*Did you mean 'read_gib_s'?"]
    )
