"""The first screen of a run's report, and its size at the limits."""

from __future__ import annotations

from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.figures import (
    CaseFigures,
    Distribution,
    RankBandwidth,
    Share,
    ShareGroup,
)
from mlpstorage_bench.report.markdown import to_markdown
from mlpstorage_bench.report.page import Block, Page
from mlpstorage_bench.report.render import to_html
from mlpstorage_bench.report.run_report import RunFigures, build_report
from mlpstorage_bench.report.run_verdict import run_verdict
from mlpstorage_bench.report.tables import Section
from mlpstorage_bench.results.run_metadata import RunMetadata, metadata_of
from tests.past_runs import run

SPREAD = {"has_spread": True}


def metadata(**own: Any) -> RunMetadata:
    status = own.pop("status", "passed")
    return metadata_of(run(1, own={"status": status, "schema_version": 3, **own}))


def test_failed_tests_are_the_verdict_with_the_first_reason() -> None:
    tests = [
        {"test": "t1", "outcome": "passed"},
        {
            "test": "t2",
            "outcome": "failed",
            "message": "AssertionError: p95 is 3 ms\nand a traceback",
        },
    ]
    verdict = run_verdict(metadata(status="failed", tests=tests))
    assert (verdict.kind, verdict.word) == ("bad", "Failed")
    assert verdict.reason == "1 of 2 tests failed: t2: p95 is 3 ms"


def test_gate_that_failed_the_session_is_the_verdict() -> None:
    gate = {"verdict": "regressed"}
    verdicts = [{"case": "1", "metric": "read_gib_s", "verdict": "regressed", "change": "-20 %"}]
    verdict = run_verdict(metadata(status="failed", gate=gate, verdicts=verdicts))
    assert verdict.reason == "the gate's verdict is regressed: 1 read_gib_s -20 %"


@pytest.mark.parametrize(
    ("own", "word", "kind"),
    [
        ({"tests": [{"test": "t", "outcome": "passed"}]}, "Passed", "good"),
        ({"not_valid_because": ["a", "b"]}, "Invalid as a closed run", "bad"),
        ({"status": "interrupted"}, "Interrupted", "unsure"),
        ({"status": "running"}, "Running", "unsure"),
        ({"status": "-"}, "Outcome not recorded", "unsure"),
    ],
)
def test_outcome_is_one_word(own: dict[str, Any], word: str, kind: str) -> None:
    verdict = run_verdict(metadata(**own))
    assert (verdict.word, verdict.kind) == (word, kind)


def test_first_screen_has_the_figures_of_the_fastest_case_with_spread_and_samples() -> None:
    described = {
        "read_gib_s": {
            "unit": "GiB/s",
            "title": "read GiB/s",
            "shown": "lists",
            "has_spread": True,
        },
        "read_p95_ms": {"unit": "ms", "title": "read p95 ms", "shown": "lists"},
    }
    values = {"read_gib_s": 1.5, "read_gib_s_min": 1.0, "read_gib_s_max": 2.0, "trials": 2}
    own = {
        "schema_version": 3,
        "metric_descriptions": described,
        "metrics": {"1": {**values, "read_p95_ms": 5.0}, "2": {"read_gib_s": 0.1}},
    }
    figures = RunFigures({"1": CaseFigures("1", "Stress", samples={"read_p95_ms": 77})})
    page = build_report(metadata_of(run(1, own=own)), figures)
    assert page.tiles_title == "Workload 1: Stress"
    shown = [(tile.label, tile.value, tile.unit, tile.beside) for tile in page.tiles]
    assert shown == [
        ("read", "1.50", "GiB/s", "1.00 to 2.00 in 2 trials"),
        ("read p95", "5.0", "ms", "77 samples"),
    ]
    assert page.picture is not None


def test_cases_are_in_the_order_of_the_tests_and_the_headline_has_its_reason() -> None:
    values = {"read_gib_s": 1.0}
    own = {
        "schema_version": 3,
        "metric_descriptions": {
            "read_gib_s": {"unit": "GiB/s", "title": "read GiB/s", "shown": "lists"} | SPREAD
        },
        "metrics": {"blocks-16": values, "open-loop": {"read_gib_s": 2.0}, "1": values},
        "cases": {"1": {}, "open-loop": {}, "blocks-16": {}},
    }
    page = build_report(metadata_of(run(1, own=own)))
    assert page.tiles_title == "Case open-loop, highest read + write among 3 cases"
    (results,) = [block for block in page.blocks if block.title == "Results"]
    assert [row[0] for row in results.sections[0].rows] == ["1", "open-loop", "blocks-16"]


def test_headline_is_of_the_first_case_of_the_profile() -> None:
    described = {"unit": "GiB/s", "title": "read GiB/s", "shown": "lists"} | SPREAD
    own = {
        "schema_version": 3,
        "metric_descriptions": {"read_gib_s": described},
        "metrics": {"one-reader": {"read_gib_s": 2.0}, "train": {"read_gib_s": 1.0}},
        "cases": {"one-reader": {}, "train": {}},
        "planned_cases": ["absent", "train"],
    }
    page = build_report(metadata_of(run(1, own=own)))
    assert page.tiles_title == "Case train, the first of the profile among 2 cases"


