"""The command --mlps-validate: its output, reports and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mlpstorage_bench.validation.rule import Verdict
from tests.validation.trees import Submission

pytestmark = pytest.mark.slow


@pytest.fixture
def tree(pytester: pytest.Pytester) -> Path:
    return Submission(pytester.path / "tree").write()


def test_tree_that_keeps_the_rules_ends_with_0(pytester: pytest.Pytester, tree: Path) -> None:
    result = pytester.runpytest_subprocess(f"--mlps-validate={tree}")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["verdict*rule*where*reason", "*checks of 1 run: *"])
    result.stdout.no_fnmatch_line("*violated*")


def test_violated_rule_ends_with_1_and_is_listed_first(
    pytester: pytest.Pytester, tree: Path
) -> None:
    next(tree.rglob("summary.json")).unlink()
    result = pytester.runpytest_subprocess("--mlps-validate", str(tree))
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            *("verdict*", "violated *6.3.4.5*", "cannot tell*", "1 violated: the tree fails"),
            "docs/rules.md leads to a page for each rule",
        ]
    )


def test_directory_without_runs_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-validate=.")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--mlps-validate: got '.'; accepted: a run's directory*"])


def test_missing_directory_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--mlps-validate=nowhere")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--mlps-validate: got 'nowhere'; accepted: a directory*"])


def test_reports_hold_every_verdict(pytester: pytest.Pytester, tree: Path) -> None:
    names = ("a.json", "a.md", "a.html")
    pytester.runpytest_subprocess(
        f"--mlps-validate={tree}", *(f"--mlps-validate-report={name}" for name in names)
    )
    content = json.loads(Path("a.json").read_text())
    assert content["runs"] == 1
    for name in names[1:]:
        text = Path(name).read_text()
        assert all(finding["name"] in text for finding in content["findings"])
        assert all(finding["described_in"] in text for finding in content["findings"])


@pytest.mark.long
def test_report_replaces_its_own_file_and_no_other(pytester: pytest.Pytester, tree: Path) -> None:
    command = (f"--mlps-validate={tree}", "--mlps-validate-report=a.md")
    for _ in range(2):
        assert pytester.runpytest_subprocess(*command).ret == 0
    Path("a.md").write_text("years of work")
    assert pytester.runpytest_subprocess(*command).ret == 4
    assert Path("a.md").read_text() == "years of work"


def test_junit_file_has_a_case_for_each_rule_and_part(
    pytester: pytest.Pytester, tree: Path
) -> None:
    (tree / "drafts").mkdir()
    result = pytester.runpytest_subprocess(f"--mlps-validate={tree}", "--junitxml=j.xml")
    assert result.ret == 1
    suite = ET.parse("j.xml").getroot()[0]  # noqa: S314 - a file that pytest wrote
    cases = {case.attrib["name"]: case for case in suite}
    assert suite.attrib["tests"] == str(len(cases))
    failed = cases["2.1.2 topLevelSubdirectories"].find("failure")
    assert failed is not None
    assert failed.attrib["message"] == "violated: the top holds drafts"
    assert cases["6.4.2 kvcachePosixIoModel"].find("skipped") is not None
    for name, case in cases.items():
        properties = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
        rule = name.partition(" ")[0]
        assert properties["described_in"] == f"docs/rules/{rule}.md"
        assert properties["verdict"].partition(": ")[0] in set(Verdict)


def test_junit_file_that_cannot_be_written_is_a_usage_error(
    pytester: pytest.Pytester, tree: Path
) -> None:
    Path("file").touch()
    result = pytester.runpytest_subprocess(f"--mlps-validate={tree}", "--junitxml=file/j.xml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--junitxml: got *file/j.xml'; accepted: a file that can be*"])


def test_control_characters_of_a_tree_do_not_reach_the_terminal(
    pytester: pytest.Pytester, tree: Path
) -> None:
    (tree / "drafts\x1b[2J").mkdir()
    result = pytester.runpytest_subprocess(f"--mlps-validate={tree}")
    assert "\x1b" not in result.stdout.str()
    assert "drafts\\x1b[2J" in result.stdout.str()
