"""Sessions with the plugin on the oldest supported pytest."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from mlpstorage_bench.options.declared import OPTIONS
from tests.session.tiny import TINY, metadata_of
from tests.variants import first_of

OLDEST_PYTEST = Path(__file__).parents[2] / ".venv/oldest-pytest"

pytestmark = pytest.mark.skipif(
    not (OLDEST_PYTEST / "ready").exists(),
    reason=f"needs the oldest pytest, which `make test` installs in {OLDEST_PYTEST}",
)


def oldest_allowed() -> str:
    """Return the project's lower bound of pytest."""
    bounds = [
        re.fullmatch(r"pytest>=([\d.]+)", each) for each in requires("mlpstorage-bench") or ()
    ]
    (bound,) = [bound[1] for bound in bounds if bound]
    return bound


@pytest.fixture
def old(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Make processes in an empty project import the oldest pytest."""
    path = [str(OLDEST_PYTEST), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return pytester


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.run(sys.executable, "-m", "pytest", *arguments, timeout=120)


@pytest.mark.long
def test_tests_of_another_project_run_unchanged(old: pytest.Pytester) -> None:
    old.makepyfile("def test_one(): pass")
    result = run_pytest(old)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [f"platform * pytest-{oldest_allowed()}*", "plugins: *mlpstorage-*"]
    )


def test_help_shows_every_option_under_both_names(old: pytest.Pytester) -> None:
    result = run_pytest(old, "--help")
    assert result.ret == pytest.ExitCode.OK
    for option in OPTIONS:
        assert option.flag in result.stdout.str()
        assert option.reference_name is None or f" --{option.reference_name}" in result.stdout.str()


@pytest.mark.long
def test_option_of_another_plugin_keeps_its_meaning(old: pytest.Pytester) -> None:
    old.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--hosts", default="theirs")
            parser.getgroup("other").addoption("--npernode", dest="other")
        """
    )
    old.makepyfile(
        """
        def test_both(pytestconfig):
            assert pytestconfig.getoption("--hosts") == "ssh://q"
            assert pytestconfig.getoption("--npernode") == "many"
            assert pytestconfig.getoption("--mlps-hosts") == ["localhost"]
            assert pytestconfig.getoption("--mlps-npernode") is None
        """
    )
    given = ["--hosts=ssh://q", "--npernode=many", "--mlps-hosts=localhost", "--exec-type=local"]
    run_pytest(old, *given).assert_outcomes(passed=1)


@pytest.mark.long
@pytest.mark.parametrize("prefix", first_of("--", "--mlps-"))
def test_hosts_and_ranks_are_planned_with_both_option_names(
    old: pytest.Pytester, prefix: str
) -> None:
    old.makepyfile("def test_one(): raise AssertionError")
    named = [f"{prefix}hosts=a,b", f"{prefix}hosts", "c", f"{prefix}num-processes", "6"]
    result = run_pytest(old, *named, f"{prefix}oversubscribe", "--mlps-mode=whatif")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["command: *-n 6 -host a:2,b:2,c:2 *--oversubscribe*"])


def test_run_is_measured_and_recorded(old: pytest.Pytester) -> None:
    old.makepyfile("def test_one(kvcache, kvcache_workload): kvcache.run(kvcache_workload)")
    result = run_pytest(old, *TINY)
    assert result.ret == pytest.ExitCode.OK
    assert metadata_of(old)["mlpstorage"]["status"] == "passed"
