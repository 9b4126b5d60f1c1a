"""Text of metadata does nothing in a terminal, in Markdown and in HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.reading import read_metadata
from mlpstorage_bench.report.history_table import history_lines
from mlpstorage_bench.report.markdown import to_markdown
from mlpstorage_bench.report.render import to_html
from mlpstorage_bench.report.run_page import run_lines
from mlpstorage_bench.report.run_report import build_report
from mlpstorage_bench.report.trend_chart import Point, trend_lines
from tests.past_runs import leave, run

EVIL = "x\x1b[2J\r\n20261101_120900-0009 \x9b31m\u202e<b>[a](https://e.example)| www.e.example @all"
FORGED = re.compile(r"^20261101_120900-0009", re.MULTILINE)
_KEPT = {"benchmark_type", "run_datetime", "better", "shown", "unit"}
"""Fields whose values are checked."""


def evil(value: Any) -> Any:
    """Return JSON whose every text and name has the evil text behind it."""
    if isinstance(value, dict):
        return {name: inner if name in _KEPT else evil(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [evil(inner) for inner in value]
    return f"{value}{EVIL}" if isinstance(value, str) else value


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results directory with one run, each of whose texts is evil."""
    content = evil(
        run(
            1,
            executed_command="pytest",
            result_dir="/r",
            override_parameters={"trials": "3"},
            system_info={"hosts": [{"hostname": "h", "cpu": {"model": "m"}}]},
            command_output_files=["a.json"],
            own={
                "run_id": "20261101_120100-0001",
                "schema_version": 2,
                "notes": ["a note"],
                "tests": [{"test": "t", "outcome": "failed", "duration_s": 1, "message": "m"}],
                "verdicts": [{"case": "1", "metric": "speed", "verdict": "passed", "rule": "r"}],
                "metrics": {"read_gib_s": {"unit": "GiB/s", "shown": "lists", "title": "read"}},
                "tags": ["nightly"],
                "working_directory": "/w",
            },
        )
    )
    content["metrics"][f"case {EVIL}"] = {f"odd {EVIL}": 1.0, "read_gib_s": 1.0}
    leave(tmp_path, "x", content)
    return tmp_path


def lines_of(results: Path) -> Iterator[str]:
    """Yield every line that the terminal gets."""
    with History(results) as history:
        (past,) = history.runs()
        yield from history_lines([past], history.listed())
        yield from run_lines(past, read_metadata(past.path), history.measured_in(past.path), 120)


def test_no_control_character_reaches_the_terminal_and_no_row_is_forged(results: Path) -> None:
    lines = list(lines_of(results))
    assert all(line.isprintable() for line in lines)
    assert not FORGED.search("\n".join(lines))
    assert "\\x1b[2J" in "\n".join(lines)


def test_markdown_of_a_run_has_no_live_link_and_no_markup(results: Path) -> None:
    (file,) = results.glob("*_metadata.json")
    text = to_markdown(build_report(read_metadata(file)))
    assert all(line.isprintable() for line in text.splitlines())
    outside_code = re.sub(r"`[^`]*`", "", text)
    assert not re.search(r"https?://|www\.|@all|<b>|(?<!\\)\]\(", outside_code)


def test_html_of_a_run_has_no_markup_and_no_control_character(results: Path) -> None:
    (file,) = results.glob("*_metadata.json")
    page = to_html(build_report(read_metadata(file)))
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "&lt;b&gt;" in page


def test_words_between_colons_are_not_replaced_by_pictures(tmp_path: Path) -> None:
    leave(tmp_path, "x", run(1, own={"notes": ["test[:warning:]"]}))
    assert "test[:warning:]" in "\n".join(lines_of(tmp_path))


def test_text_of_a_million_characters_does_not_widen_the_list(tmp_path: Path) -> None:
    leave(tmp_path, "x", run(1, model="m" * 1_000_000))
    leave(tmp_path, "y", run(2))
    with History(tmp_path) as history:
        lines = history_lines(history.runs(), history.listed())
    assert max(map(len, lines)) < 500
    assert "...[999800 more]..." in "\n".join(lines)


def test_chart_of_the_greatest_and_least_numbers_is_drawn() -> None:
    points = [
        Point(datetime.now(UTC), "r", value, value, value) for value in (1e308, -1.7e308, 0.0)
    ]
    assert len(trend_lines("t", points, 80)) > 5


def test_page_of_numbers_beyond_all_measure_is_short(tmp_path: Path) -> None:
    leave(tmp_path, "x", run(1, metrics={"1": {"a": 1.7e308, "b": 10**300}}))
    assert max(map(len, lines_of(tmp_path))) < 400
