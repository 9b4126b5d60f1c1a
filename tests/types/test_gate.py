"""The gate over runs of each type: the first night collects, the sixth judges."""

from __future__ import annotations

import json

import pytest

from mlpstorage_bench import registry
from tests.types.project import Project
from tests.types.smallest import smallest
from tests.variants import first_of

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]

GATE = ("--mlps-gate", "--mlps-gate-disturbed=ignore")
"""Options of the gate on a machine where other programs use the storage, too."""
NIGHTS = 5
"""Earlier runs that the gate needs."""


def repeat(project: Project) -> None:
    """Write the only run as so many nights."""
    (path,) = project.results.rglob("*_metadata.json")
    content = json.loads(path.read_text())
    own = content["mlpstorage"]
    for night in range(1, NIGHTS + 1):
        own["run_id"] = f"night-{night}"
        own["start_datetime"] = f"2026-01-{night:02d}T00:00:00+00:00"
        stamp = f"2026010{night}_000000"
        folder = path.parent.with_name(stamp)
        folder.mkdir()
        (folder / f"{project.name}_{stamp}_metadata.json").write_text(json.dumps(content))
    path.unlink()


@pytest.mark.parametrize("type_name", first_of(*registry.names()), indirect=True)
def test_the_first_night_collects_and_the_sixth_is_judged(project: Project) -> None:
    first = project.run(*GATE).passed()
    assert f"collecting: 1 of {NIGHTS} baseline runs" in first
    assert "too few trials" in first, "two are not compared"
    repeat(project)
    session = project.run(*GATE, "--mlps-gate-undecided=retry", "--mlps-gate-report=g.md")
    judged = project.metadata()[-1]["mlpstorage"]
    rules = {metric.name for metric in registry.load(project.name).metrics if metric.gate}
    verdicts = judged["verdicts"]
    assert verdicts, session.output
    assert {one["metric"] for one in verdicts} <= rules
    assert {one["case"] for one in verdicts} == {*judged["cases"]}
    assert all(len(case["trials"]) >= 3 for case in judged["cases"].values()), session.output
    assert {len(one["baseline_runs"]) for one in verdicts} == {NIGHTS}
    has_regressed = any(one["verdict"] == "regressed" for one in verdicts)
    assert session.status == (1 if has_regressed else 0), session.output
    assert all(one["metric"] in session.output for one in verdicts)
    assert "baseline" in (project.path / "g.md").read_text()


@pytest.mark.long
def test_a_limit_that_no_storage_reaches_fails_the_session(project: Project) -> None:
    session = project.run(*GATE, "--mlps-gate-rule=read_gib_s: >= 1e6 GiB/s")
    assert session.status == pytest.ExitCode.TESTS_FAILED, session.output
    assert "regressed" in session.output
    assert project.only()["mlpstorage"]["status"] == "failed"


def forget_conditions(project: Project) -> None:
    """Remove what disturbed the trials of all runs: other programs use this machine's storage."""
    for path in sorted(project.results.rglob("*_metadata.json")):
        content = json.loads(path.read_text())
        for case in content["mlpstorage"]["cases"].values():
            for trial in case["trials"]:
                trial["conditions"] = None
        path.write_text(json.dumps(content))


OF_USER = {
    "defaults": (),
    "rule of all cases": ("--mlps-gate-rule=read_gib_s: -10%, >= 0 GiB/s",),
    "rule of a case": ("--mlps-gate-rule=read/read_gib_s: >= 0 GiB/s",),
    "rule of a profile": ("--mlps-profile=checkpointing.own.yaml",),
}
PROFILE = """
name: own
model: llama3-8b
time_between_checkpoints: 0
gate: {read_gib_s: "-10%, >= 0 GiB/s"}
"""
JUDGED = {("write", "write_gib_s"), ("read", "read_gib_s")}
NOT_JUDGED = {("write", "read_gib_s"), ("read", "write_gib_s")}


@pytest.mark.long
@pytest.mark.parametrize("given", first_of(*OF_USER))
def test_eight_nights_judge_only_figures_that_a_case_has(
    pytester: pytest.Pytester, given: str
) -> None:
    """Writes have no bandwidth of reads, and reads none of writes, in any night."""
    project = Project(pytester.path, "checkpointing", smallest("checkpointing"))
    (pytester.path / "own.yaml").write_text(PROFILE)
    for night in range(1, 9):
        session = project.run(*GATE, "--mlps-trials=3", *OF_USER[given])
        own = project.metadata()[-1]["mlpstorage"]
        verdicts = {(one["case"], one["metric"]): one["verdict"] for one in own["verdicts"]}
        assert verdicts.keys() == JUDGED, f"night {night}"
        gate = own["gate"]
        assert {(one["case"], one["metric"]) for one in gate["not_judged"]} == NOT_JUDGED
        assert {one["reason"] for one in gate["not_judged"]} == {"not measured in this case"}
        assert gate["unused_rules"] == []
        assert gate["verdict"] in verdicts.values()
        assert session.output.count("not judged: not measured in this case: ") == 1
        forget_conditions(project)
        if night <= NIGHTS:
            session.passed()
            assert set(verdicts.values()) == {"collecting"}
        else:
            assert session.status == ("regressed" in verdicts.values()), session.output
            assert "collecting" not in verdicts.values()


@pytest.mark.long
def test_rule_that_judges_nothing_is_named_each_night_and_fails_if_undecided_does(
    pytester: pytest.Pytester,
) -> None:
    project = Project(pytester.path, "checkpointing", smallest("checkpointing"))
    rule = "--mlps-gate-rule=snapshot_s: +10%"
    for strict, status in (((), 0), ((), 0), (("--mlps-gate-undecided=fail",), 4)):
        session = project.run(*GATE, rule, *strict)
        assert session.status == status, session.output
        assert session.output.count("'snapshot_s: +10%' judges nothing: no case has ") == 1
        assert project.metadata()[-1]["mlpstorage"]["gate"]["verdict"] == "undecided"
