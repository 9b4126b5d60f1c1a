"""Results of a session of one process: metadata, metrics, cases, reports and traces."""

from __future__ import annotations

import json
import re

import pytest

from mlpstorage_bench.measure.device import BlockDevice
from mlpstorage_bench.storage.direct_io import probe_direct_io
from tests.session.tiny import TINY, metadata_of
from tests.variants import first_of


def test_result_has_units_and_its_metrics_go_to_extra_info(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_run(kvcache, benchmark):
            result = kvcache.run("1", num_users=4)
            assert len(result.trials) == 2
            assert result.read_gib_s > 0 < result.write_gib_s
            assert result.latencies.read_p95_ms >= result.latencies.read_p50_ms > 0
            seconds = sum(trial.window_s for trial in result.trials)
            assert result.read_bytes <= result.read_gib_s * 2**30 * seconds * 1.5
            info = benchmark.extra_info
            assert info["read_gib_s"] == result.read_gib_s
            assert info["read_gib_s_min"] <= info["read_gib_s"] <= info["read_gib_s_max"]
            times = [trial.window_s / trial.requests for trial in result.trials]
            assert benchmark.stats.stats.data == pytest.approx(times)
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    case = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    assert case["trials"] == 2


@pytest.mark.parametrize("layout", first_of("entry", "block", "slab"))
def test_limit_and_audit_are_in_the_metrics(pytester: pytest.Pytester, layout: str) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    settings = ["tokens_per_block=16", f"layout={layout}"]
    settings += ["calibration=0.3"]  # in less, a busy host completes no operation
    options = [f"--mlps-set={setting}" for setting in settings]
    result = pytester.runpytest(*TINY, *options, "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    metrics = metadata_of(pytester)["mlpstorage"]["metrics"]["1"]
    assert metrics["verified_reads"] > 0
    assert metrics["corrupt_reads"] == 0
    assert metrics["limited_by"] in ("storage", "harness", "load")
    assert metrics["ceiling_ratio"] > 0
    assert metrics["peak_rss_bytes"] > 0
    assert metrics["cpu_s_per_gib"] > 0
    assert metrics["in_flight_at_close_operations"] >= 0
    place = pytester.path
    is_measured = probe_direct_io(place).is_available and BlockDevice.under(place) is not None
    measured = ("ok", "foreign traffic")
    for audit in ("audit_verdict", "host_audit_verdict"):
        assert metrics[audit] in (measured if is_measured else ("not measurable", *measured))
    assert not (pytester.path / "cache").exists()


def test_recorded_values_are_in_the_metadata(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from mlpstorage_bench.errors import InvalidInputError

        def test_records(mlps_run):
            mlps_run.record("replay_gib_s", 1.5)
            assert mlps_run.directory.is_dir()
            assert mlps_run.metadata["mlpstorage"]["status"] == "running"
            assert mlps_run.metadata["mlpstorage"]["metrics"] == {"recorded": {"replay_gib_s": 1.5}}
            with pytest.raises(InvalidInputError, match="mlps_run.record: got '../x'"):
                mlps_run.record("../x", 1)
            with pytest.raises(InvalidInputError, match="that JSON can hold"):
                mlps_run.record("x", float("nan"))
        """
    )
    pytester.runpytest("--mlps-results-dir=results").assert_outcomes(passed=1)
    assert metadata_of(pytester)["mlpstorage"]["metrics"]["recorded"] == {"replay_gib_s": 1.5}


def test_recorded_values_have_units_and_directions(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from mlpstorage_bench.errors import InvalidInputError

        def test_records(mlps_run):
            mlps_run.record("replay_gib_s", 1.5, unit="GiB/s", better="higher")
            mlps_run.record("restores", 3)
            mlps_run.record("read_gib_s", 2.0)
            with pytest.raises(InvalidInputError, match="better: got 'more'; accepted: higher, lo"):
                mlps_run.record("x", 1, better="more")
            with pytest.raises(InvalidInputError, match="read_gib_s: unit: got 'MB/s'"):
                mlps_run.record("read_gib_s", 1, unit="MB/s")
            with pytest.raises(InvalidInputError, match="x: unit: got 8; accepted: a text such"):
                mlps_run.record("x", 1, unit=8)
        """
    )
    pytester.runpytest("--mlps-results-dir=results").assert_outcomes(passed=1)
    described = metadata_of(pytester)["mlpstorage"]["metric_descriptions"]
    assert described["replay_gib_s"] == {"unit": "GiB/s", "better": "higher"}
    assert described["restores"] == {"unit": ""}
    assert described["read_gib_s"]["title"] == "read GiB/s"
    asked = ("--mlps-history-trend=replay_gib_s", "--mlps-results-dir=results")
    trend = pytester.runpytest_subprocess(*asked)
    trend.stdout.fnmatch_lines(["case recorded: replay_gib_s, GiB/s: 1 run, the last 1.5 *"])


@pytest.mark.long
def test_workload_in_two_tests_makes_two_cases(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_few(kvcache): kvcache.run(1, num_users=2)
        def test_many(kvcache): kvcache.run(1, num_users=6)
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=2)
    metadata = metadata_of(pytester)
    assert list(metadata["mlpstorage"]["metrics"]) == ["1", "1-test_many"]


@pytest.mark.long
def test_pytest_benchmarks_own_json_can_be_converted_offline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    pytester.runpytest(*TINY, "--benchmark-json=own.json").assert_outcomes(passed=1)
    first = metadata_of(pytester)
    result = pytester.runpytest_subprocess("--mlps-convert=own.json", "--mlps-results-dir=again")
    assert result.ret == 0
    (path,) = (pytester.path / "again").rglob("*_metadata.json")
    second = json.loads(path.read_text())
    assert second["mlpstorage"]["metrics"] == first["mlpstorage"]["metrics"]
    assert second["mlpstorage"]["status"] == "passed"
    assert result.outlines[-1] == str(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        pytest.param("{", "It is no JSON: EOF while parsing an object", marks=pytest.mark.long),
        pytest.param("[1]", "It is not an object", marks=pytest.mark.long),
        pytest.param('{"benchmarks": []}', "It has no 'mlpstorage' record", marks=pytest.mark.long),
        ('{"benchmarks": [], "mlpstorage": {"run_id": "x"}}', "Field required"),
    ],
)
def test_unusable_file_for_conversion_is_a_usage_error(
    pytester: pytest.Pytester, content: str | None, message: str
) -> None:
    if content is not None:
        (pytester.path / "x.json").write_text(content)
    result = pytester.runpytest_subprocess("--mlps-convert=x.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --mlps-convert: got 'x.json'*{message}*"])


