"""A passed run of each type: its files, its figures, and every command that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.metric.declaration import Shown
from tests.types.project import Project
from tests.types.smallest import smallest
from tests.variants import first_of

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

REPORTS = ("report.html", "report.md")
ALL_FILES = (
    *("--benchmark-json=b.json", "--mlps-export=json:figures.json"),
    *(f"--mlps-report={name}" for name in REPORTS),
)
OF_A_SUBMISSION = {
    **dict.fromkeys(("2.1.5", "2.1.6", "2.1.7", "2.1.8"), "has its systems and its code"),
    **dict.fromkeys(("2.1.12", "2.1.13", "3.1.1"), "has the run of --mlps-datasize, too"),
    **dict.fromkeys(("2.1.16", "2.1.17", "2.1.22"), "has as many runs as are demanded"),
    **dict.fromkeys(("3.4.2", "4.4.2", "6.4.1"), "lies on another filesystem than the data"),
    "3.3.2": "has a utilization that a busy machine does not reach",
    "3.6.3": "has samples in their size",
}
"""Rules that the smallest run violates by itself, and what a submission has instead of it."""


@pytest.fixture(scope="module")
def ran(type_name: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A directory whose smallest test has run, with every file that a session can write."""
    project = Project(tmp_path_factory.mktemp(type_name), type_name, smallest(type_name))
    output = project.run(*ALL_FILES).passed()
    assert "passed" in output
    return project


@pytest.fixture
def ask(ran: Project, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in the directory of the run: ask("--mlps-history")."""
    monkeypatch.chdir(ran.path)

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest("--mlps-results-dir=results", "-p", "no:cacheprovider", *options)

    return run


def leaf(ran: Project) -> Path:
    return Path(ran.only()["result_dir"])


def run_id(ran: Project) -> str:
    identity: str = ran.only()["mlpstorage"]["run_id"]
    return identity


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_a_run_leaves_metadata_summary_and_each_rank_s_results(ran: Project) -> None:
    metadata = ran.only()
    own = metadata["mlpstorage"]
    assert (metadata["benchmark_type"], metadata["command"]) == (ran.name, "run")
    assert (metadata["exit_status"], own["status"]) == (0, "passed")
    assert metadata["num_processes"] == 1
    names = {str(path.relative_to(leaf(ran))) for path in leaf(ran).rglob("*") if path.is_file()}
    assert {*own["files"], "summary.json", ".mlps-code-image"} <= names
    assert json.loads((leaf(ran) / "summary.json").read_text())
    of_ranks = [
        content["mlpstorage"]
        for name in own["files"]
        if "/" in name and (content := json.loads((leaf(ran) / name).read_text()))
    ]
    assert [rank["rank"] for rank in of_ranks] == [0] * sum(
        len(case["trials"]) for case in own["cases"].values()
    )
    assert all(rank["histograms"]["operations"] for rank in of_ranks)


def test_each_case_has_its_trials_verified_reads_and_an_audit(ran: Project) -> None:
    metrics = ran.only()["mlpstorage"]["metrics"]
    assert metrics
    for case in metrics.values():
        assert case["trials"] == 2
        assert case["corrupt_reads"] == 0
        assert (case["verified_reads"] > 0) == (case["read_bytes"] > 0)
        assert case["audit_verdict"]
        assert case["audit_verdict"] != "refuted"
        assert case["limited_by"] in {"storage", "harness", "load"}
    assert any(case["read_bytes"] for case in metrics.values())


def test_only_data_that_is_kept_for_other_runs_is_left(ran: Project) -> None:
    assert ran.left() == []
    assert ran.cache.exists() == ran.smallest.keeps_data


def test_reports_and_exports_have_the_figures_of_each_case(ran: Project) -> None:
    own = ran.only()["mlpstorage"]
    shown = [metric for metric in registry.load(ran.name).metrics if metric.shown >= Shown.HEADLINE]
    assert shown
    for name in REPORTS:
        text = (ran.path / name).read_text()
        assert run_id(ran) in text
        assert all(metric.title in text for metric in shown)
        assert "Parameters that are not at their defaults" in text
        assert "Set for this run" in text
    rows = (ran.path / REPORTS[1]).read_text().splitlines()
    parameters = (setting.split("=") for setting in ran.smallest.settings)
    for name, value in (("profile", "quick"), ("trials", "2"), *parameters):
        assert any(row.startswith(f"| {name} | {value}") for row in rows), name
    assert {"cache-dir", "results-dir"} <= own["settings"].keys()
    exported = (ran.path / "figures.json").read_text()
    assert all(f'"{case}"' in exported for case in own["cases"])


def test_history_lists_and_shows_the_run(ran: Project, ask: Any) -> None:
    listed = ask("--mlps-history")
    assert listed.ret == 0
    listed.stdout.fnmatch_lines([f"{run_id(ran)} *{ran.name} * passed*"])
    shown = ask("--mlps-history=latest")
    assert shown.ret == 0
    for case in ran.only()["mlpstorage"]["cases"]:
        shown.stdout.fnmatch_lines([f" {case} *"])
    assert ask("--mlps-history=latest", "--mlps-report=later.md").ret == 0
    assert run_id(ran) in (ran.path / "later.md").read_text()


def test_the_document_of_pytest_benchmark_converts_to_the_same_metadata(
    ran: Project, ask: Any
) -> None:
    assert ask("--mlps-convert=b.json", "--mlps-results-dir=again").ret == 0
    (path,) = (ran.path / "again").rglob("*_metadata.json")
    converted = json.loads(path.read_text().replace(f"{ran.path}/again", f"{ran.path}/results"))
    written = ran.only()
    for one in (converted, written):
        del one["runtime"]  # the document is written later
    assert converted == written


def test_the_validator_finds_nothing_that_the_writer_left_out(ran: Project, ask: Any) -> None:
    ask("--mlps-validate=results", "--mlps-validate-report=rules.json")
    findings = json.loads((ran.path / "rules.json").read_text())["findings"]
    verdicts = {(one["rule"], one["verdict"]) for one in findings}
    violated = {rule for rule, verdict in verdicts if verdict == "violated"}
    assert violated - OF_A_SUBMISSION.keys() == set()
    assert any(verdict == "ok" for _, verdict in verdicts)


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
def test_a_run_is_run_again_and_compared_with_it(ran: Project, ask: Any) -> None:
    first = run_id(ran)
    again = ran.command("--mlps-results-dir=results", f"--mlps-history-rerun={first}")
    again.passed()
    one, other = ran.metadata()
    assert other["executed_command"] == one["executed_command"]
    ids = [run["mlpstorage"]["run_id"] for run in (one, other)]
    compared = ask(*(f"--mlps-compare={identity}" for identity in ids))
    assert compared.ret == 0
    compared.stdout.fnmatch_lines(
        [
            f"A  *{ran.name} *",
            f"B  *{ran.name} *",
            "case *figure * A * B*",
        ]
    )
    text = " ".join(compared.stdout.str().split())
    assert "unlike: workload" not in text
    assert "reads checked: 100% of chunks" in text
    metrics = one["mlpstorage"]["metrics"].values()
    for metric in registry.load(ran.name).metrics:
        if metric.shown >= Shown.LISTS and any(is_number(case[metric.name]) for case in metrics):
            assert metric.title in text
    assert ask(f"--mlps-history-rm={ids[1]}").ret == 0
    assert ran.only()["mlpstorage"]["run_id"] == first
