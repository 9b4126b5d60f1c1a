"""A metric with one declaration appears in all outputs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlpstorage_bench.metric.declaration import Measured
from mlpstorage_bench.metric.page import metrics_page

DECLARATION = '''
from mlpstorage_bench.kvcache.results.trial_ranks import RANKS
from mlpstorage_bench.metric.declaration import Measured, Metric, Shown
from mlpstorage_bench.metric.rules import MEAN_WITH_SPREAD
from mlpstorage_bench.units import PER_S


class Chunks(Measured):
    """Chunks."""

    chunks_per_s = Metric(
        "Rate of chunks to and from storage.",
        PER_S,
        RANKS.total(lambda rank: sum(one.chunks for one in rank.stored) / rank.window_s),
        MEAN_WITH_SPREAD,
        title="chunks/s",
        better="higher",
        gate="-10%",
        shown=Shown.LISTS,
        aliases=("chunk_rate",),
        legend="chunks/s: of any size",
    )
'''
CONFTEST = f"""
{DECLARATION}
from mlpstorage_bench.kvcache.results.metrics import declared

declared.TABLE.groups += (Chunks,)
"""
OPTIONS = (
    *("--mlps-set=storage=null", "--mlps-set=duration=2", "--mlps-set=write_limit_gb=20"),
    "--mlps-set=think_time_scale=0.5",
    *("--mlps-set=entry_scale=0.001", "--mlps-trials=2", "--mlps-results-dir=results"),
    *("--mlps-cache-dir=cache", "-p", "no:cacheprovider"),
)


def test_metric_declared_once_appears_in_page() -> None:
    scope: dict[str, Any] = {}
    exec(DECLARATION, scope)  # noqa: S102 - the declaration above
    group: type[Measured] = scope["Chunks"]
    page = metrics_page([group])
    assert page.startswith("## Chunks\n")
    assert "| `chunks_per_s` (or `chunk_rate`) | 1/s | Rate of chunks" in page


@pytest.mark.long
def test_metric_declared_once_appears_in_results_table_gate_report_and_history(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        def test_run(kvcache, benchmark):
            result = kvcache.run(1)
            rates = [trial.values["chunks_per_s"] for trial in result.trials]
            assert benchmark.extra_info["chunks_per_s"] == sum(rates) / 2 > 0
            assert benchmark.extra_info["chunks_per_s_max"] == max(rates)
        """
    )
    rule = "--mlps-gate-rule=1/chunk_rate: >= 1e9 /s"
    refused = pytester.runpytest_subprocess(*OPTIONS, rule)
    refused.stderr.fnmatch_lines(["*got '1/chunk_rate: >= 1e9 /s'; accepted: 1/s, the unit of*"])

    rules = ["--mlps-gate-rule=chunk_rate: >= 1e9 1/s", "--mlps-report=report.md"]
    judged = pytester.runpytest_subprocess(*OPTIONS, *rules)
    assert judged.ret != 0
    judged.stdout.re_match_lines([r".*chunks/s.*", r"Mean .*; chunks/s: of any size\."])
    judged.stdout.fnmatch_lines(["regressed: 1, chunks_per_s: * misses the limit ≥ 1e+09 1/s"])

    (path,) = (pytester.path / "results").rglob("*_metadata.json")
    metadata = json.loads(path.read_text())
    own = metadata["mlpstorage"]
    assert own["metric_descriptions"]["chunks_per_s"]["title"] == "chunks/s"
    mean = metadata["mlpstorage"]["metrics"]["1"]["chunks_per_s"]
    assert mean > 0
    assert [trial["metrics"]["chunks_per_s"] > 0 for trial in own["cases"]["1"]["trials"]] == [
        True,
        True,
    ]
    report = (pytester.path / "report.md").read_text()
    assert "| chunks/s |" in report
    assert f"| {mean:.1f} ±" in report

    def history(*options: str) -> pytest.RunResult:
        return pytester.runpytest_subprocess("--mlps-results-dir=results", *options)

    history("--mlps-history").stdout.fnmatch_lines(["*read p95 ms *chunks/s*", f"*{mean:.1f}*"])
    history("--mlps-history=20").stdout.fnmatch_lines(["*chunks_per_s *1/s *"])
    trend = history("--mlps-history-trend=chunks_per_s")
    trend.stdout.fnmatch_lines(["case 1: chunks_per_s, 1/s: 1 run*"])
