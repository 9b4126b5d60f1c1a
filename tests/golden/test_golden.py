"""Results of every schema version are read alike, and the current version keeps its metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.gate.baseline import find_baselines
from mlpstorage_bench.gate.baseline_choice import parse_choice
from mlpstorage_bench.gate.rules import parse_rules
from mlpstorage_bench.gate.series import read_series
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter
from mlpstorage_bench.history.reading import read_document, read_metadata
from mlpstorage_bench.kvcache.benchmark import KV_CACHE
from mlpstorage_bench.paths import fingerprint
from mlpstorage_bench.report.run_report import build_report
from mlpstorage_bench.results.convert import convert_file
from mlpstorage_bench.results.record import SCHEMA_VERSION
from tests.past_runs import leave

GOLDEN = Path(__file__).parent
VERSIONS = range(1, SCHEMA_VERSION + 1)
RENAMED = (
    *("carried_in_operations", "cut_off_operations", "carried_in_requests", "cut_off_requests"),
    *("chunks_seen_late", "seen_late_share", "one_at_a_time", "bound", "carried_in", "cut_off"),
)


def golden(version: int, name: str) -> dict[str, Any]:
    path = GOLDEN / f"schema_{version}" / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results directory with a run of each schema version."""
    for version in VERSIONS:
        leave(tmp_path / str(version), f"v{version}", golden(version, "metadata"))
    return tmp_path


def metadata_file(results: Path, version: int) -> Path:
    return results / str(version) / f"v{version}_metadata.json"


def names_in(value: object) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(name for inner in value.values() for name in names_in(inner))}
    return (
        {name for inner in value for name in names_in(inner)} if isinstance(value, list) else set()
    )


def test_every_version_has_its_golden_files() -> None:
    for version in VERSIONS:
        assert golden(version, "metadata")["mlpstorage"]["schema_version"] == version
        assert golden(version, "pytest_benchmark")["mlpstorage"]["schema_version"] == version


def test_history_lists_runs_of_every_version_with_equal_columns(results: Path) -> None:
    with History(results) as history:
        runs = history.runs()
        assert [one.title for one in history.listed()] == [
            *("read GiB/s", "write GiB/s", "read p95 ms"),
        ]
        for run in runs:
            assert set(run.cases[0].listed) == {"read_gib_s", "write_gib_s", "read_p95_ms"}
        assert len(runs) == len(VERSIONS)
        assert history.problems == []


def test_trend_of_a_renamed_metric_has_runs_of_every_version(results: Path) -> None:
    with History(results) as history:
        run_ids = [run.run_id for run in history.runs()]
        for name in ("in_flight_at_close_requests", "late_completions"):
            assert set(history.values(run_ids, "1", name)) == set(run_ids)
        assert not set(RENAMED) & set(history.metrics())


def test_units_of_every_version_are_those_of_the_declarations(results: Path) -> None:
    declared = {metric.name: metric.unit.name for metric in KV_CACHE.metrics}
    with History(results) as history:
        for path in (metadata_file(results, version) for version in VERSIONS):
            for one in history.measured_in(path):
                name = one.metric.removesuffix("_min").removesuffix("_max")
                assert name == "trials" or one.unit == declared[name]


def test_gate_finds_every_metric_of_its_rules_in_runs_of_every_version(results: Path) -> None:
    lines = ["in_flight_at_close_requests: +50%", "late_completions: <= 5"]
    rules = parse_rules(KV_CACHE.metrics, [("test", line) for line in lines])
    for version in VERSIONS:
        case = read_series("test", metadata_file(results, version)).cases["1"]
        for metric in rules.of_case("1"):
            assert len(case.values(metric)) == 2


def test_runs_of_different_versions_are_comparable(results: Path) -> None:
    first, last = (read_series("test", metadata_file(results, version)) for version in (1, 2))
    assert last.differences(first, "1") == []


