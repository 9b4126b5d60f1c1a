"""The command --mlps-compare: its output, reports and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.past_runs import leave_run
from tests.validation.trees import KV_TIME, Submission

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(pytester: pytest.Pytester) -> tuple[str, str]:
    submission = Submission(pytester.path / "results")
    submission.write()
    ours = leave_run(submission.top, 1)
    return str(ours), str(submission.kv_leaf.relative_to(pytester.path))


def compare(pytester: pytest.Pytester, *given: str) -> pytest.RunResult:
    options = [one if one.startswith("--") else f"--mlps-compare={one}" for one in given]
    return pytester.runpytest_subprocess("--mlps-results-dir=results", *options)


def test_unlike_conditions_stand_above_the_figures(
    pytester: pytest.Pytester, runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = compare(pytester, *runs)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "A  *kv_cache llama3.1-8b run*",
            f"B  {KV_TIME}: closed *",
            "unlike: program: mlpstorage_bench (A); the reference (B)",
            "unlike: bytes that count: what ended inside the window (A); also requests*",
            "case  figure * A * B",
            "1     read GiB/s * ≠ *1.50*",
            "≠: these figures are not defined alike*",
        ]
    )
    assert max(map(len, result.stdout.lines)) <= 80
    result.stdout.no_fnmatch_line("*%*worse*")


@pytest.mark.long
def test_many_runs_are_shown_in_parts_that_fit(
    pytester: pytest.Pytester, runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = compare(pytester, *(runs[1],) * 6)
    assert result.ret == 0
    assert max(map(len, result.stdout.lines)) <= 60
    headers = [line for line in result.stdout.lines if line.startswith("case  figure")]
    assert len(headers) > 1
    assert "nothing that is recorded makes them unlike" in result.stdout.lines


@pytest.mark.long
def test_reports_have_everything(pytester: pytest.Pytester, runs: tuple[str, str]) -> None:
    reports = ("--mlps-compare-report=c.json", "--mlps-compare-report=c.md")
    assert compare(pytester, *runs, *reports).ret == 0
    content = json.loads(Path("c.json").read_text())
    assert [one["letter"] for one in content["runs"]] == ["A", "B"]
    assert "program" in {one["condition"] for one in content["unlike"]}
    (read,) = (
        one for one in content["figures"] if (one["case"], one["figure"]) == ("1", "read GiB/s")
    )
    assert read["values"]["A"] == 1.5
    assert not read["is_defined_alike"]
    page = Path("c.md").read_text()
    assert "> unlike: program:" in page
    assert page.index("unlike: program") < page.index("## Figures")
    assert compare(pytester, *runs, *reports).ret == 0  # they may be written again


def test_hostile_text_does_nothing(pytester: pytest.Pytester, runs: tuple[str, str]) -> None:
    table = "system,opt1_read_GiBps,note\n\x1b[31mred,1,<b>red</b>\x07\n"
    pytester.path.joinpath("t.csv").write_text(table)
    result = compare(pytester, runs[1], "t.csv#\x1b[31mred", "--mlps-compare-report=c.md")
    assert result.ret == 0
    assert "\x1b" not in result.stdout.str()
    assert "<b>" not in Path("c.md").read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            ["2020"],
            "*--mlps-compare: got '2020'; accepted: two or more runs. Give*",
            marks=pytest.mark.long,
        ),
        (["2020", "2021"], "*--mlps-compare: got '2020'; accepted: the id of a run*"),
        (["--mlps-compare-report=c.json"], "*accepted: two or more runs*"),
        pytest.param(
            ["1", "2", "--mlps-compare-report=c.txt"],
            "*a file name in .json or .md*",
            marks=pytest.mark.long,
        ),
        pytest.param(
            ["1", "2", "--mlps-compare-report=no/c.md"],
            "*a file in a directory that exists*",
            marks=pytest.mark.long,
        ),
    ],
)
def test_other_requests_end_with_4(
    pytester: pytest.Pytester, given: list[str], message: str
) -> None:
    result = compare(pytester, *given)
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])
