"""Reports of a history and of a comparison, from results trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.compare.find import find_subject
from mlpstorage_bench.compare.subject import Comparison
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.reading import read_metadata
from mlpstorage_bench.report.compare_page import build_comparison_report
from mlpstorage_bench.report.history_report import build_history_report
from mlpstorage_bench.report.markdown import to_markdown
from mlpstorage_bench.report.page import Page
from mlpstorage_bench.report.render import to_html
from mlpstorage_bench.report.run_history import trends_until
from mlpstorage_bench.report.run_report import build_report
from tests.past_runs import leave_run

DESCRIBED = {
    "read_gib_s": {"unit": "GiB/s", "title": "read GiB/s", "better": "higher", "shown": "lists"}
}


def leave(results: Path, number: int, value: float, **own: Any) -> None:
    leave_run(
        results,
        number,
        own={
            "schema_version": 3,
            "status": "passed",
            "system_fingerprint": "5" * 32,
            "metric_descriptions": DESCRIBED,
            "metrics": {"1": {"read_gib_s": value}},
            "cases": {"1": {"workload_fingerprint": "7" * 32}},
            **own,
        },
    )


def report_of(results: Path) -> Page:
    with History(results) as history:
        return build_history_report(history, history.runs())


@pytest.mark.slow
def test_loss_that_lasts_is_the_verdict_with_the_run_that_it_began_with(tmp_path: Path) -> None:
    for number in range(20):
        leave(tmp_path, number, (2.0 if number < 10 else 1.5) + number / 1000)
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert page.verdict.word == "Worse than before"
    assert page.verdict.reason == "workload 1, read GiB/s: -24 % since run 20261101_121000-000a."
    assert page.picture is not None
    assert [curve.style for curve in page.picture.curves].count("change worse") == 1
    (line,) = page.sparklines
    assert line.text == "██████████▁▁▁▁▁▁▁▁▁▁ 1.52"
    assert "Worse than before" in to_html(page)
    assert "██████████▁▁▁▁▁▁▁▁▁▁" in to_markdown(page)


def test_runs_on_another_system_break_the_line_and_are_no_change(tmp_path: Path) -> None:
    for number in range(20):
        system = ("5" if number < 10 else "6") * 32
        leave(tmp_path, number, 2.0 if number < 10 else 1.5, system_fingerprint=system)
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert page.verdict.kind == "good"
    assert page.picture is not None
    assert [curve.style for curve in page.picture.curves].count("line c1") == 2
    assert page.tiles[0].beside == "0 % from 1.5, 9 runs"


@pytest.mark.parametrize(
    ("own", "word"),
    [
        ({"gate": {"verdict": "regressed"}, "status": "failed", "tests_passed": True}, "Worse"),
        ({"status": "interrupted"}, "The last run has no result"),
        ({}, "Passed"),
    ],
)
def test_last_run_decides_the_verdict(tmp_path: Path, own: dict[str, Any], word: str) -> None:
    leave(tmp_path, 1, 2.0)
    verdicts = [{"case": "1", "metric": "read_gib_s", "verdict": "regressed"}]
    leave(tmp_path, 2, 1.0, verdicts=verdicts, **own)
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert page.verdict.word == word
    boxes = () if page.picture is None else page.picture.boxes
    marks = [box for box in boxes if box.title == "regressed"]
    assert len(marks) == (word == "Worse")


def test_report_of_a_run_has_the_comparable_runs_until_it(tmp_path: Path) -> None:
    for number in range(6):
        system = ("5" if number > 1 else "6") * 32
        leave(tmp_path, number, 1.0 + number, system_fingerprint=system)
    with History(tmp_path) as history:
        runs = history.runs()
        metadata, first = (read_metadata(runs[at].path) for at in (4, 0))
        page = build_report(metadata, trends=trends_until(history, metadata))
        assert trends_until(history, first) == []
    (line,) = page.sparklines
    assert line.name == "Workload 1, read GiB/s, 3 comparable runs"
    assert line.text == "▁▅█ 5.00"
    (block,) = [block for block in page.blocks if block.title.startswith("This run after")]
    assert [row[2] for row in block.figures[0].table.rows] == ["5", "4", "3"]


def test_a_run_alone_is_compared_with_nothing(tmp_path: Path) -> None:
    leave(tmp_path, 1, 2.0)
    leave_run(tmp_path, 2, command="datasize", metrics={}, own={"cases": {}})
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert page.verdict.reason.endswith("-0001, passed; there is nothing to compare it with yet.")
    assert page.findings == ("Changes are looked for from 16 comparable runs on; so far: 1.",)
    assert page.picture is None


def test_charts_of_a_day_have_times_and_say_once_how_they_are_read(tmp_path: Path) -> None:
    for number in range(2):
        leave(tmp_path, number, 2.0, metrics={"1": {"read_gib_s": 2.0}, "2": {"read_gib_s": 1.0}})
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert "too few comparable runs to look for a loss" in page.verdict.reason
    assert page.picture is not None
    assert [one.text for one in page.picture.labels][-2:] == [
        "2026-11-01 12:00",
        "2026-11-01 12:01",
    ]
    assert to_html(page).count("do not begin at 0") == 1


def test_history_without_runs_says_so(tmp_path: Path) -> None:
    page = report_of(tmp_path)
    assert page.verdict is not None
    assert page.verdict.word == "No runs"
    assert "No runs" in to_html(page)


def test_comparison_names_what_differs_before_its_figures(tmp_path: Path) -> None:
    leave(tmp_path, 1, 2.0)
    leave(tmp_path, 2, 1.0, system_fingerprint="6" * 32)
    with History(tmp_path) as history:
        ids = [run.run_id for run in history.runs()]
        page = build_comparison_report(Comparison([find_subject(one, history) for one in ids]))
    assert page.verdict is not None
    assert page.verdict.word == "Not alike"
    assert [fact.name for fact in page.facts] == ["A", "B"]
    figures = [figure.title for block in page.blocks for figure in block.figures]
    assert "Workload 1: read GiB/s" in figures
    assert "Workload 1: read GiB/s" in to_html(page)
