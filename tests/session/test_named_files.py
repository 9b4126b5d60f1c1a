"""Files that options name: inputs and foreign files are never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlpstorage_bench.report.gate_report import is_own_gate_report
from mlpstorage_bench.report.render import is_own_report
from tests.conftest import RunRanks
from tests.session.tiny import LONG, TINY, metadata_of
from tests.variants import first_of

HEADER = "Timestamp,Operation,Object_Size_Bytes,Tier,Key,Phase\n"
OPERATIONS = HEADER + "".join(
    f"0.0{number},{operation},8192,storage,k{number // 2},Prefill\n"
    for number, operation in enumerate(("Write", "Read") * 4)
)
ONE_TRIAL = (*TINY, "--mlps-trials=1")
USAGE = pytest.ExitCode.USAGE_ERROR
TESTS_MARK = "import pathlib\npathlib.Path('has_run').touch()\n"


@pytest.fixture
def here(pytester: pytest.Pytester) -> Path:
    """A directory with a test file that writes a marker file on collection."""
    pytester.makepyfile(f"{TESTS_MARK}def test_run(kvcache): kvcache.run(1)")
    return pytester.path


def refuse(pytester: pytest.Pytester, *arguments: str, message: str) -> None:
    result = pytester.runpytest_subprocess(*ONE_TRIAL, *arguments)
    assert result.ret == USAGE
    result.stderr.re_match_lines([rf"ERROR: .*{message}"])
    assert not (pytester.path / "has_run").exists()
    assert not (pytester.path / "results").exists()


@pytest.mark.parametrize("decimals", first_of(3, 9))
@pytest.mark.parametrize("way", first_of("link", "itself"))
def test_trace_out_that_is_trace_in_is_refused_before_collection(
    pytester: pytest.Pytester, here: Path, way: str, decimals: int
) -> None:
    recorded = here / "in.csv"
    recorded.write_text(OPERATIONS.replace(",", "0" * (decimals - 2) + ",", 1))
    out = here / ("in.csv" if way == "itself" else "out.csv")
    if way == "link":
        out.hardlink_to(recorded)
    before = recorded.read_text()
    refuse(
        pytester,
        *(f"--mlps-set=trace_in={recorded}", f"--mlps-set=trace_out={out}"),
        message=rf"trace_out: got '{out}'.*It is the file of trace_in \({recorded}\)",
    )
    assert recorded.read_text() == before


@pytest.mark.parametrize("option", ["--junitxml", "--benchmark-json", "--log-file"])
def test_pytest_s_own_output_that_is_an_input_is_refused_before_collection(
    pytester: pytest.Pytester, here: Path, option: str
) -> None:
    recorded = here / "in.csv"
    recorded.write_text(OPERATIONS)
    refuse(
        pytester,
        *(f"--mlps-set=trace_in={recorded}", f"{option}=in.csv"),
        message=rf"{option}: got 'in.csv'.*It is the file of trace_in \({recorded}\)",
    )
    assert recorded.read_text() == OPERATIONS


def test_export_that_is_an_input_is_refused_before_collection(
    pytester: pytest.Pytester, here: Path
) -> None:
    recorded = here / "in.csv"
    recorded.write_text(OPERATIONS)
    refuse(
        pytester,
        *(f"--mlps-set=trace_in={recorded}", "--mlps-export=csv:in.csv"),
        message=rf"--mlps-export: got '{recorded}'.*It is the file of trace_in",
    )
    assert recorded.read_text() == OPERATIONS


def test_report_that_is_pytest_s_own_output_is_refused(
    pytester: pytest.Pytester, here: Path
) -> None:
    refuse(
        pytester,
        *("--mlps-report=a.md", "--junitxml=a.md"),
        message=f"--mlps-report: got '{here / 'a.md'}'.*--junitxml writes the same file",
    )


def test_trace_of_one_trial_that_is_trace_in_is_refused(
    pytester: pytest.Pytester, here: Path
) -> None:
    recorded = here / "t.workload_1.trial_2.csv"
    recorded.write_text(HEADER + "0.000000000,Write,8192,storage,k0,Prefill\n")
    before = recorded.read_text()
    refuse(
        pytester,
        *(f"--mlps-set=trace_in={recorded}", "--mlps-set=trace_out=t.csv", "--mlps-trials=2"),
        message="trace_out: got 't.workload_1.trial_2.csv'.*It is the file of trace_in",
    )
    assert recorded.read_text() == before


def test_equal_trace_out_and_trace_in_in_a_test_fail_it(pytester: pytest.Pytester) -> None:
    recorded = pytester.path / "t.workload_1.csv"
    recorded.write_text(HEADER + "0.000000000,Write,8192,storage,k0,Prefill\n")
    before = recorded.read_text()
    pytester.makepyfile(
        f"def test_run(kvcache): kvcache.run(1, trace_out='t.csv', trace_in={str(recorded)!r})"
    )
    result = pytester.runpytest(*ONE_TRIAL)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*trace_out: got 't.workload_1.csv'*the file of trace_in*"])
    assert recorded.read_text() == before


@pytest.mark.long
def test_foreign_output_file_is_refused_before_collection(
    pytester: pytest.Pytester, here: Path
) -> None:
    theirs = {name: here / name for name in ("a.csv", "a.csv.zst", "a.md", "a.html", "a.json")}
    for path in theirs.values():
        path.write_text(OPERATIONS)
    (here / "p.yaml").write_text("name: p")
    for option, path in (
        ("--mlps-set=trace_out=", theirs["a.csv"]),
        ("--mlps-set=trace_out=", theirs["a.csv.zst"]),
        (
            "--mlps-set=trace_out=",
            next(here.glob("test_*.py")),
        ),
        ("--mlps-report=", theirs["a.md"]),
        ("--mlps-report=", theirs["a.html"]),
        ("--mlps-gate-report=", theirs["a.md"]),
        ("--mlps-gate-report=", theirs["a.json"]),
    ):
        name = option.removeprefix("--mlps-set=").strip("=")
        refuse(pytester, f"{option}{path}", message=rf"{name}: got '{path}'.*no run of mlpstorage_")
    assert all(path.read_text() == OPERATIONS for path in theirs.values())


@pytest.mark.long
def test_output_that_another_option_reads_or_writes_is_refused_with_both_names(
    pytester: pytest.Pytester, here: Path
) -> None:
    for name in ("hosts.csv", "baseline.json"):
        (here / name).write_text("localhost")
    (here / "p.yaml").write_text(
        "name: p\nmodel: tiny-1b\nworkloads: {1: {num_users: 2, duration: 1}}\n"
    )
    for read, written, names in (
        ("--mlps-profile=p.yaml", "--mlps-set=trace_out=p.yaml", ("trace_out", "--mlps-profile")),
        (
            "--mlps-hosts=@hosts.csv",
            "--mlps-set=trace_out=hosts.csv",
            ("trace_out", "--mlps-hosts"),
        ),
        (
            "--mlps-baseline=file:baseline.json",
            "--mlps-gate-report=baseline.json",
            ("--mlps-gate-report", "--mlps-baseline"),
        ),
        (
            "--mlps-report=r.md",
            "--mlps-gate-report=r.md",
            ("--mlps-gate-report", "--mlps-report"),
        ),
    ):
        message = rf"{names[0]}: got .*{names[1]} "
        alone = () if "hosts" not in read else ("--mlps-exec-type=local",)
        refuse(pytester, read, written, *alone, message=message)


@pytest.mark.long
def test_outputs_of_an_earlier_run_are_overwritten(pytester: pytest.Pytester, here: Path) -> None:
    outputs = (
        *("--mlps-set=trace_out=t.csv", "--mlps-report=r.md", "--mlps-report=r.html"),
        *("--mlps-gate-report=g.md", "--mlps-gate-report=g.json", "--mlps-gate-no-baseline=pass"),
    )
    for number in (1, 2):
        results = f"--mlps-results-dir=results{number}"
        result = pytester.runpytest_subprocess(*ONE_TRIAL, *outputs, results)
        result.assert_outcomes(passed=1)
        assert result.ret == 0
        lines = (here / "t.workload_1.csv").read_text().splitlines(keepends=True)
        assert lines[0] == HEADER
        assert HEADER not in lines[1:]
        assert all(is_own_report(here / name) for name in ("r.md", "r.html"))
        assert all(is_own_gate_report(here / name) for name in ("g.md", "g.json"))
        assert json.loads((here / "g.json").read_text())["written_by"] == "mlpstorage_bench"


@pytest.mark.long
def test_trace_out_that_is_trace_in_is_refused_on_all_ranks(
    here: Path, run_ranks: RunRanks
) -> None:
    recorded = here / "t.workload_1.rank_1.csv"
    recorded.write_text(HEADER + "0.000000000,Write,8192,storage,k0,Prefill\n")
    before = recorded.read_text()
    result = run_ranks(
        2, *ONE_TRIAL, f"--mlps-set=trace_in={recorded}", "--mlps-set=trace_out=t.csv"
    )
    assert result.ret == USAGE
    result.stderr.re_match_lines([r".*trace_out: got .*It is the file of trace_in"])
    assert not (here / "has_run").exists()
    assert recorded.read_text() == before


@pytest.mark.long
def test_verdicts_on_an_earlier_run_are_not_written_to_its_metadata(
    pytester: pytest.Pytester, here: Path
) -> None:
    pytester.runpytest(*ONE_TRIAL).assert_outcomes(passed=1)
    run_id = metadata_of(pytester)["mlpstorage"]["run_id"]
    (path,) = (here / "results").rglob("*_metadata.json")
    before = path.read_text()
    result = pytester.runpytest_subprocess(
        "--mlps-results-dir=results", f"--mlps-gate={run_id}", f"--mlps-gate-report={path}"
    )
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*--mlps-gate-report: got*the file of --mlps-gate (*"])
    assert path.read_text() == before


@pytest.mark.parametrize("layout", first_of("entry", "block", "slab"))
def test_keys_of_a_trace_name_no_file_outside_the_cache_directory(
    pytester: pytest.Pytester, here: Path, layout: str
) -> None:
    precious = here / "precious.kv"
    precious.write_text("years of work")
    keys = (
        *(f"{here}/precious", "../precious", "../../precious", "../../../precious"),
        *("a/b", "k" * 300, "ключ", ".", "..", "a\0b"),
    )
    operations = [(what, key) for key in keys for what in ("Write", "Read", "Write")]
    rows = (
        f"{number / 1000},{what},8192,storage,{key},Prefill\n"
        for number, (what, key) in enumerate(operations)
    )
    (here / "in.csv").write_text(HEADER + "".join(rows))
    before = {path for path in here.rglob("*") if path.suffix == ".kv"}
    (here / "cache").mkdir()
    settings = ("trace_in=in.csv", f"layout={layout}", "storage_capacity_gb=0.1")
    result = pytester.runpytest(
        *(*LONG, "--mlps-trials=1"),
        *(f"--mlps-set={one}" for one in settings),
        "--mlps-cache-dir=cache/x",
    )
    result.assert_outcomes(passed=1)
    assert precious.read_text() == "years of work"
    assert {path for path in here.rglob("*") if path.suffix == ".kv"} == before
    assert metadata_of(pytester)["mlpstorage"]["metrics"]["1"]["requests"] == len(operations)
