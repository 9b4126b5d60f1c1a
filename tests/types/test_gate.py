"""The gate over runs of each type: the first night collects, the sixth judges."""

from __future__ import annotations

import json

import pytest

from mlpstorage_bench import registry
from tests.types.project import Project

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


def test_the_first_night_collects_and_the_sixth_is_judged(project: Project) -> None:
    first = project.run(*GATE).passed()
    assert f"collecting: 1 of {NIGHTS} baseline runs" in first
    repeat(project)
    session = project.run(*GATE, "--mlps-gate-report=g.md")
    judged = project.metadata()[-1]["mlpstorage"]
    rules = {metric.name for metric in registry.load(project.name).metrics if metric.gate}
    verdicts = judged["verdicts"]
    assert verdicts, session.output
    assert {one["metric"] for one in verdicts} <= rules
    assert {one["case"] for one in verdicts} == {*judged["cases"]}
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
