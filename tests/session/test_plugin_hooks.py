"""Hooks of users in sessions without a run of trials: refusals before anything runs."""

from __future__ import annotations

import pytest

from tests.session.tiny import TINY

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise OSError('no such array')", "got 'OSError: no such array (conftest.py, line 2)'*"),
        ("return [int]", "got <class 'int'>; accepted: a list of classes that derive from *"),
    ],
)
def test_declaration_that_fails_is_a_usage_error_before_anything_runs(
    pytester: pytest.Pytester, body: str, message: str
) -> None:
    pytester.makeconftest(f"def pytest_mlps_metrics():\n    {body}")
    pytester.makepyfile("def test_run(kvcache): kvcache.run(1)")
    result = pytester.runpytest_inprocess(*TINY)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*pytest_mlps_metrics of conftest.py: {message}"])
    assert not (pytester.path / "results").exists()


def test_metadata_that_is_no_json_object_is_named(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        def pytest_mlps_metadata(run):
            return {"rack": {1, 2}}
        """
    )
    pytester.makepyfile(
        """
        def test_run(mlps_run):
            assert "plugins" not in mlps_run.metadata["mlpstorage"]
        """
    )
    result = pytester.runpytest_inprocess("--mlps-results-dir=results", "--mlps-cache-dir=cache")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["note: pytest_mlps_metadata of conftest.py returned no JSON object: *set*"]
    )
