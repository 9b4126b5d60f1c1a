from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mlpstorage_bench.benchmark_type.records import CaseRecord, TrialRecord
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.metric.declaration import Description
from mlpstorage_bench.report.metric_cells import narrow_cell, wide_cell
from mlpstorage_bench.report.results_table import legend, results_lines
from mlpstorage_bench.units import GIB_PER_S, MILLISECONDS, SHARE, TEXT

SPEED = Description("speed", "speed", GIB_PER_S, has_spread=True)
WORD = Description("limit", "limited by", TEXT, beside="part")
PART = Description("part", "of the ceiling", SHARE)
P95 = Description("p95", "p95 ms", MILLISECONDS, beside="over", beside_from=0.05)
OVER = Description("over", "overestimate", SHARE)
DESCRIBED = {one.name: one for one in (SPEED, WORD, PART, P95, OVER)}


@pytest.mark.parametrize(
    ("metric", "values", "narrow", "wide"),
    [
        (
            SPEED,
            {"trials": 2, "speed": 2.0, "speed_min": 1.9, "speed_max": 2.1},
            "2.00 ±5%",
            "2.000 [1.900 … 2.100]",
        ),
        (
            SPEED,
            {"trials": 1, "speed": 2.0, "speed_min": 2.0, "speed_max": 2.0},
            "2.00",
            "2.000 [2.000 … 2.000]",
        ),
        (
            SPEED,
            {"trials": 2, "speed": 0.0, "speed_min": 0.0, "speed_max": 0.0},
            "0.00",
            "0.000 [0.000 … 0.000]",
        ),
        (WORD, {"limit": "load", "part": 0.05}, "load 5%", "load (5.0% of the ceiling)"),
        (WORD, {"limit": "not calibrated", "part": None}, "not calibrated", "not calibrated"),
        (P95, {"p95": None, "over": 0.17}, "-", "-"),
        (P95, {"p95": 3.1, "over": 0.17}, "3.1 (≤17%)", "3.10 (≤17.0% overestimate)"),
        (P95, {"p95": 3.1, "over": 0.05}, "3.1 (≤5%)", "3.10 (≤5.0% overestimate)"),
        (P95, {"p95": 3.1, "over": 0.04}, "3.1", "3.10"),
        (P95, {"p95": 3.1, "over": None}, "3.1", "3.10"),
        (P95, {}, "-", "-"),
    ],
)
def test_cell_has_value_with_spread_or_the_value_beside_it(
    metric: Description, values: dict[str, Any], narrow: str, wide: str
) -> None:
    assert narrow_cell(metric, values, DESCRIBED) == narrow
    assert wide_cell(metric, values, DESCRIBED) == wide


def case(**changes: object) -> CaseRecord:
    """Return a case whose headlines are all 1, with some changed."""
    names = [metric.name for metric in KV_CACHE.metrics if metric.unit.is_number]
    values = {f"{name}{end}": 1 for name in names for end in ("", "_min", "_max")}
    words = {"latency_overestimate_share": 0.01, "audit_verdict": "ok", "limited_by": "storage"}
    metrics = {"trials": 2, **values, **words, **changes}
    trials = (TrialRecord(1, {}, ()), TrialRecord(2, {}, ()))
    return CaseRecord("kv_cache", "1", 2, {}, trials, metrics=metrics)


def test_table_of_a_session_has_a_column_for_each_headline() -> None:
    lines = results_lines([case(read_gib_s=3.5)], KV_CACHE.metrics, None)
    assert lines[0].split() == [
        *("case", "trials", "req/s", "read", "write", "read", "write", "hits", "audit", "limited")
    ]
    assert lines[1].split() == ["GiB/s", "GiB/s", "p95", "ms", "p95", "ms", "by"]
    assert lines[3].split()[:5] == ["1", "2", "1.0", "±0%", "3.50"]
    assert lines[3].endswith("ok 1.000  storage")


def test_case_without_metrics_is_shown_as_failed() -> None:
    failed = CaseRecord("kv_cache", "2", 3, {})
    lines = results_lines([failed], KV_CACHE.metrics, 120)
    assert lines[-1].split(maxsplit=2) == ["2", "0", "failed: 0 of 3 trials measured"]
    both = results_lines([failed, case()], KV_CACHE.metrics, None, ["2"])
    assert both[3].endswith("interrupted: 0 of 3 trials measured")
    assert both[4] == results_lines([case()], KV_CACHE.metrics, None)[3], "no column is wider"


def test_legend_explains_the_headlines() -> None:
    assert legend(KV_CACHE.metrics) == (
        "Mean ± half the range over trials; p95 of whole entries, all samples; (≤N%): processors "
        "were scarce, and these times are too long by up to N %; audit: ok if the kernel counted "
        "the reported bytes within 1 %, with their ratio; bounded, not measurable: nothing "
        "confirms them; foreign traffic: the kernel counted more, of other programs or of the "
        "filesystem; in memory, served from page cache: they are not the storage's; limited by: "
        "what kept the result from being higher: the storage, this host (harness), or too few "
        "requests (load); not calibrated where this host's ceiling was not measured."
    )


@pytest.mark.parametrize("width", [None, 80])
def test_table_shows_by_how_much_latencies_are_too_long(width: int | None) -> None:
    cases = [case(latency_overestimate_share=0.17), case()]
    lines = results_lines(cases, KV_CACHE.metrics, width)
    assert "\n".join(lines).count("(≤17%)") == 2


@pytest.mark.parametrize("verdict", ["ok", "not measurable", "served from page cache"])
@pytest.mark.parametrize("name", ["1", "shared-prefix-with-a-name-of-its-own"])
def test_narrow_table_breaks_no_name_and_cuts_no_cell(verdict: str, name: str) -> None:
    wide = {"requests_per_s": 12345.6, "read_p95_ms": 1234.5, "write_p95_ms": 1234.5}
    wide["latency_overestimate_share"] = 0.17
    cases = [replace(case(audit_verdict=verdict, **wide), case=name), case()]
    text = "\n".join(results_lines(cases, KV_CACHE.metrics, 80))
    for cell in (name, "12345.6", "±0%", "1234.5", "(≤17%)", verdict, "storage"):
        assert cell in text


def test_table_of_80_columns_has_two_lines_for_each_case() -> None:
    lines = results_lines([case(), case()], KV_CACHE.metrics, 80)
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:]] == ["1", "±0%", "1", "±0%"]
