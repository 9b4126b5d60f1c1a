"""`pytest --mlps-history…` prints and exits without collection and conftests."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlpstorage_bench.commands.history import run
from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.history.archive import History
from mlpstorage_bench.history.filters import RunFilter, parse_since
from mlpstorage_bench.history.index_file import INDEX_NAME
from mlpstorage_bench.options.declared import OPTIONS, asks_for_command
from mlpstorage_bench.report.history_table import history_lines
from tests.past_runs import OURS, REFERENCES, leave, leave_run

SHOWN = ("0.0044", "0.0059", "0.00", "1.25")
HISTORY_ID = "20261101_1201"
"""First characters of the ID of run 1."""


@pytest.fixture
def results(pytester: pytest.Pytester) -> Path:
    """Three runs of this project, a minute apart, and an older one of the reference."""
    folder = pytester.mkdir("results")
    leave_run(folder, 1, own={"tags": ["nightly", "v1"]})
    leave_run(folder, 2, model="llama3.1-70b-instruct", status="failed", hosts=["h3"])
    leave_run(folder, 3, num_processes=1, own={"mode": "closed", "tags": ["nightly"]})
    leave(folder / "theirs", "training_20250111_160323", REFERENCES)
    return folder


def ask(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--mlps-results-dir=results", *options)


def listed(result: pytest.RunResult) -> list[str]:
    assert result.ret == 0
    return ids(result.outlines)


def ids(lines: list[str]) -> list[str]:
    return [line.split()[0][-4:] for line in lines if line[:1].isdigit()]


def answer_here(results: Path, *options: str) -> None:
    """Run the command in this process and return its output."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for option in OPTIONS:
        parser.add_argument(option.flag, dest=option.dest, **option.keywords)
    known = parser.parse_args(options)
    assert asks_for_command(known)
    run(known, results)


def test_table_has_a_line_for_each_run_without_cut_cells(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    result = ask(pytester, "--mlps-history")
    assert [line.split() for line in result.outlines if line[:1].isdigit()] == [
        [
            *("20250111_160323", "2025-01-11", "16:03:23", "training", "unet3d", "run"),
            *("closed", "8", "x", "1", "-", "-", "-", "-"),
        ],
        [
            *("20261101_120100-0001", "2026-11-01", "12:01:00", "kv_cache", "llama3.1-8b", "run"),
            *("open", "8", "x", "2", "passed", "1.50", "0.50", "12.3", "nightly", "v1"),
        ],
        [
            *("20261101_120200-0002", "2026-11-01", "12:02:00", "kv_cache"),
            *("llama3.1-70b-instruct", "run", "open", "8", "x", "1", "failed"),
            *("1.50", "0.50", "12.3"),
        ],
        [
            *("20261101_120300-0003", "2026-11-01", "12:03:00", "kv_cache", "llama3.1-8b", "run"),
            *("closed", "1", "x", "2", "passed", "1.50", "0.50", "12.3", "nightly"),
        ],
    ]
    header, rule = result.outlines[:2]
    assert header.split()[:4] == ["id", "time", "type", "model"]
    assert len(rule) >= max(map(len, result.outlines))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--mlps-history-last=2"], ["0002", "0003"]),
        (["--mlps-history-last", "2"], ["0002", "0003"]),
        (["--mlps-history-model=llama3.1-8b"], ["0001", "0003"]),
        (["--mlps-history-model=llama*"], ["0001", "0002", "0003"]),
        (["--mlps-history-mode=closed"], ["0323", "0003"]),
        (["--mlps-history-host=h3"], ["0002"]),
        (["--mlps-history-status=failed"], ["0002"]),
        (["--mlps-history-tag=nightly"], ["0001", "0003"]),
        (["--mlps-history-tag=nightly", "--mlps-history-last=1"], ["0003"]),
        (["--mlps-history-status=passed", "--mlps-history-last=1"], ["0003"]),
        (["--mlps-history-test=1"], ["0001", "0002", "0003"]),
        (
            ["--mlps-history-test=benchmarks/test_kvcache.py::test_workload[1]"],
            ["0001", "0002", "0003"],
        ),
        (["--mlps-history-test=*::test_work*"], ["0001", "0002", "0003"]),
        (["--mlps-history-test=2"], []),
        (["--mlps-history-since=2026-11-01"], ["0001", "0002", "0003"]),
        (["--mlps-history-since=2026-11-01T12:02:30+00:00"], ["0003"]),
    ],
)
def test_filter_alone_prints_the_list_and_filters_combine(
    results: Path, capsys: pytest.CaptureFixture[str], options: list[str], expected: list[str]
) -> None:
    answer_here(results, *options)
    printed = capsys.readouterr().out
    assert ids(printed.splitlines()) == expected
    assert expected or printed == f"No matching runs in {results}\n"