def length_of(runtime: float, cases: list[str], **own: Any) -> str:
    """Return how long a run took in its report; `cases` are the tests that ran them."""
    tests = [{"test": name, "outcome": "passed", "duration_s": 20.0} for name in ("a", "b", "c")]
    named = {str(number): {"test": test} for number, test in enumerate(cases)}
    facts = {"schema_version": 3, "tests": tests, "cases": named, **own}
    page = build_report(metadata_of(run(1, own=facts, runtime=runtime)))
    (when,) = [one.text for one in page.facts if one.name == "When"]
    return when.partition(", ")[2]


def test_time_of_a_run_is_that_of_its_tests_and_not_of_the_session() -> None:
    assert length_of(50.0, ["a", "b", "b"]) == "its tests took 40 s"


def test_time_of_one_run_of_a_test_is_its_own() -> None:
    assert length_of(5.0, ["a"]) == "took 5 s"


def test_time_of_a_run_whose_tests_have_no_case_is_its_own() -> None:
    assert length_of(50.0, []) == "took 50 s"


def test_time_of_a_resumed_run_is_that_of_all_its_parts() -> None:
    began = "2026-11-01T12:00:00+00:00"
    part = {"started": began, "ended": None, "runtime_s": 25.0, "status": "passed"}
    resumed = {"parts": [part, part], "pauses": []}
    assert length_of(50.0, ["a"], resumed=resumed) == "took 50 s"


def test_parameters_have_no_words_of_python() -> None:
    figures = RunFigures(
        {"1": CaseFigures("1", parameters={"a": None, "b": True, "c": {}, "d": [1, 2]})}
    )
    page = build_report(metadata(), figures)
    (block,) = [block for block in page.blocks if block.title == "All parameters"]
    assert [row[1] for row in block.sections[0].rows] == ["-", "yes", "-", "1, 2"]


def test_a_row_is_cut_only_if_others_are_too() -> None:
    rows = tuple((str(number),) for number in range(4))
    assert Section("", ("n",), rows).cut(3).rows == rows
    assert Section("", ("n",), rows).cut(2).rows[2:] == (("and 2 more in the run's files",),)


def test_simulation_is_the_first_finding() -> None:
    figures = RunFigures({"1": CaseFigures("1", was_simulated=True)})
    page = build_report(metadata(conclusions=["The storage is fast."]), figures)
    assert page.findings[0].startswith("Simulated without storage: 1.")
    assert page.findings[1] == "The storage is fast."


@pytest.mark.long
@pytest.mark.slow
def test_page_of_many_cases_ranks_and_hosts_stays_below_two_megabytes() -> None:
    series = {
        "phase": "window",
        "begins_s": 0.0,
        "ends_s": 500.0,
        "slot_s": 1.0,
        **{name: [1 << 30] * 500 for name in ("read_bytes", "write_bytes")},
        **{name: [1] * 500 for name in ("reads", "writes", "read_chunks", "write_chunks")},
        **{
            f"{name}_p95_ms": [1.23] * 500
            for name in ("read", "write", "read_chunk", "write_chunk")
        },
    }
    trials = [
        {
            "trial": number,
            "metrics": {},
            "time_series": {"clock_uncertainty_s": 0.0, "phases": [series]},
        }
        for number in range(1, 7)
    ]
    content = run(1, own={"cases": {f"case {n}": {"trials": trials} for n in range(40)}})
    content["system_info"] = {"hosts": [{"hostname": f"h{n}" * 20} for n in range(500)]}
    points = tuple((float(percent), 1.0 + percent) for percent in range(100))
    figures = {
        f"case {n}": CaseFigures(
            f"case {n}",
            distributions=(Distribution("read, entries", "read", False, 10_000, points),) * 4,  # noqa: FBT003 - a whole entry
            shares=(ShareGroup("S", "s", "s", (Share("a", (("b", 1.0),)),) * 2),) * 4,
            ranks=tuple(RankBandwidth(rank, f"h{rank // 8}", 1.0, 1.0) for rank in range(500)),
        )
        for n in range(40)
    }
    page = build_report(metadata_of(content), RunFigures(figures))
    text = to_html(page)
    assert len(text.encode()) < 2_000_000
    assert "to keep the page below 2 MB" not in text
    assert len(to_markdown(page)) < 65_536


@pytest.mark.slow
def test_page_with_long_texts_is_kept_small_by_emptying_folded_blocks() -> None:
    rows = tuple(("x" * 900,) * 30 for _ in range(100))
    blocks = tuple(
        Block(title, (Section("", ("h",) * 30, rows),), is_folded=title != "Results")
        for title in ("Results", "Hosts", "Tests")
    )
    text = to_html(Page("run", blocks=blocks))
    assert "Left out, to keep the page below 2 MB" in text