def test_reports_are_written_in_the_format_of_their_names(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-report=r.md", "--mlps-report=r.html")
    result.stdout.fnmatch_lines(["report: *r.md", "report: *r.html"])
    run_id = metadata_of(pytester)["mlpstorage"]["run_id"]
    markdown, page = ((pytester.path / name).read_text() for name in ("r.md", "r.html"))
    assert f"# kv_cache run {run_id}" in markdown
    assert "**Passed**: 1 test passed." in markdown
    assert f"<h1>kv_cache run {run_id}</h1>" in page
    assert {"Latency on storage", "Bandwidth over time", "Time of an entry"} <= {
        *re.findall("<h3>(.*?)</h3>", page)
    }
    assert "not drawn" not in page


@pytest.mark.long
def test_each_trial_has_a_trace_that_converts_to_an_fio_job(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest(*TINY, "--mlps-trials=2", "--mlps-set=trace_out=t.csv.zst")
    result.assert_outcomes(passed=1)
    names = sorted(path.name for path in pytester.path.glob("t.*"))
    assert names == ["t.workload_1.trial_1.csv.zst", "t.workload_1.trial_2.csv.zst"]
    printed = pytester.runpytest_subprocess(f"--mlps-fio-job={names[0]}")
    assert printed.ret == 0
    printed.stdout.fnmatch_lines(["; made from t.workload_1.trial_1.csv.zst", "rw=randrw:*"])
    refused = pytester.runpytest_subprocess("--mlps-fio-job=nowhere.csv")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*accepted: a trace of operations*No such file or directory*"])


def test_disabled_benchmarks_run_each_case_once_and_record_it(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    pytester.runpytest(*TINY, "--benchmark-disable").assert_outcomes(passed=1)
    assert metadata_of(pytester)["mlpstorage"]["metrics"]["1"]["trials"] == 1


def test_command_is_printed_before_the_first_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(mlps_run): pass")
    result = pytester.runpytest_subprocess("--mlps-results-dir=results")
    result.stdout.fnmatch_lines(["mlpstorage: command: pytest *", "*1 passed*"])


def test_extra_info_that_json_cannot_hold_loses_no_results(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib

        def test_run(kvcache, benchmark):
            kvcache.run(1)
            benchmark.extra_info["where"] = pathlib.Path("/x")
            benchmark.extra_info["ratio"] = float("nan")
        """
    )
    pytester.runpytest(*TINY).assert_outcomes(passed=1)
    document = json.loads(next(pytester.path.rglob("pytest_benchmark_*.json")).read_text())
    info = document["benchmarks"][0]["extra_info"]
    assert (info["where"], info["ratio"]) == ("UNSERIALIZABLE[PosixPath('/x')]", None)


@pytest.mark.parametrize("error", first_of("OSError('lost')", "TypeError('a bug')"))
def test_run_whose_files_cannot_be_written_has_failed(
    pytester: pytest.Pytester, error: str
) -> None:
    pytester.makepyfile(
        f"""
        from mlpstorage_bench.results import convert

        write = convert.write_json

        def fail(path, content):
            if path.name == "summary.json":
                raise {error}
            return write(path, content)

        def test_run(kvcache):
            kvcache.run(1)
            convert.write_json = fail
        """
    )
    result = pytester.runpytest_subprocess(*TINY, "--mlps-trials=1", "--mlps-set=storage=null")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["run *, failed: *"])
    result.stdout.fnmatch_lines(["*ERROR: *"])
    own = metadata_of(pytester)["mlpstorage"]
    assert (own["status"], own["exit_status"]) == ("failed", 1)
    assert "its results could not be written" in own["notes"][-1]
    assert [case["test"] for case in own["cases"].values()]


def test_results_are_plain_where_the_terminal_has_ascii_alone(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest_subprocess(*TINY, "--mlps-set=storage=null")
    assert result.ret == 0
    shown = result.stdout.str()
    assert "\\u" not in shown
    assert "\\x" not in shown
    result.stdout.fnmatch_lines(["-----*", "Mean +- half the range over trials; *"])
