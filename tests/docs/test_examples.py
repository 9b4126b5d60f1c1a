"""Python examples of the README and the documentation run as printed, and pass mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages

SHORTENED = (
    *("--mlps-set=warmup=0", "--mlps-set=calibration=0.05", "--mlps-set=think_time_scale=0.05"),
    *("--mlps-set=duration=20", "--mlps-set=stop_after_gb=0.2", "--mlps-trials=1"),
)
"""The default profile with trials that end after a fixed number of bytes, not after a time."""


def write_examples(directory: Path) -> list[pages.Example]:
    found = list(pages.examples())
    for example in found:
        (directory / f"{example.module}.py").write_text(example.code)
    return found


def test_readme_and_pages_have_examples() -> None:
    modules = {example.module for example in pages.examples()}
    assert {
        "test_readme_1",
        "test_own-benchmarks_1",
        "test_own-benchmarks_2",
        "history_1",
    } <= modules


@pytest.mark.slow
def test_examples_pass_as_printed(pytester: pytest.Pytester) -> None:
    found = write_examples(pytester.path)
    tests = [f"{example.module}.py" for example in found if example.has_tests]
    result = pytester.runpytest_subprocess(*tests, *SHORTENED, "-p", "no:cacheprovider")
    assert result.ret == 0
    for example in found:
        if not example.has_tests:
            script = [sys.executable, f"{example.module}.py"]
            subprocess.run(script, cwd=pytester.path, check=True)


@pytest.mark.slow
def test_examples_pass_mypy_strict(tmp_path: Path) -> None:
    files = [f"{tmp_path / example.module}.py" for example in write_examples(tmp_path)]
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--strict", *files]
    result = subprocess.run(command, cwd=pages.PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