def test_runs_of_an_earlier_fingerprint_are_read_and_not_compared(results: Path) -> None:
    past = read_series("test", metadata_file(results, 2))
    case = past.cases["1"]
    parameters = golden(2, "metadata")["parameters"]["options"]["1"]
    parts = KV_CACHE.workload_parts(parameters, seed=42, ranks=1)
    now = replace(case, workload_fingerprint=fingerprint(parts), workload_parts=parts)
    today = replace(past, cases={"1": now})
    assert today.differences(past, "1") == [
        "workload.version: 2 here, 1 there (the same parameters load the storage differently)"
    ]
    with History(results) as history:
        baseline = find_baselines(today, parse_choice("last"), history)["1"]
    assert list(baseline.runs) == []


def test_case_is_the_same_after_its_test_was_renamed(results: Path) -> None:
    with History(results) as history:
        runs = history.runs(RunFilter(test="1"))
        tests = [run.cases[0].test or "" for run in runs]
        names = [test.partition("::")[2] for test in tests]
        assert names == ["test_option", "test_workload", "test_workload"]
        assert len(history.runs(RunFilter(test=tests[1]))) == 2, "a node ID is that of one test"
        candidate = read_series("test", metadata_file(results, 2))
        baseline = find_baselines(candidate, parse_choice("last"), history)["1"]
    assert [run.run_id for run in baseline.runs] == [runs[0].run_id]


def test_trend_of_a_case_has_runs_from_before_its_test_was_renamed(
    results: Path, pytester: pytest.Pytester
) -> None:
    trend = pytester.runpytest_subprocess(
        *(f"--mlps-results-dir={results}", "--mlps-history-trend=read_gib_s"),
        *("--mlps-history-test=1", "--mlps-history-format=json"),
    )
    assert [point["case"] for point in json.loads(trend.stdout.str())] == ["1"] * len(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_former_names_are_nowhere_after_reading(results: Path, version: int) -> None:
    content = read_document(metadata_file(results, version))
    assert not names_in(content) & set(RENAMED)
    moved = {"metrics", "kvcache_metrics", "status", "end_datetime", "request_stream_sha256"}
    assert moved & content.keys() == set()
    values = read_metadata(metadata_file(results, version)).values_by_case["1"]
    assert values["limited_by"] == "not calibrated"


@pytest.mark.parametrize("version", VERSIONS)
def test_document_of_every_version_converts_to_the_current_one(
    tmp_path: Path, version: int
) -> None:
    source = GOLDEN / f"schema_{version}" / "pytest_benchmark.json"
    (path,) = convert_file(source, tmp_path, registry.load)
    content = json.loads(path.read_text())
    assert content["mlpstorage"]["schema_version"] == SCHEMA_VERSION
    metrics = content["mlpstorage"]["metrics"]
    assert not names_in(metrics) & set(RENAMED)
    own: Any = read_document(GOLDEN / f"schema_{version}/metadata.json")["mlpstorage"]
    assert metrics == own["metrics"]
    for rank in path.parent.rglob("kvcache_results_*.json"):
        assert not names_in(json.loads(rank.read_text())) & set(RENAMED)


@pytest.mark.parametrize("version", VERSIONS)
def test_report_of_every_version_has_the_headlines(results: Path, version: int) -> None:
    report = build_report(read_metadata(metadata_file(results, version)))
    (table,) = next(block.sections for block in report.blocks if block.title == "Results")
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert {"req/s", "read GiB/s", "read p95 ms", "audit", "limited by"} <= set(row)
    assert row["audit"] == "not measurable"


def test_metrics_of_the_current_version_keep_name_and_unit() -> None:
    described = golden(SCHEMA_VERSION, "metadata")["mlpstorage"]["metric_descriptions"]
    declared = {metric.name: metric.unit.name for metric in KV_CACHE.metrics}
    changed = [name for name, one in described.items() if declared.get(name) != one["unit"]]
    assert changed == [], (
        "A metric that is renamed, removed, or has another unit needs a new schema version"
    )
