from __future__ import annotations

import pytest

from mlpstorage_bench.benchmark_type.figures import CaseFigures
from mlpstorage_bench.kvcache.config.slo import Slo
from mlpstorage_bench.metric.declaration import Description, Shown
from mlpstorage_bench.report.sweep_charts import sweep_charts, sweeps_of
from mlpstorage_bench.results.run_metadata import NoMetadataError, metadata_of
from mlpstorage_bench.units import GIB_PER_S, MILLISECONDS, SHARE
from tests.export.exported import OBJECTIVES
from tests.past_runs import run

DESCRIBED = {
    one.name: one
    for one in (
        Description("bandwidth", "read GiB/s", GIB_PER_S, shown=Shown.HEADLINE),
        Description("latency", "p95 ms", MILLISECONDS, shown=Shown.LISTS),
        Description("detail", "detail ms", MILLISECONDS),
        Description("hits", "hits", SHARE, shown=Shown.HEADLINE),
    )
}


def figures(**users: int) -> dict[str, CaseFigures]:
    return {
        name: CaseFigures(name, parameters={"title": name, "users": count, "model": "m"})
        for name, count in users.items()
    }


def test_cases_that_differ_in_one_number_alone_are_a_sweep_in_its_order() -> None:
    (sweep,) = sweeps_of(figures(c=16, a=1, b=4))
    assert sweep.parameter == "users"
    assert sweep.cases == [(1, "a"), (4, "b"), (16, "c")]


def test_two_cases_or_another_difference_make_no_sweep() -> None:
    assert sweeps_of(figures(a=1, b=2)) == []
    other = CaseFigures("c", parameters={"title": "c", "users": 3, "model": "n"})
    assert sweeps_of({**figures(a=1, b=2), "c": other}) == []
    assert sweeps_of({"a": CaseFigures("a")}) == []


def test_headline_figures_are_drawn_over_the_parameter() -> None:
    (sweep,) = sweeps_of(figures(a=1, b=4, c=16))
    values = {
        name: {"bandwidth": 2.0, "latency": 5.0, "detail": 1.0, "hits": 1.0} for name in "abc"
    }
    bandwidth, latency = sweep_charts(sweep, values, DESCRIBED)
    assert bandwidth.title == "Bandwidth against users"
    assert latency.table.header == ("users", "p95 ms")
    assert latency.table.rows == (("1", "5.0"), ("4", "5.0"), ("16", "5.0"))


def test_cases_that_failed_leave_too_few_points() -> None:
    (sweep,) = sweeps_of(figures(a=1, b=4, c=16))
    assert list(sweep_charts(sweep, {"a": {"latency": 1.0}, "b": {}}, DESCRIBED)) == []


def test_numbers_of_files_that_no_measurement_has_are_not_drawn() -> None:
    assert sweeps_of(figures(a=1, b=10**80, c=3)) == []
    (sweep,) = sweeps_of(figures(a=1, b=4, c=16, d=64))
    extremes = {"a": 1e308, "b": 5e-324, "c": 10**400, "d": 2.0}
    values = {name: {"latency": value} for name, value in extremes.items()}
    (latency,) = sweep_charts(sweep, values, DESCRIBED)
    assert latency.summary == "users 1 to 64; p95 ms: 2 to 2"
    assert latency.table.rows[2] == ("16", MILLISECONDS.text(10**400))


@pytest.mark.parametrize(
    "change", [{"samples": 10**400}, {"limit_ms": float("nan")}, {"seen_ms": 1e308}]
)
def test_objective_with_such_a_number_is_no_metadata(change: dict[str, float]) -> None:
    content = run(1)
    content["mlpstorage"]["cases"]["1"]["objectives"] = [{**OBJECTIVES[0], **change}]
    with pytest.raises(NoMetadataError, match="objectives"):
        metadata_of(content)


def test_least_limit_that_the_profile_accepts_is_metadata() -> None:
    (limit_ms,) = Slo(p95_ms=5e-324).limits.values()
    content = run(1)
    content["mlpstorage"]["cases"]["1"]["objectives"] = [{**OBJECTIVES[0], "limit_ms": limit_ms}]
    assert metadata_of(content).cases["1"].objectives[0].limit_ms == limit_ms
