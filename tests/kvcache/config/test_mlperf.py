from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlpstorage_bench.errors import InvalidInputError
from mlpstorage_bench.kvcache.config.mlperf import check_closed

ANOTHER_FILESYSTEM = Path("/proc")
"""Never the filesystem of a temporary directory."""


def refusal_message(user_set: Mapping[str, Any], cache_dir: Path, results_dir: Path) -> str:
    with pytest.raises(InvalidInputError) as caught:
        check_closed(user_set, cache_dir, results_dir)
    return str(caught.value)


def test_free_settings_are_accepted_in_closed(tmp_path: Path) -> None:
    user_set = {"systemname": "s", "hosts": ["a", "b"], "num-processes": 8, "npernode": 4}
    check_closed(user_set, tmp_path / "not" / "yet", ANOTHER_FILESYSTEM)


def test_sanctioned_values_are_accepted_in_closed(tmp_path: Path) -> None:
    user_set = {"seed": 42, "trials": 3, "profile": "mlperf"}
    check_closed(user_set, tmp_path, ANOTHER_FILESYSTEM)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("seed", 43, "--mlps-seed (given: 43; accepted: 42)"),
        ("trials", 1, "--mlps-trials (given: 1; accepted: 3)"),
        ("profile", "quick", "--mlps-profile (given: quick; accepted: mlperf)"),
        (
            "set",
            ["duration=5", "seed=42"],
            "--mlps-set (given: duration=5, seed=42; accepted: nothing)",
        ),
    ],
)
def test_only_the_violated_setting_is_named(
    name: str, given: object, expected: str, tmp_path: Path
) -> None:
    message = refusal_message({name: given}, tmp_path, ANOTHER_FILESYSTEM)
    assert f"Not allowed: {expected}. Use" in message


def test_one_filesystem_for_cache_and_results_is_refused(tmp_path: Path) -> None:
    cache_dir, results_dir = tmp_path / "cache", tmp_path / "results"
    message = refusal_message({}, cache_dir, results_dir)
    assert f"one filesystem ({cache_dir}, {results_dir}; accepted: two" in message


def test_all_violations_are_reported_together(tmp_path: Path) -> None:
    user_set = {"set": ["duration=5"], "seed": 1, "trials": 1, "profile": "quick"}
    message = refusal_message(user_set, tmp_path, tmp_path)
    options = ("set", "seed", "trials", "profile", "cache-dir")
    assert [f"--mlps-{name}" in message for name in options] == [True] * len(options)