def test_filter_of_an_empty_directory_names_where_another_is_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_here(tmp_path, "--mlps-history-last=10")
    where = "--mlps-results-dir or MLPERF_RESULTS_DIR names another directory"
    assert capsys.readouterr().out == f"No runs in {tmp_path}: {where}\n"


def test_runs_are_filtered_by_fingerprints_and_branch(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    leave_run(tmp_path, 2, own={"system_fingerprint": "6" * 32})
    leave_run(tmp_path, 3, own={"commit_info": {"id": "c", "branch": "feature"}})
    leave_run(tmp_path, 4, own={"cases": {}})
    with History(tmp_path) as history:

        def numbers(wanted: RunFilter) -> list[str]:
            return [past.run_id[-1] for past in history.runs(wanted)]

        assert numbers(RunFilter(system_fingerprint="6" * 32)) == ["2"]
        assert numbers(RunFilter(branch="feature")) == ["3"]
        assert numbers(RunFilter(workload_fingerprint="7" * 32)) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", datetime(2026, 11, 17, 10, tzinfo=UTC)),
        ("24h", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("90m", datetime(2026, 11, 24, 8, 30, tzinfo=UTC)),
        ("2w", datetime(2026, 11, 10, 10, tzinfo=UTC)),
        ("2026-11-01T00:00:00+00:00", datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_since_accepts_a_date_or_an_age(text: str, expected: datetime) -> None:
    assert parse_since(text, datetime(2026, 11, 24, 10, tzinfo=UTC)) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-1d", "999999w", "2026-13-01"])
def test_since_refuses_other_text(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--mlps-history-since: got"):
        parse_since(text, datetime(2026, 11, 24, tzinfo=UTC))


def test_json_and_csv_have_equal_content(pytester: pytest.Pytester, results: Path) -> None:
    assert results.is_dir()
    as_json = json.loads(ask(pytester, "--mlps-history", "--mlps-history-format=json").stdout.str())
    text = ask(pytester, "--mlps-history", "--mlps-history-format=csv").stdout.str()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert as_json["problems"] == []
    assert [past["run_id"] for past in as_json["runs"]] == [row["run_id"] for row in rows]
    first, last = as_json["runs"][0], as_json["runs"][-1]
    assert (first["benchmark_type"], first["cases"]) == ("training", [])
    assert last["cases"][0]["read_gib_s"] == 1.5 == float(rows[-1]["read_gib_s"])
    assert (last["tags"], rows[1]["tags"]) == (["nightly"], "nightly v1")
    assert Path(last["path"]).is_file()


@pytest.mark.long
def test_page_of_a_run_has_every_section(pytester: pytest.Pytester, results: Path) -> None:
    leave_run(
        results,
        7,
        trials=(1.0, 3.0),
        executed_command="pytest benchmarks/",
        override_parameters={"duration": "5"},
        own={
            "verdicts": [{"case": "1", "metric": "read_gib_s", "verdict": "regressed"}],
            "tags": ["night"],
        },
        command_output_files=["kvcache_run_summary.json"],
    )
    result = ask(pytester, "--mlps-history=20261101_1207")
    assert result.ret == 0
    assert result.outlines[0] == "run 20261101_120700-0007: passed"
    result.stdout.fnmatch_lines(
        [
            " tags * night",
            " command line * pytest benchmarks/",
            " workload fingerprint of 1 *7777",
            " 1 *read_gib_s *GiB/s *2 *1 *3 *100.0% *2",
            " 1: read_gib_s *regressed*",
            " options.1.num_users *4",
            " duration *5",
            "Files in *20261101_120700",
            " kvcache_run_summary.json",
        ]
    )
    data = json.loads(
        ask(pytester, "--mlps-history=20261101_1207", "--mlps-history-format=json").stdout.str()
    )
    assert data["metadata"]["mlpstorage"]["run_id"] == "20261101_120700-0007"
    text = ask(pytester, "--mlps-history=20261101_1207", "--mlps-history-format=csv").stdout.str()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(r["value"]) for r in rows if r["metric"] == "read_gib_s"] == [2.0, 1.0, 3.0]
    assert len(data["measured"]) == len(rows)


@pytest.mark.long
def test_page_of_a_reference_run_has_metrics_and_parameters(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    result = ask(pytester, "--mlps-history=2025")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["run 20250111_160323: -", "*train_au_mean_percentage*97.5*"])
    result.stdout.fnmatch_lines(["*dataset.num_files_train*42"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("20261101_120", "3 begin so: 20261101_120100-0001, 20261101_120200-0002, 20261101_1203"),
        ("20261101_1209", "Near: 20261101_120300-0003, 20261101_120200-0002, 20261101_120100-0"),
        ("nonsense", "The newest: 20261101_120300-0003, 20261101_120200-0002"),
    ],
)
def test_unknown_or_ambiguous_id_is_refused_with_similar_ids(
    results: Path, given: str, message: str
) -> None:
    for option in ("--mlps-history", "--mlps-history-rerun"):
        with pytest.raises(InvalidInputError) as refusal:
            answer_here(results, f"{option}={given}")
        assert str(refusal.value).startswith(f"{option}: got '{given}'")
        assert message in str(refusal.value)


def test_page_of_a_run_whose_metadata_is_damaged_names_the_file_and_the_field(
    results: Path,
) -> None:
    path = leave_run(results, 4, own={"notes": 5})
    with pytest.raises(InvalidInputError) as refusal:
        answer_here(results, "--mlps-history=20261101_1204")
    assert f"{path}: no run's metadata: mlpstorage.notes: got 5; accepted: a valid list" in str(
        refusal.value
    )


@pytest.mark.long
def test_run_with_two_copies_is_shown_once_with_a_remark(
    pytester: pytest.Pytester, results: Path
) -> None:
    leave_run(results / "copy", 1, own={"tags": ["nightly", "v1"]})
    result = ask(pytester, f"--mlps-history={HISTORY_ID}")
    assert result.ret == 0
    result.stderr.fnmatch_lines(
        ["mlpstorage: 2 directories have a run with this id; this is */copy/*"]
    )


@pytest.mark.long
def test_path_of_tests_after_the_option_is_not_taken_for_an_id(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    pytester.mkdir("benchmarks")
    pytester.makepyfile("raise RuntimeError('a test file was imported')")
    for path in ("benchmarks/", "benchmarks"):
        assert len(listed(ask(pytester, "--mlps-history", path))) == 4
    assert listed(ask(pytester, "--mlps-history", "--mlps-history-last", "1", "benchmarks")) == [
        "0003"
    ]


def test_history_imports_neither_conftests_nor_tests(
    pytester: pytest.Pytester, results: Path
) -> None:
    assert results.is_dir()
    pytester.makeconftest("raise RuntimeError('conftest was imported')")
    pytester.makepyfile("raise RuntimeError('a test file was imported')")
    result = ask(pytester, "--mlps-history")
    assert result.ret == 0
    assert "was imported" not in result.stdout.str() + result.stderr.str()


@pytest.mark.long
def test_broken_file_is_named_on_standard_error(pytester: pytest.Pytester, results: Path) -> None:
    (results / "x_metadata.json").write_text("{")
    result = ask(pytester, "--mlps-history")
    assert len(listed(result)) == 4
    result.stderr.fnmatch_lines(["mlpstorage: skipped */x_metadata.json: It is no JSON*"])


def test_broken_index_is_rebuilt_with_a_remark_without_traceback(
    pytester: pytest.Pytester, results: Path
) -> None:
    (results / INDEX_NAME).write_text("broken " * 1000)
    result = ask(pytester, "--mlps-history")
    assert len(listed(result)) == 4
    assert "Traceback" not in result.stderr.str()
    result.stderr.fnmatch_lines(
        ["mlpstorage: the index */results/.mlps-history.sqlite was broken*"]
    )


@pytest.mark.long
def test_index_is_rebuilt_on_demand(pytester: pytest.Pytester, results: Path) -> None:
    assert len(listed(ask(pytester, "--mlps-history"))) == 4
    connection = sqlite3.connect(results / INDEX_NAME)
    connection.execute(
        """UPDATE runs SET facts = replace(facts, '"status":"passed"', '"status":"failed"')"""
    )
    connection.commit()
    connection.close()
    assert len(listed(ask(pytester, "--mlps-history-status=failed"))) == 3
    result = ask(pytester, "--mlps-history-rebuild")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["4 runs in the index of */results"])
    assert listed(ask(pytester, "--mlps-history-status=failed")) == ["0002"]


def test_empty_history_says_that_there_are_no_runs(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-history")
    assert result.ret == 0
    where = "--mlps-results-dir or MLPERF_RESULTS_DIR names another directory"
    result.stdout.fnmatch_lines([f"No runs in */mlps-results: {where}"])
    assert not (pytester.path / "mlps-results").exists()


def test_misspelt_option_or_value_is_refused(pytester: pytest.Pytester) -> None:
    for option, message in (
        ("--mlps-resutls-dir=x", "ERROR: unrecognized arguments: --mlps-resutls-dir=x. In mlps*"),
        ("--mlps-history-since=tomorrow", "*--mlps-history-since: got 'tomorrow'*"),
        ("--mlps-history-last=0", "*--mlps-history-last: got '0'; accepted: a whole number*"),
        ("--mlps-history-status=lost", "*--mlps-history-status: invalid choice: 'lost'*"),
    ):
        result = pytester.runpytest_subprocess("--mlps-history", option)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([message])


@pytest.mark.long
@pytest.mark.launches_mpi
def test_list_under_mpirun_is_printed_once(
    results: Path, run_ranks: Callable[..., pytest.RunResult]
) -> None:
    leave(results, "kv_cache_20261123_100000", OURS)
    result = run_ranks(3, "--mlps-history", "--mlps-results-dir=results")
    assert result.ret == 0
    assert result.stdout.str().count("20261123_100000") == 1


def test_latest_is_the_newest_run_that_measured(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    leave_run(tmp_path, 2, command="datasize")
    with History(tmp_path) as history:
        assert HISTORY_ID in history.find("--mlps-history", "latest").read_text()
    only = tmp_path / "only"
    leave_run(only, 3, command="datasize")
    with History(only) as history:
        assert "20261101_1203" in history.find("--mlps-history", "latest").read_text()


def test_columns_that_are_equal_are_named_once_where_a_table_is_too_wide(tmp_path: Path) -> None:
    leave_run(tmp_path, 1)
    leave_run(tmp_path, 2, model="llama3.1-70b-instruct")
    with History(tmp_path) as history:
        runs, columns = history.runs(), history.listed()
        wide = history_lines(runs, columns)
        assert history_lines(runs, columns, width=len(wide[1])) == wide
        above, header, rule, *rows = history_lines(runs, columns, width=80)
    assert above.startswith("all: type kv_cache, command run, mode open, ranks x hosts ")
    assert header.split()[:4] == ["id", "time", "model", "status"]
    assert len(rule) >= max(map(len, rows))
    assert "llama3.1-70b-instruct  passed" in rows[1]


def test_small_figures_have_two_digits_as_in_the_terminal(tmp_path: Path) -> None:
    for number, bandwidth in enumerate((0.0044, 0.0059, 0.0, 1.25), 1):
        leave_run(tmp_path, number, trials=(bandwidth,))
    with History(tmp_path) as history:
        _, _, *lines = history_lines(history.runs(), history.listed())
    assert [[text for text in line.split() if text in SHOWN] for line in lines] == [
        ["0.0044"],
        ["0.0059"],
        ["0.00"],
        ["1.25"],
    ]
