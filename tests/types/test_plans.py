"""Plans and sizes of a run of each type, and runs that are refused before they begin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench import registry
from mlpstorage_bench.benchmark_type.plan import PlanRequest
from tests.types.project import Project
from tests.types.smallest import SMALL_SPACE, SMALLEST

pytestmark = [pytest.mark.slow, pytest.mark.starts_process]


@pytest.fixture
def plan(project: Project, pytester: pytest.Pytester) -> Any:
    """Run pytest with the options of the smallest run, in this process."""

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest(*project.smallest.options(project.name), *options)

    return run


def closed_request(cache_dir: Path) -> PlanRequest:
    """Return the request of a closed run without options."""
    return PlanRequest("mlperf", "closed", (), None, None, cache_dir, {})


def test_each_registered_type_has_a_smallest_run() -> None:
    assert {*SMALLEST} == {*registry.names()}


def test_whatif_prints_the_plan_and_writes_nothing(project: Project, plan: Any) -> None:
    planned = plan("--mlps-mode=whatif")
    assert planned.ret == 0
    planned.stdout.fnmatch_lines(
        ["*mlpstorage: what would run*", "profile quick: *", "cache directory: */cache"]
    )
    assert not project.results.exists()
    assert not project.cache.exists()


def test_datasize_prints_sizes_and_leaves_a_run_of_a_type_with_commands(
    project: Project, plan: Any
) -> None:
    printed = plan("--mlps-datasize=json")
    assert printed.ret == 0
    sizes = json.loads(printed.stdout.str())
    assert sizes["fits"] is True
    assert sizes["cases"]
    runs = project.metadata()
    assert len(runs) == registry.load(project.name).has_command_level
    for metadata in runs:
        assert (metadata["command"], metadata["exit_status"]) == ("datasize", 0)
        assert metadata["mlpstorage"]["datasize"] == sizes
    assert not project.cache.exists()


@pytest.mark.long
def test_datasize_as_a_table_says_what_does_not_fit(
    project: Project, plan: Any, mount: Callable[[str, str], Path]
) -> None:
    small = mount("tmpfs", SMALL_SPACE)
    too_large = project.setting(*project.smallest.too_large)
    printed = plan("--mlps-datasize", *too_large, f"--mlps-cache-dir={small / 'cache'}")
    assert printed.ret == pytest.ExitCode.TESTS_FAILED
    printed.stdout.re_match_lines([r".*\bGiB\b.*"])
    assert not [*small.iterdir()]


def test_a_run_that_does_not_fit_is_refused_before_the_first_byte(
    project: Project, plan: Any, mount: Callable[[str, str], Path]
) -> None:
    small = mount("tmpfs", SMALL_SPACE)
    too_large = project.setting(*project.smallest.too_large)
    refused = plan(*too_large, f"--mlps-cache-dir={small / 'cache'}")
    assert refused.ret != 0
    text = refused.stdout.str() + refused.stderr.str()
    assert "GiB" in text
    assert " fit" in text or " free" in text
    assert not [path for path in small.glob(f"cache/{project.smallest.data}") if path.is_file()]
    for metadata in project.metadata():
        assert metadata["mlpstorage"]["status"] == "failed"
        assert not any(metadata["mlpstorage"]["metrics"].values())


def test_closed_mode_refuses_all_changes_in_one_message(project: Project, plan: Any) -> None:
    locked = project.setting(project.smallest.locked)
    refused = plan(*locked, "--mlps-mode=closed")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    (message,) = [line for line in refused.stderr.lines if line.startswith("ERROR: ")]
    assert "--mlps-mode: got 'closed'" in message
    for given in (project.smallest.locked, "--mlps-trials", "--mlps-profile"):
        assert given in message
    assert not project.results.exists()
    assert not project.cache.exists()


def test_an_unknown_setting_is_refused_with_those_that_exist(project: Project, plan: Any) -> None:
    refused = plan(*project.setting("nonsense=1"))
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    given = f"{project.name}.nonsense"
    refused.stderr.fnmatch_lines([f"ERROR: --mlps-set: got '{given}'; accepted: *"])


def test_trials_that_closed_runs_demand_are_accepted(
    project: Project, pytester: pytest.Pytester
) -> None:
    closed = registry.load(project.name).plan(closed_request(project.cache))
    trials = registry.load(project.name).planned_trials(closed, is_scenario=False)
    options = ("--mlps-mode=closed", f"--mlps-trials={trials}", "--collect-only", "-q")
    assert pytester.runpytest(*options, "-p", "no:cacheprovider").ret == 0
